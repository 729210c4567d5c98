"""Batches in, jobs out to Customer.io, results back as the jobs are answered."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from ciosidecar.v1 import service_pb2

from ..delivery import outcomes
from ..delivery.dispatcher import Dispatcher, workspace_key
from ..delivery.observer import MessageTrace
from ..delivery.outcomes import DeliveryOutcome, ItemRef
from ..delivery.workspace_queue import WorkspaceQueue
from ..settings import Settings
from .batch_faults import BatchFaults
from .counting import EventCounts
from .delivery_batch import DeliveryBatch
from .destinations import KnownDestinations
from .errors import ProtocolError
from .flow_control import FlowControl
from .item_job import ItemJob, by_workspace, size_of
from .observer import RpcObserver
from .request_message import Batch, seconds
from .resend_gate import ResendGate
from .results_encoder import Reporting, ResultsEncoder
from .tap import StreamTap
from .templates import EncodedTemplates
from .turns import Turns
from .worker import Output

# Results of a batch wait so long for others to share their message. The last ones do not wait.
_GATHER_S = 0.005
# The interval at which a stream that reads no further sends back events of workspaces in trouble.
_LOOK_S = 0.25


class DeliveryWorker:
    """The worker of calls with delivery: submits jobs, and writes the results of answered jobs."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        known: KnownDestinations,
        settings: Settings,
        options: service_pb2.DeliveryOptions,
        output: Output,
        flow_control: FlowControl,
        observer: RpcObserver,
        stream: StreamTap,
    ) -> None:
        """Begin to write results.

        Args:
            dispatcher: the workspaces to deliver to.
            known: the destinations that the caller has declared.
            settings: the settings of the server.
            options: the caller's options.
            output: where results go. One response for a batch is written once it is complete.
            flow_control: what the caller may have outstanding.
            observer: receives the counts of answered events.
            stream: receives each answered event, while it listens.
        """
        self._observer = observer
        self._stream = stream
        self._dispatcher = dispatcher
        self._known = known
        self._default_timeout_s = (
            seconds(options.default_timeout)
            if options.HasField("default_timeout")
            else settings.delivery_timeout_s
        )
        self._reporting = Reporting(
            max_bytes=output.max_bytes,
            detail_for_every_item=options.detail_level == service_pb2.DETAIL_LEVEL_ALL,
            include_requests=options.include_requests,
            one_message=output.one_response,
        )
        self._output = output
        self._templates = EncodedTemplates()
        self._flow_control = flow_control
        self._loop = asyncio.get_running_loop()
        self._resend_gate = ResendGate()
        self._batches: dict[DeliveryBatch, None] = {}
        self._batch_ids: set[int] = set()
        self._begun = 0
        self._answered: dict[DeliveryBatch, None] = {}
        self._earliest_new: float = math.inf
        """The lowest number of a batch with answers that came after the last writing began."""
        self._something_to_write = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self.writing = self._loop.create_task(self._write_results())
        """The task that writes results. It ends only with the worker, or with an exception."""

    @property
    def idle(self) -> bool:
        """Return whether every batch is answered."""
        return not self._batches

    def begin(self, batch: Batch, trace: MessageTrace) -> DeliveryBatch:
        """Take a batch into delivery.

        Raises:
            ProtocolError: an unanswered batch has the same id.
        """
        if batch.batch_id in self._batch_ids:
            raise ProtocolError("batch.batch_id", "an unanswered batch of this stream has this id")
        self._batch_ids.add(batch.batch_id)
        counts = EventCounts(self._observer, self._stream, batch.batch_id, delivery=True)
        self._begun += 1
        delivery_batch = DeliveryBatch(self, batch, self._dispatcher, counts, trace, self._begun)
        self._batches[delivery_batch] = None
        # An empty batch counts, too: its answer is kept until the caller reads.
        self._flow_control.add(max(1, batch.item_count), delivery_batch.size)
        if batch.item_count:
            delivery_batch.expire_at(self._loop.time() + self._timeout_s(batch))
        else:
            self.answered(delivery_batch)
        return delivery_batch

    def _timeout_s(self, batch: Batch) -> float:
        timeout_s = batch.timeout_s
        return self._default_timeout_s if timeout_s is None else timeout_s

    async def ready(self) -> None:
        """Wait until another batch may be read."""
        while not self._flow_control.available:
            await self._until(lambda: self._flow_control.available, _LOOK_S)
            if not self._flow_control.available:
                await self._make_room()

    async def _make_room(self) -> None:
        """Send back the jobs of workspaces in trouble that are beyond their share, in turns with other callers."""
        alone = self._known.alone
        turns = Turns()
        for workspace in self._flow_control.over_share():
            if turns.over:
                await turns.next()
            outcome = workspace.beyond_share(alone=alone)
            if outcome is not None:
                workspace.send_back(self._flow_control.excess(workspace), outcome)

    async def finish(self) -> None:
        """Wait until every batch is answered and written."""
        await self._until(lambda: self.idle)

    def abandon(self) -> Collection[asyncio.Future[None]]:
        """Forget what is not answered: the caller is gone. Return the task that ends now."""
        if self._gathering is not None:
            self._gathering.cancel()
        self.writing.cancel()
        for batch in self._batches:
            batch.abandon()
            self._observer.batch_ended(batch.trace)
        self._batches.clear()
        return (self.writing,)

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for a condition, or until the time is over. Raise what the writing failed with."""
        until = None if timeout_s is None else self._loop.time() + timeout_s
        while not condition():
            left_s = None if until is None else until - self._loop.time()
            if left_s is not None and left_s <= 0.0:
                return
            self._changed.clear()
            changed = self._loop.create_task(self._changed.wait())
            try:
                await asyncio.wait(
                    (changed, self.writing), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                changed.cancel()
            if self.writing.done():
                self.writing.result()

    def count_bytes(self, size: int) -> None:
        """Count the bytes of jobs as outstanding, until their results are written."""
        self._flow_control.add(0, size)

    def submit(self, batch: DeliveryBatch, jobs: Sequence[ItemJob], size: int) -> None:
        """Queue jobs of a batch. Those of one workspace keep their order.

        After an exception, the batch has recorded the workspace of each job that is queued.

        Args:
            batch: the batch.
            jobs: its jobs.
            size: the bytes of all of them, which are counted.
        """
        runs = by_workspace(jobs)
        for key, run in runs.items():
            self._submit_to_workspace(batch, key, run, size if len(runs) == 1 else size_of(run))

    def _submit_to_workspace(
        self, batch: DeliveryBatch, key: tuple[str, str], jobs: Sequence[ItemJob], size: int
    ) -> None:
        """Queue jobs of one workspace: all together if every one of them may pass, one by one otherwise.

        size: the outstanding bytes of the jobs.
        """
        gate, workspace = self._resend_gate, self._dispatcher.workspace(jobs[0].request.template)
        if (
            gate.admits_all
            and workspace.admits_all(batch.deadline)
            and (
                self._flow_control.within_share(workspace, len(jobs), size)
                or workspace.beyond_share(alone=self._known.alone) is None
            )
        ):
            for arrival, job in enumerate(jobs, gate.number(len(jobs))):
                job.arrival = arrival
            self._queue(batch, workspace, jobs)
            return
        for job in jobs:
            job.arrival, cause = gate.admit(key, job.keys, job.fingerprint, again=job.again)
            if cause is not None:
                batch.settled((job,), outcomes.blocked(cause))
                continue
            if self._flow_control.share_used(workspace):
                outcome = workspace.beyond_share(alone=self._known.alone)
                if outcome is not None:
                    batch.settled((job,), outcome)
                    continue
            self._queue(batch, workspace, (job,))

    def _queue(
        self, batch: DeliveryBatch, workspace: WorkspaceQueue, jobs: Sequence[ItemJob]
    ) -> None:
        self._flow_control.count(workspace, jobs)
        try:
            workspace.submit(jobs)
        except Exception:
            for job in jobs:
                job.submitted_at = job.submitted_at or self._loop.time()
                # The batch answers each job that the workspace does not have, or fails to answer.
                with suppress(Exception):
                    workspace.send_back((job,), outcomes.INTERNAL_FAULT)
            raise
        batch.submitted_to(workspace, jobs)

    def number(self, jobs: Sequence[ItemJob]) -> None:
        """Give each job that has no place in the order of the stream the next one."""
        for job in jobs:
            if not job.arrival:
                key = workspace_key(job.request.template)
                job.arrival, _ = self._resend_gate.admit(
                    key, job.keys, job.fingerprint, again=job.again
                )

    def note_fault(self, fault: Exception) -> None:
        """Report a fault of the sidecar's own."""
        self._observer.internal_fault(fault)

    def jobs_settled(
        self, batch: DeliveryBatch, jobs: Sequence[ItemJob], outcome: DeliveryOutcome
    ) -> None:
        """Free the share of jobs. After a retryable failure, tell the resend gate, which blocks later items of the people."""
        self._flow_control.release(jobs)
        if outcome.error is not None and outcome.error.retryable:
            for job in jobs:
                item_ref = ItemRef(batch.batch_id, job.position)
                self._resend_gate.add(
                    workspace_key(job.request.template),
                    job.keys,
                    job.fingerprint,
                    job.arrival,
                    item_ref,
                )

    def answered(self, batch: DeliveryBatch) -> None:
        """Write the results of a complete batch at once, and those of other batches once more have gathered."""
        self._earliest_new = min(self._earliest_new, batch.number)
        if batch.complete:
            self._answered[batch] = None
            self._something_to_write.set()
        elif not self._output.one_response:
            self._answered[batch] = None
            if self._gathering is None:
                self._gathering = self._loop.call_later(_GATHER_S, self._something_to_write.set)

    async def _write_results(self) -> None:
        while True:
            await self._something_to_write.wait()
            self._something_to_write.clear()
            if self._gathering is not None:
                self._gathering.cancel()
                self._gathering = None
            await self._write_answered()

    async def _write_answered(self) -> None:
        """Write the results that there are by now, in the order of the batches. The messages are gone when this returns.

        A caller resends what it has no result of. If it had the result of a later event of a person, an earlier
        event would arrive after that.
        """
        batches, self._answered = sorted(self._answered, key=_number), {}
        self._earliest_new = math.inf
        waiting = deque((batch, batch.take_answers()) for batch in batches)
        batches.clear()
        while waiting:
            # A batch is freed once it is written: the caller may send others before the rest is written.
            batch, answers = waiting.popleft()
            if self._earliest_new >= batch.number:
                # What came meanwhile goes along: no earlier batch has answers that wait for the next time.
                self._answered.pop(batch, None)
                answers = batch.take_answers(answers)
            faults = BatchFaults(self._output.writers, self._observer)
            encoder = partial(
                ResultsEncoder,
                batch_id=batch.batch_id,
                reporting=self._reporting,
                templates=self._templates,
            )
            for response, events, size in batch.encode(encoder, faults, answers):
                await self._output.write(response)
                self._flow_control.remove(events, size)
            if answers.are_last:
                self._batches.pop(batch, None)
                self._batch_ids.discard(batch.batch_id)
                self._observer.batch_ended(batch.trace)
                batch.release()
            self._changed.set()


def _number(batch: DeliveryBatch) -> int:
    return batch.number
