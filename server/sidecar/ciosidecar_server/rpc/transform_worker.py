"""Batches → their results, one batch at a time and without delivery."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection

from ciosidecar_transform import BatchTransform, ErrorCode, EventRejected, Outcome
from ciosidecar_transform.outcomes import rejected

from ..delivery.observer import MessageTrace
from .batch_faults import BatchFaults
from .counting import DestinationLabel, EventCounts
from .decoding import Decoded, DecodedEvent, RejectedItem
from .observer import RpcObserver
from .request_message import Batch
from .results_encoder import Reporting, ResultsEncoder
from .tap import StreamTap
from .templates import EncodedTemplates
from .worker import Output, results_too_large

_NO_DELIVERY = rejected(
    EventRejected(
        ErrorCode.INVALID_ITEM,
        "a prepared request can only be delivered, and this call does not deliver (12.1)",
    )
)


class TransformWorker:
    """The worker of calls without delivery. Each batch is answered before the next begins."""

    idle = True
    """Whether every batch is answered."""
    writing = None
    """No task writes beside the reading."""

    def __init__(self, output: Output, observer: RpcObserver, stream: StreamTap) -> None:
        self._output = output
        self._templates = EncodedTemplates()
        self._stream = stream
        self._observer = observer
        self._reporting = Reporting(
            output.max_bytes, one_message=output.one_response, splits=output.splits
        )

    def begin(self, batch: Batch, trace: MessageTrace) -> "TransformBatch":
        """Return the work on a batch."""
        counts = EventCounts(self._observer, self._stream, batch.batch_id, delivery=False)
        return TransformBatch(
            batch,
            self._output,
            self._reporting,
            self._templates,
            counts,
            BatchFaults(self._output.writers, self._observer),
            lambda: self._observer.batch_ended(trace),
        )

    async def ready(self) -> None:
        """Return at once: nothing of earlier batches is outstanding."""

    async def finish(self) -> None:
        """Return at once: every batch is answered."""

    def abandon(self) -> Collection[asyncio.Future[None]]:
        """Return no task: none works beside the caller's."""
        return ()


class TransformBatch:
    """The transform of one batch."""

    def __init__(
        self,
        batch: Batch,
        output: Output,
        reporting: Reporting,
        templates: EncodedTemplates,
        counts: EventCounts,
        faults: BatchFaults,
        ended: Callable[[], None],
    ) -> None:
        self._ended = ended
        self._output = output
        self._batch_id = batch.batch_id
        self._reporting = reporting
        self._templates = templates
        self._faults = faults
        self._now = int(time.time())
        self._counts = counts
        self._outcomes = counts.outcomes
        # The destination of the last item: most items have the same as the item before.
        self._label: DestinationLabel | None = None
        self._count: Callable[[Outcome], None]
        self._begin()
        # The results before a fault: messages that are not written, and the items in all messages.
        self._finished = self._encoder.take()
        self._answered = 0
        self._counted: int | None = None
        """The number of items that were counted before the first fault; None before it."""
        self._again: list[tuple[DestinationLabel, Outcome]] = []
        """The items that came again, from `_again_from` on."""
        self._again_from = 0

    def _begin(self) -> None:
        """Begin to write results that are not written."""
        self._encoder = encoder = ResultsEncoder(
            self._faults.new_results, self._batch_id, self._reporting, self._templates
        )
        transform = BatchTransform(self._now, encoder.writer)
        encoder.flush_requests = transform.flush
        self._add = transform.add
        self.accept = self._tell_and_answer if self._counts.tap.listening else encoder.writer.accept
        """Adds the result of an item. It runs in the event loop."""

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
        self._encoder.answer(item, outcome)

    def begin_again(self, processed: int, fault: Exception) -> int:
        """Return the position of the first item that no complete message answers. Items come again from there."""
        self._faults.note(fault)
        self._finished += self._encoder.take()
        self._answered += self._encoder.closed_items
        self._encoder.release()
        self._begin()
        if self._counted is None:
            self._counted, self._again_from = processed, self._answered
            self.process = self._process_again  # type: ignore[method-assign]
        del self._again[self._answered - self._again_from :]
        # What comes again is counted at the end.
        self._outcomes = defaultdict(list)
        self._label = None
        return self._answered

    def _process_again(self, item: Decoded) -> Outcome:
        outcome = self._faults.outcome or TransformBatch.process(self, item)
        self._again.append((item.label, outcome))
        return outcome

    def _recount(self) -> None:
        """Count the items that came again, in place of their first outcomes."""
        if self._counted is None:
            return
        outcomes = self._counts.outcomes
        # The lost ones are the last of each destination.
        for label, _ in self._again[: self._counted - self._again_from]:
            outcomes[label].pop()
        for label, outcome in self._again:
            outcomes[label].append(outcome)

    def finish(self) -> None:
        """Complete the last message of results."""
        self._require_room()
        self._encoder.finish()

    async def pause(self) -> None:
        """Write the results that are complete."""
        self._require_room()
        finished, self._finished = self._finished, []
        for response in (*finished, *self._encoder.take()):
            await self._output.write(response)

    async def end(self) -> None:
        """Write the other results."""
        self._recount()
        self._counts.report()
        await self.pause()
        self._ended()

    def _require_room(self) -> None:
        """Raise ProtocolError if the results have more than the only message holds."""
        if self._encoder.too_large:
            self._encoder.release()
            raise results_too_large(self._output.max_bytes)
