"""One batch in delivery: its items are answered separately, in any order."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Protocol, cast

from ciosidecar_transform import Outcome, RequestTemplate
from ciosidecar_transform.pipeline import internal_error

from ..delivery.dispatcher import Dispatcher
from ..delivery.job import Job
from ..delivery.observer import MessageTrace
from ..delivery.outcomes import INTERNAL_FAULT, DeliveryOutcome, ItemRef
from ..delivery.workspace_queue import WorkspaceQueue
from .answers import Answers, Written, encoded
from .batch_faults import BatchFaults
from .counting import DestinationLabel, EventCounts
from .decoding import Decoded, DecodedEvent, PreparedItem, RejectedItem
from .delivery_items import MESSAGE_BYTES, NOT_SENT, job_of_event, job_of_prepared
from .item_job import ItemJob, UnsentItem, size_of
from .request_message import Batch
from .results_encoder import ResultsEncoder
from .results_message import EncodedResults, NewResults

_DELIVERED = 200
_position = attrgetter("position")


class JobQueue(Protocol):
    """The worker that a batch belongs to."""

    def count_bytes(self, size: int) -> None:
        """Count the bytes of jobs as outstanding, until their results are written."""

    def submit(self, batch: "DeliveryBatch", jobs: Sequence[ItemJob], size: int) -> None:
        """Queue jobs of a batch. Those of one workspace keep their order. size: the bytes of all, which are counted."""

    def jobs_settled(
        self, batch: "DeliveryBatch", jobs: Sequence[ItemJob], outcome: DeliveryOutcome
    ) -> None:
        """Free the share of jobs. After a retryable failure, tell the resend gate, which blocks later items of the people."""

    def answered(self, batch: "DeliveryBatch") -> None:
        """Write the new results of a batch soon."""

    def number(self, jobs: Sequence[ItemJob]) -> None:
        """Give each job that has no place in the order of the stream the next one."""

    def note_fault(self, fault: Exception) -> None:
        """Report a fault of the sidecar's own."""


class DeliveryBatch:
    """A batch of which some items are not answered yet, and the owner of its jobs."""

    def __init__(
        self,
        queue: JobQueue,
        batch: Batch,
        dispatcher: Dispatcher,
        counts: EventCounts,
        trace: MessageTrace,
        number: int,
    ) -> None:
        self.trace = trace
        """The trace of the batch."""
        self.number = number
        """The place of the batch among those of its worker."""
        self._queue = queue
        self._counts = counts
        self._outcomes = counts.outcomes
        self._dispatcher = dispatcher
        self.batch_id = batch.batch_id
        self._items = self._unanswered = batch.item_count
        self._unsubmitted: list[ItemJob] = []
        self._answers: list[ItemJob | UnsentItem] = []
        self._timer: asyncio.TimerHandle | None = None
        self._now = int(time.time())
        self.size = MESSAGE_BYTES + sum(map(len, batch.tags().values()))
        """Outstanding bytes that the batch counts for, beside its jobs, until it is complete."""
        self.deadline = 0.0
        self.submitting = True
        """Whether items are still to be submitted."""
        self._jobs: dict[WorkspaceQueue, list[ItemJob]] = {}
        self._hidden: set[RequestTemplate] = set()

    @property
    def complete(self) -> bool:
        """Return whether every item is answered."""
        return self._unanswered == 0

    def expire_at(self, deadline: float) -> None:
        """Set the time at which the delivery of the batch ends."""
        self.deadline = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        for workspace, jobs in self._jobs.items():
            try:
                workspace.expire(jobs)
            except Exception as fault:  # noqa: BLE001 - the other workspaces' jobs are answered
                self._queue.note_fault(fault)
        # A fault while a job was settled leaves its item without a result.
        left = [job for jobs in self._jobs.values() for job in jobs if job.delivery is None]
        if left:
            self._fail(left)

    def abandon(self) -> None:
        """Forget all jobs: the caller is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._counts.report()
        for workspace, jobs in self._jobs.items():
            workspace.forget(jobs)

    def release(self) -> None:
        """Let go of what refers to the batch: without this it waits for the garbage collector."""
        self._jobs.clear()
        self.__dict__.pop("accept", None)

    def submitted_to(self, workspace: WorkspaceQueue, jobs: Sequence[ItemJob]) -> None:
        """Record the workspace of jobs, so that their deadline and their end reach the jobs there."""
        self._jobs.setdefault(workspace, []).extend(jobs)

    def process(self, item: Decoded) -> ItemJob | Outcome:
        """Return the job of an item, or its outcome if there is nothing to send.

        While the server drains, items are not even transformed: their results must be on their way
        before the grace is over.
        """
        if self._dispatcher.draining:
            return NOT_SENT
        try:
            if type(item) is DecodedEvent:
                return job_of_event(item, self, self._now)
            if type(item) is PreparedItem:
                return job_of_prepared(item, self, self._dispatcher.endpoints)
        except Exception as fault:  # noqa: BLE001 - one item's fault is not the batch's
            return internal_error(fault, [])
        return cast("RejectedItem", item).outcome

    def accept(self, item: Decoded, processed: ItemJob | Outcome) -> None:
        """Keep the job of an item until the end of the turn, or answer an item that has none."""
        if type(processed) is ItemJob:
            if type(item) is DecodedEvent and item.hides_credentials:
                self._hidden.add(processed.request.template)
            self._unsubmitted.append(processed)
            return
        outcome = cast("Outcome", processed)
        self._answers.append(UnsentItem(item.position, item.tag, outcome))
        self._outcomes[item.label].append(outcome)
        self._answered(1)
        if self._counts.tap.listening:
            self._counts.tell(item.position, item.label, outcome)

    def _submit(self) -> None:
        """Submit the jobs of this turn together, before anything else can happen: that costs a fifth."""
        if self._unsubmitted:
            jobs, self._unsubmitted = self._unsubmitted, []
            # The size of a job is removed when its result is written, whatever becomes of it.
            size = size_of(jobs)
            self._queue.count_bytes(size)
            try:
                self._queue.submit(self, jobs, size)
            except Exception as fault:  # noqa: BLE001 - one batch's fault is not the stream's
                self._queue.note_fault(fault)
                submitted = {job for of_workspace in self._jobs.values() for job in of_workspace}
                self._fail([job for job in jobs if job.delivery is None and job not in submitted])

    def begin_again(self, processed: int, fault: Exception) -> int:
        """Let INTERNAL be the result of every item that has neither a result nor a job. Return the position of the first.

        What was submitted is on its way, and what waits for the end of the turn is submitted then.
        """
        del processed
        if "accept" in self.__dict__:
            raise fault
        self._queue.note_fault(fault)
        self.accept = self._accept_none  # type: ignore[method-assign]
        jobs = [*self._unsubmitted, *(job for jobs in self._jobs.values() for job in jobs)]
        answered = self._items - self._unanswered
        return answered + sum(job.delivery is None for job in jobs)

    def _accept_none(self, item: Decoded, processed: ItemJob | Outcome) -> None:
        """Answer an item that is not submitted, because an earlier one met a fault."""
        if type(processed) is ItemJob:
            if type(item) is DecodedEvent and item.hides_credentials:
                self._hidden.add(processed.request.template)
            processed.size = 0  # it was never counted
            self._fail((processed,))
        else:
            outcome = cast("Outcome", processed)
            self._answers.append(UnsentItem(item.position, item.tag, outcome))
            self._outcomes[item.label].append(outcome)
            self._answered(1)

    def _fail(self, jobs: Sequence[ItemJob]) -> None:
        """Answer jobs that no workspace answers. As after any failure, later items of the people are blocked."""
        try:
            self._queue.number(jobs)
        except Exception as fault:  # noqa: BLE001
            self._queue.note_fault(fault)
        for job in jobs:
            job.forgotten = True  # by a workspace that has a job after all
        self.settled(jobs, INTERNAL_FAULT)

    async def pause(self) -> None:
        """Submit the jobs of a turn. The worker writes results beside."""
        self._submit()

    async def end(self) -> None:
        """Return at once: jobs are answered when their delivery is over."""

    def close(self) -> None:
        """Submit the last jobs, and let the requests go that waited for the last item."""
        self._submit()
        self.submitting = False
        for workspace in self._jobs:
            try:
                workspace.message_submitted()
            except Exception as fault:  # noqa: BLE001 - its jobs are answered at their deadline
                self._queue.note_fault(fault)

    def settled(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        """Answer the items of jobs whose delivery is over."""
        jobs = cast("Sequence[ItemJob]", jobs)  # a batch owns no others
        delivered = outcome.status == _DELIVERED and not outcome.warnings
        label: DestinationLabel | None = None
        add = self._answers.append
        for job in jobs:
            if not delivered:
                warnings = [*job.outcome.warnings, *outcome.warnings]
                event_type = job.outcome.event_type
                job.outcome = Outcome(
                    outcome.status, warnings, outcome.error, event_type=event_type
                )
            job.delivery = outcome
            if job.label is not label:
                label = job.label
                count = self._outcomes[label].append
            count(job.outcome)
            add(job)
        self._answered(len(jobs))
        try:
            self._queue.jobs_settled(self, jobs, outcome)
            if self._counts.tap.listening:
                for job in jobs:
                    self._counts.tell(
                        job.position, job.label, job.outcome, job, outcome.http_status
                    )
        except Exception as fault:  # noqa: BLE001 - the items are answered
            self._queue.note_fault(fault)

    def item_ref(self, job: Job) -> ItemRef | None:
        """Return the batch and position of a job of the same worker, None for other workers' jobs."""
        batch = job.owner
        if isinstance(batch, DeliveryBatch) and batch._queue is self._queue:  # noqa: SLF001
            return ItemRef(batch.batch_id, job.position)
        return None

    def _answered(self, items: int) -> None:
        self._unanswered -= items
        if self._unanswered == 0 and self._timer is not None:
            self._timer.cancel()
        self._queue.answered(self)

    def take_answers(self, taken: Answers | None = None) -> Answers:
        """Return the answers since the last time. taken: those of the last time, which are returned too."""
        answers, self._answers = self._answers, []
        if taken is not None:
            answers += taken.answers
        answers.sort(key=_position)
        return Answers(answers, self.complete)

    def encode(
        self,
        new_encoder: Callable[[NewResults], ResultsEncoder],
        faults: BatchFaults,
        taken: Answers,
    ) -> Iterator[Written]:
        """Yield answers in as few responses as fit.

        Args:
            new_encoder: makes an encoder without items.
            faults: how the answers that a fault left are written.
            taken: the answers.
        """
        answers, complete = taken
        if not answers and not complete:
            return
        self._counts.report()
        written = 0
        while True:
            encoder = new_encoder(faults.new_results)
            encoder.hidden = self._hidden
            unwritten = answers[written:]
            try:
                for response in encoded(encoder, unwritten, faults.outcome, complete=complete):
                    answered = answers[written : written + response.events]
                    written += response.events
                    yield self._written(response, answered)
            except Exception as fault:  # noqa: BLE001 - one batch's fault is not the stream's
                encoder.release()
                faults.note(fault)
            else:
                return

    def _written(self, response: EncodedResults, answers: list[ItemJob | UnsentItem]) -> Written:
        """Return a response with the events and bytes that it answers."""
        size = self.size if response.complete else 0
        for answer in answers:
            if type(answer) is ItemJob:
                size += answer.size
        # An empty batch counts as one outstanding event.
        return Written(response, response.events or 1, size)
