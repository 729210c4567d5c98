"""The streams that are open, and what each has carried."""

import asyncio
import time
from types import TracebackType
from typing import Self

from ciosidecar.v1 import event_pb2
from ciosidecar.v1 import service_pb2 as pb

from .counting import printable
from .errors import ProtocolError
from .observer import RpcObserver, StreamCounts, StreamInfo, StreamSnapshot

_MAX_NAME_CHARACTERS = 64


class OpenStreams:
    """The open streams of a server."""

    def __init__(self, observer: RpcObserver) -> None:
        self.observer = observer
        self._records: dict[StreamRecord, None] = {}

    def add(self, record: "StreamRecord") -> None:
        """Report that a stream opened."""
        self._records[record] = None
        self.observer.stream_opened(record.info)

    def remove(self, record: "StreamRecord", reason: str) -> None:
        """Report that a stream closed."""
        del self._records[record]
        self.observer.stream_closed(record.info, record.counts(), reason)

    def snapshot(self) -> list[StreamSnapshot]:
        """Return the state of every open stream."""
        return [StreamSnapshot(record.info, record.counts()) for record in self._records]


class StreamRecord:
    """What one stream has carried; a context manager around its life.

    A stream that never opens is not reported.
    """

    def __init__(self, session_id: str, peer: str, streams: OpenStreams) -> None:
        self.info = StreamInfo(
            session_id, "", "", peer, delivery=False, destinations=0, connections=0
        )
        self._streams = streams
        self._opened_at: float | None = None
        self._batches = 0
        self._items = 0
        self._results = 0
        self.reason = "finished"
        """Why the stream closes, unless an exception says it."""

    def opened(self, opening: pb.OpenStream) -> None:
        """Report that the stream opened."""
        self._opened_at = time.monotonic()
        self.info = self.info._replace(
            client_name=printable(opening.client_name, _MAX_NAME_CHARACTERS),
            client_version=printable(opening.client_version, _MAX_NAME_CHARACTERS),
            delivery=opening.HasField("delivery"),
            destinations=len(opening.destinations),
            connections=len(opening.connections),
        )
        self._streams.add(self)

    def received(self, batch: event_pb2.Batch) -> None:
        """Count a batch."""
        self._batches += 1
        self._items += len(batch.items)

    def answered(self, response: pb.TransformStreamResponse) -> None:
        """Count the results of a response."""
        self._results += len(response.results.statuses)

    def counts(self) -> StreamCounts:
        """Return what the stream has carried so far."""
        opened_at = self._opened_at or 0.0
        duration_s = time.monotonic() - opened_at
        return StreamCounts(self._batches, self._items, self._results, duration_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Report that the stream closed."""
        if self._opened_at is not None:
            self._streams.remove(self, self.reason if fault is None else _reason(fault))


def _reason(fault: BaseException) -> str:
    if isinstance(fault, ProtocolError):
        return f"{fault.field}: {fault.text}"
    return "cancelled" if isinstance(fault, asyncio.CancelledError) else "internal error"
