"""A message of one job, for tests of a workspace's queue without a stream."""

import asyncio
from collections.abc import Sequence

from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.observer import MessageTrace
from ciosidecar_server.delivery.outcomes import DeliveryOutcome, ItemRef


class Message:
    """A message of one job, and what becomes of it."""

    submitting = False
    trace = MessageTrace()

    def __init__(self) -> None:
        self.outcome: asyncio.Future[DeliveryOutcome] = asyncio.get_running_loop().create_future()

    def item_ref(self, job: Job) -> ItemRef | None:
        return None

    def settled(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        self.outcome.set_result(outcome)
