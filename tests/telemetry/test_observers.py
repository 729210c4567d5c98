"""What a listener hears of a server in this process, and that no listener harms the server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.app import Sidecar
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.observer import (
    Attempt,
    Condition,
    WorkspaceLabel,
    WorkspaceSnapshot,
)
from ciosidecar_server.delivery.outcomes import DeliveryOutcome
from ciosidecar_server.settings import Settings
from ciosidecar_server.telemetry.observer import Observer
from grpc import aio

from tests.conftest import opened
from tests.delivery.caller import CONFIG, Caller, track
from tests.fake_customerio import FakeCustomerio, Reply, fake_customerio

pytestmark = pytest.mark.serial


class Recorder(Observer):
    """A listener that remembers the reports of delivery."""

    def __init__(self) -> None:
        self.attempts: list[tuple[WorkspaceLabel, Attempt]] = []
        self.settled: list[tuple[str, object, int]] = []
        self.conditions: list[Condition] = []

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        """Remember an attempt."""
        self.attempts.append((workspace, attempt))

    def jobs_settled(
        self,
        workspace: WorkspaceLabel,
        jobs: Sequence[Job],
        outcome: DeliveryOutcome,
        queue_s: float,
    ) -> None:
        """Remember which items were answered, and how."""
        assert queue_s >= 0
        self.settled += [
            (job.destination_ref, job.owner.item_ref(job), outcome.status) for job in jobs
        ]

    def condition_changed(
        self, workspace: WorkspaceLabel, condition: Condition, snapshot: WorkspaceSnapshot
    ) -> None:
        """Remember a condition."""
        self.conditions.append(condition)


class Failing(Recorder):
    """A listener that fails at each report."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("attempt_ended", "jobs_settled", "condition_changed"):
            return _fail
        return super().__getattribute__(name)


def _fail(*_report: object) -> None:
    raise ValueError("a defect of a listener")


@asynccontextmanager
async def observed(
    customerio: FakeCustomerio, observer: Observer, *refs: str
) -> AsyncIterator[Caller]:
    """A stream to a server in this process, with a destination under each ref and one workspace."""
    settings = Settings(listen=("127.0.0.1:0",), admin_listen="none", customerio_url=customerio.url)
    sidecar = Sidecar(settings, [observer])
    (address,) = await sidecar.start()
    try:
        async with aio.insecure_channel(address) as channel:
            call, _ = await opened(
                v1.SidecarServiceStub(channel),
                delivery=v1.DeliveryOptions(),
                destinations=[
                    v1.Destination(reference_id=number, destination_ref=ref, config_json=CONFIG)
                    for number, ref in enumerate(refs, 1)
                ],
            )
            caller = Caller(call)
            yield caller
            await caller.vanish()
    finally:
        await sidecar.stop_at_once()


async def test_attempts_and_answers_are_reported() -> None:
    """Each attempt with its status, number and words; each answer with its item and its destination."""
    recorder = Recorder()
    async with (
        fake_customerio() as customerio,
        observed(customerio, recorder, "first", "second", "third") as caller,
    ):
        customerio.answers(Reply(503), Reply(200), Reply(400), Reply(200))
        for batch_id, number in ((1, 1), (2, 2), (3, 3)):
            await caller.send(batch_id, track("E", f"u{batch_id}"), number=number)
            await caller.told_all(batch_id)
    assert [
        (attempt.http_status, attempt.number, len(attempt.jobs), attempt.failure)
        for _, attempt in recorder.attempts
    ] == [
        (503, 1, 1, "Customer.io answered 503"),
        (200, 2, 1, ""),
        (400, 1, 1, "Customer.io refused it with 400"),
        (200, 1, 1, ""),
    ]
    assert {attempt.endpoint_path for _, attempt in recorder.attempts} == {"v1/customers/events"}
    assert recorder.settled == [
        ("first", (1, 0), 200),
        ("second", (2, 0), 400),
        ("third", (3, 0), 200),
    ]
    assert recorder.attempts[-1][0] == WorkspaceLabel(customerio.url, "first", 2)
    assert recorder.conditions == []


async def test_a_listener_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Events are delivered and answered; the log has the defect's place, and not its text."""
    async with (
        fake_customerio() as customerio,
        observed(customerio, Failing(), "ref") as caller,
    ):
        customerio.answers(Reply(429))
        await caller.send(1, *(track("E", f"u{n}") for n in range(3)))
        async with asyncio.timeout(20):
            assert {told.status for told in await caller.told_all(1)} == {200}
    assert "ValueError at" in caplog.text
    assert "a defect of a listener" not in caplog.text
