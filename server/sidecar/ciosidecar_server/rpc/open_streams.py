"""The streams that are open, and what each has carried."""

import asyncio
import time
from types import TracebackType
from typing import Self

from ciosidecar.v1 import service_pb2 as pb

from .counting import printable, shown_ref
from .errors import ProtocolError
from .observer import STALLED_S, RpcObserver, StreamCounts, StreamInfo, StreamSnapshot
from .tap import ItemTap

_MAX_NAME_CHARACTERS = 64


class OpenStreams:
    """The open streams of a server."""

    def __init__(self, observer: RpcObserver, tap: ItemTap) -> None:
        self.observer = observer
        self.tap = tap
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
        return [
            StreamSnapshot(record.info, record.counts(), record.unread_s())
            for record in self._records
        ]


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
        self._writing_since: float | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._stalled = False
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
            destination_ref=_first_ref(opening),
        )
        self._streams.add(self)

    def received(self, items: int) -> None:
        """Count a batch. items: the number of its items."""
        self._batches += 1
        self._items += items

    def answered(self, events: int) -> None:
        """Count the results of a message."""
        self._results += events

    def write_began(self) -> None:
        """Watch how long the caller takes to read: a write lasts until there is room for its message."""
        self._writing_since = time.monotonic()
        # One timer serves all writes of five seconds: to make one takes as long as an event.
        if self._watching is None:
            self._watch(STALLED_S)

    def write_ended(self, *, read: bool) -> None:
        """End the watch. read: whether the caller has read, and is not gone."""
        if self._stalled and read:
            self._streams.observer.stream_read(self.info, self.unread_s())
        self._stalled = False
        self._writing_since = None

    def _watch(self, delay_s: float) -> None:
        self._watching = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look(self) -> None:
        self._watching = None
        if self._writing_since is None or self._opened_at is None:
            return
        left_s = STALLED_S - self.unread_s()
        if left_s > 0.0:
            self._watch(left_s)
        else:
            self._stalled = True
            self._streams.observer.stream_stalled(self.info, self.counts())

    def unread_s(self) -> float:
        """Return how long a message waits for the caller to read; 0 if none waits."""
        return 0.0 if self._writing_since is None else time.monotonic() - self._writing_since

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
        if self._watching is not None:
            self._watching.cancel()
        if self._opened_at is not None:
            self._streams.remove(self, self.reason if fault is None else _reason(fault))


def _first_ref(opening: pb.OpenStream) -> str:
    refs = (declared.destination_ref for declared in opening.destinations)
    return shown_ref(next((ref for ref in refs if ref), ""))


def _reason(fault: BaseException) -> str:
    if isinstance(fault, ProtocolError):
        return f"{fault.field}: {fault.text}"
    return "cancelled" if isinstance(fault, asyncio.CancelledError) else "internal error"
