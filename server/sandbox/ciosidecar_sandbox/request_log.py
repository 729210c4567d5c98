"""The log of requests: one row for each operation, with its response and its outcome."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from msgspec import Struct

from .outcome import Effect, Outcome

MAX_EXCERPT_BYTES = 1000
MAX_WAITING_ROWS = 1000
"""Rows that may wait for a subscriber. If there are more, the subscriber loses the oldest."""


class LogRow(Struct, frozen=True, gc=False):
    """One operation. A batch has a row for each of its items, with the same request number."""

    number: int
    """Number of the row, from 1."""
    request: int
    """Number of the request, from 1."""
    at: float
    """Unix seconds of receipt."""
    method: str
    path: str
    """Path as sent, with the query."""
    status: int
    """HTTP status of the response; 0 if there was none."""
    batch_index: int | None
    """Position in a v2 batch; None outside of a batch."""
    call: str
    """identify, event, add_device, merge, …"""
    who: str
    """Identifier in the operation, as sent: "id 42"; "" if there is none."""
    outcome: Outcome
    reason: str
    """Why the operation was refused or had no effect, or a remark; "" for none."""
    person: str
    """cio_id of the person that the operation concerned; "" if there is none."""
    body: str
    """The first 1,000 bytes of the operation's JSON."""


class RequestLog:
    """The latest rows, and counts of all rows."""

    def __init__(self, keep: int) -> None:
        self.rows: deque[LogRow] = deque(maxlen=keep)
        """Rows, oldest first."""
        self.requests = 0
        self.written = 0
        self.by_outcome: Counter[str] = Counter()
        self.by_call: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.by_fault: Counter[str] = Counter()
        self._subscribers: list[asyncio.Queue[LogRow]] = []

    def add(
        self,
        effect: Effect,
        *,
        at: float,
        method: str,
        path: str,
        status: int,
        call: str,
        who: str = "",
        body: bytes = b"",
        batch_index: int | None = None,
    ) -> LogRow:
        """Add a row for the current request and send it to the subscribers."""
        self.written += 1
        outcome, reason, person = effect.outcome, effect.reason, effect.person
        row = LogRow(
            self.written,
            self.requests,
            at,
            method,
            path,
            status,
            batch_index,
            call,
            who,
            outcome,
            reason,
            person,
            body[:MAX_EXCERPT_BYTES].decode(errors="replace"),
        )
        self.rows.append(row)
        self.by_outcome[outcome] += 1
        self.by_call[call] += 1
        for queue in self._subscribers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(row)
        return row

    def next_request(self) -> int:
        """Start a request and return its number. The rows that follow belong to it."""
        self.requests += 1
        return self.requests

    def newest_first(self, before: int | None = None) -> Iterator[LogRow]:
        """Return the rows, newest first, optionally only those with a number below `before`."""
        skip = 0 if before is None else max(0, self.written + 1 - before)
        return islice(reversed(self.rows), skip, None)

    @contextmanager
    def subscribe(self) -> Iterator["asyncio.Queue[LogRow]"]:
        """Return a queue that receives every new row. A slow subscriber loses the oldest rows."""
        queue = asyncio.Queue[LogRow](MAX_WAITING_ROWS)
        self._subscribers.append(queue)
        try:
            yield queue
        finally:
            self._subscribers.remove(queue)

    def clear(self) -> None:
        """Remove rows and counts. Subscribers stay."""
        self.rows.clear()
        self.requests = self.written = 0
        for counts in (self.by_outcome, self.by_call, self.by_fault):
            counts.clear()
        self.by_status.clear()
