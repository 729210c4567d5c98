"""Batches → their results, one batch at a time and without delivery."""

import asyncio
import time
from collections.abc import Callable, Collection

from ciosidecar_transform import BatchTransform, ErrorCode, EventRejected, Outcome
from ciosidecar_transform.outcomes import rejected

from ..delivery.observer import MessageTrace
from .counting import DestinationLabel, EventCounts
from .decoding import Decoded, DecodedEvent, RejectedItem
from .observer import RpcObserver
from .request_message import Batch
from .results_encoder import Reporting, ResultsEncoder
from .tap import StreamTap
from .templates import EncodedTemplates
from .worker import Output

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
        self._reporting = Reporting(output.max_bytes, one_message=output.one_response)

    def begin(self, batch: Batch, trace: MessageTrace) -> "TransformBatch":
        """Return the work on a batch."""
        counts = EventCounts(self._observer, self._stream, batch.batch_id, delivery=False)
        return TransformBatch(
            batch,
            self._output,
            self._reporting,
            self._templates,
            counts,
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
        ended: Callable[[], None],
    ) -> None:
        self._ended = ended
        self._write = output.write
        self._counts = counts
        self._outcomes = counts.outcomes
        # The destination of the last item: most items have the same as the item before.
        self._label: DestinationLabel | None = None
        self._count: Callable[[Outcome], None]
        self._encoder = ResultsEncoder(output.new_results, batch.batch_id, reporting, templates)
        transform = BatchTransform(int(time.time()), self._encoder.writer)
        self._encoder.flush_requests = transform.flush
        self._add = transform.add
        # `process` may run in a thread; this runs in the event loop.
        self.accept = self._tell_and_answer if counts.tap.listening else self._encoder.writer.accept
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
        self._encoder.answer(item, outcome)

    async def pause(self) -> None:
        """Write the results that are complete."""
        for response in self._encoder.take():
            await self._write(response)

    async def end(self) -> None:
        """Write the other results."""
        self._encoder.finish()
        self._counts.report()
        await self.pause()
        self._ended()
