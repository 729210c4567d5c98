"""Every arrival of an operation, repeats included, with what was answered and whether the answer was written."""

import hashlib
import sys
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from .outcome import Outcome
from .request_log import MAX_EXCERPT_BYTES


class Arrival(Struct, gc=False):
    """One operation that arrived. An item of a v2 batch is an operation of its own."""

    number: int
    """Number from 1, in the order in which the sandbox applied, refused or failed the operations."""
    request: int
    """Number of the request, from 1, in the order in which the requests began."""
    connection: int
    """Number of the connection, from 1."""
    peer: str
    """Address and port at the other end of the connection."""
    method: str
    path: str
    batch_index: int | None
    """Position in a v2 batch; None outside of a batch."""
    operations: int
    """Number of operations in the request."""
    call: str
    who: str
    """Identifier in the operation, as sent; "" if the operation was not applied."""
    event_id: str
    """The event's `id`; "" if there is none."""
    body_sha256: str
    """Hash of the operation's JSON, as it was sent."""
    body: str
    """The first 1,000 bytes of the operation's JSON."""
    received_at: float
    """Unix seconds at which the request was complete."""
    decided_at: float
    """Unix seconds at which the operation was accepted, refused or failed."""
    result: str
    """accepted, refused or fault."""
    status: int
    """HTTP status for the operation; 0 if there was no answer."""
    fault: str = ""
    """The injected fault; "" if there was none."""
    answer: str = ""
    """written, or cut if the connection was gone before the answer."""
    answered_at: float = 0.0
    """Unix seconds at which the answer was written, or the connection was found cut."""


_NUMBERS_BYTES = 256
"""The numbers of an arrival, the address of its peer and its places in the store."""


class _Identified(Struct):
    id: Any = None


_read_id = Decoder(_Identified).decode


def _event_id(body: bytes, call: str) -> str:
    if call not in ("event", "page", "screen", "anonymous_event"):
        return ""
    try:
        event_id = _read_id(body).id
    except DecodeError:
        return ""
    return event_id if type(event_id) is str else ""


def _bytes_of(arrival: Arrival) -> int:
    """Return the bytes of memory that an arrival takes, or somewhat more."""
    texts = (arrival.path, arrival.who, arrival.event_id, arrival.body_sha256, arrival.body)
    return sys.getsizeof(arrival) + sum(map(_bytes_of_text, texts)) + _NUMBERS_BYTES


def _bytes_of_text(text: str) -> int:
    # A text that is not ASCII keeps its UTF-8, once that was read.
    return sys.getsizeof(text) + (0 if text.isascii() else len(text.encode()))


class Arrivals:
    """The latest arrivals whose requests are answered, in the order of the answers."""

    def __init__(self, keep: int, most_bytes: int) -> None:
        """Create an empty store. keep, most_bytes: limits of the arrivals, and of the memory that they take."""
        self.answered: deque[Arrival] = deque()
        self.bytes = 0
        """Bytes of memory that the kept arrivals take."""
        self._sizes: deque[int] = deque()
        self._keep = keep
        self._most_bytes = most_bytes
        self.total = 0
        """Number of arrivals whose requests are answered, the forgotten ones included."""
        self.open = 0
        """Number of requests that have no answer yet."""
        self._decided = 0

    def next_number(self) -> int:
        """Return the number of a new arrival."""
        self._decided += 1
        return self._decided

    def answer(self, arrivals: list[Arrival], how: str, at: float) -> None:
        """Keep the arrivals of one request, which was answered or cut."""
        for arrival in arrivals:
            arrival.answer, arrival.answered_at = how, at
            size = _bytes_of(arrival)
            self.answered.append(arrival)
            self._sizes.append(size)
            self.bytes += size
            while self.bytes > self._most_bytes or len(self.answered) > self._keep:
                self.answered.popleft()
                self.bytes -= self._sizes.popleft()
        self.total += len(arrivals)

    def after(self, position: int) -> Iterator[Arrival]:
        """Return the arrivals after so many, oldest answer first. The forgotten ones are left out."""
        forgotten = self.total - len(self.answered)
        return islice(self.answered, max(0, position - forgotten), None)


class RequestArrivals:
    """The arrivals of one request, until it is answered."""

    def __init__(
        self, store: Arrivals, request: int, connection: int, peer: str, method: str, path: str
    ) -> None:
        self._store = store
        self._request = request
        self._connection = connection
        self._peer = peer
        self._method = method
        self._path = path
        self._arrivals: list[Arrival] = []
        self.received_at = 0.0
        self.operations = 1
        store.open += 1

    def add(
        self,
        outcome: Outcome,
        *,
        at: float,
        status: int,
        call: str,
        who: str,
        body: bytes,
        batch_index: int | None,
        fault: str,
    ) -> None:
        """Add the arrival of one operation."""
        refused = outcome in (Outcome.REFUSED, Outcome.FAULT)
        self._arrivals.append(
            Arrival(
                number=self._store.next_number(),
                request=self._request,
                connection=self._connection,
                peer=self._peer,
                method=self._method,
                path=self._path,
                batch_index=batch_index,
                operations=self.operations,
                call=call,
                who=who,
                event_id=_event_id(body, call),
                body_sha256=hashlib.sha256(body).hexdigest(),
                body=body[:MAX_EXCERPT_BYTES].decode(errors="replace"),
                received_at=self.received_at or at,
                decided_at=at,
                result=str(outcome) if refused else "accepted",
                status=status,
                fault=fault,
            )
        )

    def fault_after(self, name: str) -> None:
        """Note a fault that was injected after the operations were applied."""
        for arrival in self._arrivals:
            arrival.fault = name

    def answer(self, at: float, *, written: bool) -> None:
        """Hand the arrivals over: the request was answered, or the connection is gone."""
        self._store.open -= 1
        self._store.answer(self._arrivals, "written" if written else "cut", at)
