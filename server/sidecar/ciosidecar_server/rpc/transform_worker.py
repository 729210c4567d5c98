"""Batches → their results, one batch at a time and without delivery."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Self

from ciosidecar_transform import BatchTransform, ErrorCode, EventRejected, Outcome
from ciosidecar_transform.outcomes import rejected

from ..delivery.observer import UNTRACED, MessageTrace
from .batch_faults import BatchFaults
from .counting import DestinationLabel, EventCounts
from .decoding import Decoded, DecodedEvent, RejectedItem
from .observer import RpcObserver
from .request_message import Batch
from .results_encoder import Reporting, ResultsEncoder
from .results_message import EncodedResults, NewResults
from .tap import StreamTap
from .templates import EncodedTemplates
from .turns import Turns
from .worker import Output, results_too_large

_NO_DELIVERY = rejected(
    EventRejected(
        ErrorCode.INVALID_ITEM,
        "a prepared request can only be delivered, and this call does not deliver (12.1)",
    )
)


class TransformWorker:
    """The worker of calls without delivery, and its work on the batch of the moment.

    Each batch is answered before the next begins.
    """

    idle = True
    """Whether every batch is answered."""
    writing = None
    """No task writes beside the reading."""

    def __init__(
        self,
        output: Output,
        observer: RpcObserver,
        stream: StreamTap,
        templates: EncodedTemplates | None = None,
    ) -> None:
        """Begin without a batch.

        Args:
            output: where results go.
            observer: receives the counts of answered events.
            stream: receives each answered event, while it listens.
            templates: the request templates that are encoded already. Optional.
        """
        self._output = output
        self._reporting = Reporting(
            output.max_bytes, one_message=output.one_response, splits=output.splits
        )
        self._templates = templates or EncodedTemplates()
        self._observer = observer
        self._counts = EventCounts(observer, stream, 0, delivery=False)
        self._encoder: ResultsEncoder | None = None
        self._recovery: _Recovery | None = None
        self._trace = UNTRACED
        self._now = 0
        self._outcomes = self._counts.outcomes
        # The destination of the last item: most items have the same as the item before.
        self._label: DestinationLabel | None = None
        self._count: Callable[[Outcome], None]

    def begin(self, batch: Batch, trace: MessageTrace) -> Self:
        """Begin with a batch. Return this worker."""
        self._trace = trace
        self._counts.batch_id = batch.batch_id
        self._now = int(time.time())
        if self._recovery is not None:
            # The batch before met a fault. This one is worked on as if there had been none.
            self._encoder = self._recovery = None
            self._outcomes = self._counts.outcomes
            del self.process
        if self._encoder is None:
            self._encoder = self._new_encoder(self._output.writers.chosen)
        else:
            self._encoder.begin(batch.batch_id)
        self._begin_writing(self._encoder)
        return self

    def _new_encoder(self, new_results: NewResults) -> ResultsEncoder:
        return ResultsEncoder(new_results, self._counts.batch_id, self._reporting, self._templates)

    def _begin_writing(self, encoder: ResultsEncoder) -> None:
        """Let the next results go to a message of the encoder."""
        transform = BatchTransform(self._now, encoder.writer)
        encoder.flush_requests = transform.flush
        self._add = transform.add
        # `process` may run in a thread; this runs in the event loop.
        self.accept = self._tell_and_answer if self._counts.tap.listening else encoder.writer.accept
        """Adds the result of an item."""

    def process(self, item: Decoded) -> Outcome:
        """Transform an item."""
        if type(item) is DecodedEvent:
            fields = item.fields
            outcome = self._add(
                item.position,
                item.event,
                item.destination,
                source_type=fields.source_type,
                alone=fields.dont_batch,
                connection=item.connection,
            )
        else:
            outcome = item.outcome if type(item) is RejectedItem else _NO_DELIVERY
        if item.label is not self._label:
            self._label = item.label
            self._count = self._outcomes[item.label].append
        self._count(outcome)
        return outcome

    def _tell_and_answer(self, item: Decoded, outcome: Outcome) -> None:
        self._counts.tell(item.position, item.label, outcome)
        if self._encoder is not None:
            self._encoder.answer(item, outcome)

    def begin_again(self, processed: int, fault: Exception) -> int:
        """Return the position of the first item that no complete message answers. Items come again from there."""
        encoder, recovery = self._encoder, self._recovery
        if encoder is None:
            raise fault
        if recovery is None:
            faults = BatchFaults(self._output.writers, self._observer)
            recovery = self._recovery = _Recovery(faults, processed, encoder.closed_items)
            self.process = self._process_again  # type: ignore[method-assign]
        recovery.faults.note(fault)
        recovery.finished += encoder.take()
        recovery.answered += encoder.closed_items
        encoder.release()
        self._encoder = self._new_encoder(recovery.faults.new_results)
        self._begin_writing(self._encoder)
        recovery.forget_lost()
        # What comes again is counted at the end.
        self._outcomes = defaultdict(list)
        self._label = None
        return recovery.answered

    def _process_again(self, item: Decoded) -> Outcome:
        recovery = self._recovery
        assert recovery is not None  # noqa: S101 - set before this can be called
        outcome = recovery.faults.outcome or TransformWorker.process(self, item)
        recovery.again.append((item.label, outcome))
        return outcome

    def close(self) -> None:
        """Complete the last message of results."""
        self._require_room()
        if self._encoder is not None:
            self._encoder.finish()

    async def pause(self) -> None:
        """Write the results that are complete."""
        self._require_room()
        finished = self._encoder.take() if self._encoder is not None else []
        if self._recovery is not None:
            finished = [*self._recovery.finished, *finished]
            self._recovery.finished = []
        for response in finished:
            await self._output.write(response)

    async def end(self) -> None:
        """Report the outcomes, and write the other results."""
        if self._recovery is not None:
            self._recovery.recount(self._counts.outcomes)
        turns = Turns()
        while self._counts.report_some():
            if turns.over:
                await turns.next()
        self._label = None  # its list of outcomes is reported
        del self._add, self.accept  # they hold the message
        await self.pause()
        if self._trace.span is not None:
            self._observer.batch_ended(self._trace)

    def _require_room(self) -> None:
        """Raise ProtocolError if the results have more than the only message holds."""
        if self._encoder is not None and self._encoder.too_large:
            self._encoder.release()
            raise results_too_large(self._output.max_bytes)

    async def ready(self) -> None:
        """Return at once: nothing of earlier batches is outstanding."""

    async def finish(self) -> None:
        """Return at once: every batch is answered."""

    def abandon(self) -> Collection[asyncio.Future[None]]:
        """Return no task: none works beside the caller's."""
        return ()


class _Recovery:
    """What a batch with a fault has had before its first fault, and what came again since."""

    def __init__(self, faults: BatchFaults, counted: int, answered_before: int) -> None:
        """Begin at the first fault.

        Args:
            faults: the faults of the batch.
            counted: the number of items that are counted.
            answered_before: the number of items in complete messages.
        """
        self.faults = faults
        self.finished: list[EncodedResults] = []
        """Complete messages that are not written."""
        self.answered = 0
        """The number of items in all complete messages."""
        self.again: list[tuple[DestinationLabel, Outcome]] = []
        """The items that came again, in their order."""
        self._counted = counted
        self._again_from = answered_before

    def forget_lost(self) -> None:
        """Forget the items that come once more."""
        del self.again[self.answered - self._again_from :]

    def recount(self, outcomes: defaultdict[DestinationLabel, list[Outcome]]) -> None:
        """Count the items that came again, in place of their first outcomes. outcomes: the counts of the batch."""
        # The lost ones are the last of each destination.
        for label, _ in self.again[: self._counted - self._again_from]:
            outcomes[label].pop()
        for label, outcome in self.again:
            outcomes[label].append(outcome)
