"""One batch in delivery: its items are answered separately, in any order."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from ciosidecar_transform import Outcome, RequestTemplate, Warning
from ciosidecar_transform.pipeline import WITHOUT_WARNINGS, internal_error

from ..delivery.endpoints import TrackApiEndpoints
from ..delivery.job import Job
from ..delivery.observer import MessageTrace
from ..delivery.outcomes import DeliveryOutcome, ItemRef
from ..delivery.workspace_queue import WorkspaceQueue
from .batch_faults import BatchFaults
from .counting import DestinationLabel, EventCounts
from .decoding import Decoded, DecodedEvent, PreparedItem
from .delivery_items import NOT_SENT, Deliverable, deliverable
from .details import Delivered
from .request_message import Batch
from .results_encoder import ResultsEncoder
from .results_message import EncodedResults, NewResults

MESSAGE_BYTES = 512
"""What a batch, or a job, counts for in outstanding bytes beside its own."""


class JobQueue(Protocol):
    """The worker that a batch belongs to."""

    @property
    def draining(self) -> bool:
        """Whether nothing more is sent."""

    def submit(self, batch: "DeliveryBatch", job: Job, *, again: bool) -> None:
        """Queue a job of a batch. again: whether the caller has sent the item before."""

    def job_settled(self, batch: "DeliveryBatch", job: Job, outcome: DeliveryOutcome) -> None:
        """Free the job's share. After a retryable failure, tell the resend gate, which blocks the person's later items."""

    def answered(self, batch: "DeliveryBatch") -> None:
        """Write the new results of a batch soon."""


class _Answer(NamedTuple):
    position: int
    tag: bytes
    outcome: Outcome
    delivered: Delivered | None = None


class Answers(NamedTuple):
    """Answers of a batch that are not written yet, by position."""

    answers: list[_Answer]
    are_last: bool
    """Whether the batch is complete with these."""


class Written(NamedTuple):
    """A response, and the events and bytes that are no longer outstanding once it is written."""

    response: EncodedResults
    events: int
    size: int


class DeliveryBatch:
    """A batch of which some items are not answered yet, and the owner of its jobs."""

    def __init__(
        self,
        queue: JobQueue,
        batch: Batch,
        endpoints: TrackApiEndpoints,
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
        # The label and the type of each event whose job is not settled.
        self._submitted: dict[int, tuple[DestinationLabel, str]] = {}
        self._endpoints = endpoints
        self.batch_id = batch.batch_id
        self._unanswered = batch.item_count
        self._tags = batch.tags()
        self._warnings: dict[int, list[Warning]] = {}
        self._answers: list[_Answer] = []
        self._timer: asyncio.TimerHandle | None = None
        self._now = int(time.time())
        self.size = MESSAGE_BYTES + sum(map(len, self._tags.values()))
        """Outstanding bytes that the batch counts for, beside its jobs, until it is complete."""
        self.deadline = 0.0
        self.submitting = True
        """Whether items are still to be submitted."""
        self._jobs: dict[WorkspaceQueue, list[Job]] = {}
        self._hidden: set[RequestTemplate] = set()

    @property
    def complete(self) -> bool:
        """Whether every item is answered."""
        return self._unanswered == 0

    def expire_at(self, deadline: float) -> None:
        """Set the time at which the delivery of the batch ends."""
        self.deadline = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        for workspace, jobs in self._jobs.items():
            workspace.expire(jobs)

    def abandon(self) -> None:
        """Forget all jobs: the caller is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._counts.report()
        for workspace, jobs in self._jobs.items():
            workspace.forget(jobs)

    def submitted_to(self, workspace: WorkspaceQueue, job: Job) -> None:
        """Record the workspace of a job, so that its deadline and its end reach the job there."""
        self._jobs.setdefault(workspace, []).append(job)

    def process(self, item: Decoded) -> Deliverable:
        """Transform an item, or read its prepared request.

        While the server drains, items are not even transformed: their results must be on their way
        before the grace is over.
        """
        if self._queue.draining:
            return NOT_SENT
        try:
            return deliverable(item, self._now, self._endpoints)
        except Exception as fault:  # noqa: BLE001 - one item's fault is not the batch's
            return Deliverable(internal_error(fault, []))

    def accept(self, item: Decoded, processed: Deliverable) -> None:
        """Submit the request of an item, or answer an item that has none."""
        outcome, request, keys, fingerprint = processed
        if request is None:
            self._outcomes[item.label].append(outcome)
            if self._counts.tap.listening:
                self._counts.tell(item.position, item.label, outcome)
            self._answer(item.position, outcome)
            return
        self._submitted[item.position] = (item.label, outcome.event_type)
        if outcome.warnings:
            self._warnings[item.position] = outcome.warnings
        if isinstance(item, DecodedEvent) and item.hides_credentials:
            self._hidden.add(request.template)
        job = Job(
            request,
            keys,
            self.deadline,
            self,
            item.position,
            fingerprint,
            size=MESSAGE_BYTES + len(request.path) + len(request.body),
            alone=item.fields.dont_batch,
            prepared=isinstance(item, PreparedItem),
            destination_ref=item.label.destination_ref,
        )
        self._queue.submit(self, job, again=item.fields.attempt > 0)

    def begin_again(self, processed: int, fault: Exception) -> int:
        """Raise the fault: what was submitted is on its way, and what was not has no place in the order."""
        del processed
        raise fault

    async def pause(self) -> None:
        """Return at once: the worker writes results beside."""

    async def end(self) -> None:
        """Return at once: jobs are answered when their delivery is over."""

    def finish(self) -> None:
        """Let the requests go that waited for the last item."""
        self.submitting = False
        for workspace in self._jobs:
            workspace.message_submitted()

    def settled(self, job: Job, outcome: DeliveryOutcome) -> None:
        """Answer an item whose delivery is over."""
        self._queue.job_settled(self, job, outcome)
        warnings = self._warnings.pop(job.position, None)
        if outcome.warnings:
            warnings = [*(warnings or ()), *outcome.warnings]
        label, event_type = self._submitted.pop(job.position)
        answer = WITHOUT_WARNINGS.get(event_type)
        if answer is None or warnings or outcome.status != answer.status:
            answer = Outcome(outcome.status, warnings or [], outcome.error, event_type=event_type)
        self._outcomes[label].append(answer)
        if self._counts.tap.listening:
            self._counts.tell(job.position, label, answer, job, outcome.http_status)
        self._answer(job.position, answer, Delivered(job, outcome))

    def item_ref(self, job: Job) -> ItemRef | None:
        """Return the batch and position of a job of the same worker, None for other workers' jobs."""
        batch = job.owner
        if isinstance(batch, DeliveryBatch) and batch._queue is self._queue:  # noqa: SLF001
            return ItemRef(batch.batch_id, job.position)
        return None

    def _answer(self, position: int, outcome: Outcome, delivered: Delivered | None = None) -> None:
        tag = self._tags.get(position, b"")
        self._answers.append(_Answer(position, tag, outcome, delivered))
        self._unanswered -= 1
        if self._unanswered == 0 and self._timer is not None:
            self._timer.cancel()
        self._queue.answered(self)

    def take_answers(self, taken: Answers | None = None) -> Answers:
        """Return the answers since the last time. taken: those of the last time, which are returned too."""
        answers, self._answers = self._answers, []
        if taken is not None:
            answers += taken.answers
        return Answers(sorted(answers, key=_position), self.complete)

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
                for response in _encoded(encoder, unwritten, faults.outcome, complete=complete):
                    answered = answers[written : written + response.events]
                    written += response.events
                    yield self._written(response, answered)
            except Exception as fault:  # noqa: BLE001 - one batch's fault is not the stream's
                encoder.release()
                faults.note(fault)
            else:
                return

    def _written(self, response: EncodedResults, answers: list[_Answer]) -> Written:
        """Return a response with the events and bytes that it answers."""
        size = self.size if response.complete else 0
        for answer in answers:
            if answer.delivered is not None:
                size += answer.delivered.job.size
        # An empty batch counts as one outstanding event.
        return Written(response, response.events or 1, size)


def _encoded(
    encoder: ResultsEncoder, answers: list[_Answer], instead: Outcome | None, *, complete: bool
) -> Iterator[EncodedResults]:
    """Yield the responses that carry answers. instead: the outcome of all; None: their own."""
    for answer in answers:
        if instead is None:
            encoder.answer(answer, answer.outcome, answer.delivered)
        else:
            encoder.answer(answer, instead)
        yield from encoder.take()
    encoder.finish(complete=complete)
    yield from encoder.take()


def _position(answer: _Answer) -> int:
    return answer.position
