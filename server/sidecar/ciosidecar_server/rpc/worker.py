"""The work on a batch: its items are decoded, then a worker transforms or delivers them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NamedTuple, Protocol

from grpc import StatusCode

from ..delivery.observer import UNTRACED, MessageTrace
from ..settings import Settings
from .batch_items import BatchWork, work_on_items
from .decoding import BatchDecoder
from .destinations import KnownDestinations
from .errors import ProtocolError
from .observer import BatchInfo, Caller, RpcObserver
from .request_message import Batch
from .results_message import EncodedResults, ResultsWriters


class Output(NamedTuple):
    """Where results go, and in which messages."""

    writers: ResultsWriters
    write: Callable[[EncodedResults], Awaitable[None]]
    """Sends a response to the caller. Raises an exception if the caller is gone."""
    max_bytes: int | None = None
    """The size of one response; None: no limit."""
    one_response: bool = False
    """Whether the results of a batch are one response. Requests that do not fit are left out."""
    splits: bool = True
    """Whether results that do not fit one response have several. Otherwise they fail the call."""


class Collected:
    """The response of a unary call."""

    def __init__(
        self, writers: ResultsWriters, max_bytes: int, *, one_response: bool = True
    ) -> None:
        """Begin without a response.

        Args:
            writers: as in `Output`.
            max_bytes: as in `Output`.
            one_response: as in `Output`. Without it, results that do not fit one response fail the call.
        """
        self._response: EncodedResults | None = None
        self.output = Output(writers, self._write, max_bytes, one_response, splits=False)

    async def _write(self, response: EncodedResults) -> None:
        self._response = response

    @property
    def response(self) -> EncodedResults:
        """Return the only response."""
        if self._response is None:
            raise RuntimeError("there is no response")
        return self._response


def results_too_large(max_bytes: int | None) -> ProtocolError:
    """Return the error of a call whose results have more than max_bytes."""
    return ProtocolError(
        "batch",
        f"its results have more than {max_bytes} bytes (--max-message-bytes): send fewer events a"
        " batch, or use a stream, which splits results",
        StatusCode.RESOURCE_EXHAUSTED,
    )


class Worker(Protocol):
    """The part of a stream or call that turns decoded items into outcomes."""

    @property
    def writing(self) -> asyncio.Future[None] | None:
        """Return the task that writes results beside the reading. It ends only with the worker or an exception."""

    @property
    def idle(self) -> bool:
        """Return whether every batch is answered."""

    def begin(self, batch: Batch, trace: MessageTrace) -> BatchWork[Any]:
        """Return the work on a batch. It reports the end of the trace."""

    async def ready(self) -> None:
        """Wait until the next batch may be read."""

    async def finish(self) -> None:
        """Wait until every batch is answered and written."""

    def abandon(self) -> Collection[asyncio.Future[None]]:
        """Forget what is not answered. Return the tasks that end now."""


async def process_batch(
    batch: Batch,
    known: KnownDestinations,
    settings: Settings,
    worker: Worker,
    observer: RpcObserver,
    caller: Caller,
) -> None:
    """Check a batch, decode its items and hand them to a worker, in turns with other callers.

    Raises:
        ProtocolError: the batch has too many items.
    """
    check_size(batch, settings)
    trace = _begin_trace(batch, observer, caller) if observer.traces else UNTRACED
    try:
        work = worker.begin(batch, trace)
        decoder = BatchDecoder(batch, known, settings.max_event_bytes)
        observer.batch_received(await work_on_items(batch, decoder, work))
        await work.end()
    except BaseException:
        observer.batch_ended(trace)
        raise


def _begin_trace(batch: Batch, observer: RpcObserver, caller: Caller) -> MessageTrace:
    trace = MessageTrace()
    observer.batch_began(
        BatchInfo(batch.batch_id, batch.item_count, batch.traceparent, caller), trace
    )
    if trace.span is not None:
        trace.traceparents = dict(batch.traceparents())
    return trace


def check_size(batch: Batch, settings: Settings) -> None:
    """Raise ProtocolError for a batch of too many items."""
    if batch.item_count > settings.max_batch_events:
        raise ProtocolError(
            "batch.items",
            f"{batch.item_count} events where a batch may hold {settings.max_batch_events}",
        )
