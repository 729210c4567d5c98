"""The work on a batch: its items are decoded, then a worker transforms or delivers them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeVar

from ciosidecar.v1 import event_pb2 as pb
from grpc import StatusCode

from ..delivery.observer import UNTRACED, MessageTrace
from ..settings import Settings
from .decoding import BatchDecoder, Decoded
from .destinations import KnownDestinations
from .errors import ProtocolError
from .observer import BatchInfo, Caller, RpcObserver
from .request_message import Batch, ItemOptions
from .results_message import EncodedResults, NewResults
from .turns import LARGE_BYTES, TURN_S, in_thread, next_turn

Processed = TypeVar("Processed")


class Output(NamedTuple):
    """Where results go, and in which messages."""

    new_results: NewResults
    write: Callable[[EncodedResults], Awaitable[None]]
    """Sends a response to the caller. Raises an exception if the caller is gone."""
    max_bytes: int | None = None
    """The size of one response; None: no limit."""
    one_response: bool = False
    """Whether the results of a batch are one response. Requests that do not fit are left out."""


class Collected:
    """The response of a unary call."""

    def __init__(
        self, new_results: NewResults, max_bytes: int, *, one_response: bool = True
    ) -> None:
        """Begin without a response.

        Args:
            new_results: makes an empty message of results.
            max_bytes: as in `Output`.
            one_response: as in `Output`. Without it, results that do not fit one response fail the call.
        """
        self._response: EncodedResults | None = None
        self._max_bytes = max_bytes
        self.output = Output(new_results, self._write, max_bytes, one_response=one_response)

    async def _write(self, response: EncodedResults) -> None:
        if self._response is not None:
            raise ProtocolError(
                "batch",
                f"its results have more than {self._max_bytes} bytes (--max-message-bytes): send fewer events a"
                " batch, or use a stream, which splits results",
                StatusCode.RESOURCE_EXHAUSTED,
            )
        self._response = response

    @property
    def response(self) -> EncodedResults:
        """The only response."""
        if self._response is None:
            raise RuntimeError("there is no response")
        return self._response


class BatchWork(Protocol[Processed]):
    """The work on one batch. Its items come in their order."""

    def process(self, item: Decoded) -> Processed:
        """Do the part that needs the processor. It may run in a thread."""

    def accept(self, item: Decoded, processed: Processed, /) -> Any:
        """Do the rest, in the event loop."""

    async def pause(self) -> None:
        """Write what is ready: other callers have their turn next."""

    async def end(self) -> None:
        """Do what waited for the last item to be accepted, and write what is ready."""


class Worker(Protocol):
    """The part of a stream or call that turns decoded items into outcomes."""

    @property
    def writing(self) -> asyncio.Future[None] | None:
        """The task that writes results beside the reading. It ends only with the worker, or with an exception."""

    @property
    def idle(self) -> bool:
        """Whether every batch is answered."""

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
        decode = BatchDecoder(batch, known, settings.max_event_bytes).decode
        process, accept = work.process, work.accept
        worked_s = 0.0
        begun_at = perf_counter()
        turn_end = begun_at + TURN_S
        for position, (item, json) in enumerate(batch.items()):
            if perf_counter() > turn_end:
                worked_s += perf_counter() - begun_at
                await work.pause()
                await next_turn()
                begun_at = perf_counter()
                turn_end = begun_at + TURN_S
            if (len(json) or _size_of_other(item)) > LARGE_BYTES:
                work_on_item = partial(_decode_and_process, decode, process, position, item, json)
                accept(*await in_thread(work_on_item))
            else:
                decoded = decode(position, item, json)
                accept(decoded, process(decoded))
        observer.batch_received(worked_s + perf_counter() - begun_at)
        await work.end()
    except BaseException:
        observer.batch_ended(trace)
        raise


def _decode_and_process(
    decode: Callable[[int, ItemOptions, bytes], Decoded],
    process: Callable[[Decoded], Processed],
    position: int,
    item: ItemOptions,
    json: bytes,
) -> tuple[Decoded, Processed]:
    decoded = decode(position, item, json)
    return decoded, process(decoded)


def _begin_trace(batch: Batch, observer: RpcObserver, caller: Caller) -> MessageTrace:
    trace = MessageTrace()
    observer.batch_began(
        BatchInfo(batch.batch_id, batch.item_count, batch.traceparent, caller), trace
    )
    if trace.span is not None:
        trace.traceparents = dict(batch.traceparents())
    return trace


def _size_of_other(item: ItemOptions) -> int:
    """Return the bytes of an item that has no JSON."""
    return item.ByteSize() if isinstance(item, pb.BatchItem) else 0


def check_size(batch: Batch, settings: Settings) -> None:
    """Raise ProtocolError for a batch of too many items."""
    if batch.item_count > settings.max_batch_events:
        raise ProtocolError(
            "batch.items",
            f"{batch.item_count} events where a batch may hold {settings.max_batch_events}",
        )
