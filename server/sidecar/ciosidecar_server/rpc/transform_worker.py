"""Batches → their results, one batch at a time and without delivery."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Self

from ciosidecar_transform import BatchTransform, ErrorCode, EventRejected, Outcome
from ciosidecar_transform.outcomes import rejected

from ..delivery.observer import UNTRACED, MessageTrace
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
        self._reporting = Reporting(output.max_bytes, one_message=output.one_response)
        self._templates = templates or EncodedTemplates()
        self._observer = observer
        self._counts = EventCounts(observer, stream, 0, delivery=False)
        self._encoder: ResultsEncoder | None = None
        self._trace = UNTRACED
        # The destination of the last item: most items have the same as the item before.
        self._label: DestinationLabel | None = None
        self._count: Callable[[Outcome], None]

    def begin(self, batch: Batch, trace: MessageTrace) -> Self:
        """Begin with a batch. Return this worker."""
        self._trace = trace
        self._counts.batch_id = batch_id = batch.batch_id
        encoder = self._encoder
        if encoder is None:
            encoder = self._encoder = ResultsEncoder(
                self._output.new_results, batch_id, self._reporting, self._templates
            )
        else:
            encoder.begin(batch_id)
        transform = BatchTransform(int(time.time()), encoder.writer)
        encoder.flush_requests = transform.flush
        self._add = transform.add
        # `process` may run in a thread; this runs in the event loop.
        self.accept = self._tell_and_answer if self._counts.tap.listening else encoder.writer.accept
        """Adds the result of an item."""
        return self

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
            self._count = self._counts.outcomes[item.label].append
        self._count(outcome)
        return outcome

    def _tell_and_answer(self, item: Decoded, outcome: Outcome) -> None:
        self._counts.tell(item.position, item.label, outcome)
        if self._encoder is not None:
            self._encoder.answer(item, outcome)

    async def pause(self) -> None:
        """Report the outcomes, and write the results that are complete."""
        self._counts.report()
        self._label = None  # its list of outcomes is reported
        if self._encoder is not None:
            for response in self._encoder.take():
                await self._output.write(response)

    async def end(self) -> None:
        """Report and write all that is left."""
        if self._encoder is not None:
            self._encoder.finish()
        del self._add, self.accept  # they hold the message
        await self.pause()
        if self._trace.span is not None:
            self._observer.batch_ended(self._trace)

    async def ready(self) -> None:
        """Return at once: nothing of earlier batches is outstanding."""

    async def finish(self) -> None:
        """Return at once: every batch is answered."""

    def abandon(self) -> Collection[asyncio.Future[None]]:
        """Return no task: none works beside the caller's."""
        return ()
