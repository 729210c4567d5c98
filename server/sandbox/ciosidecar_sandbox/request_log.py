"""The log of requests: one row an operation, what was answered and what became of it."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from msgspec import Struct

from .outcome import Effect, Outcome

MAX_EXCERPT_BYTES = 1000
MAX_WAITING_ROWS = 1000
"""Rows that may wait for a subscriber; beyond that the oldest are lost to it."""


class LogRow(Struct, frozen=True, gc=False):
    """One operation. A batch has a row for each of its items, with one request number."""

    number: int
    """Counts rows, from 1."""
    request: int
    """Counts requests, from 1."""
    at: float
    """Unix seconds of receipt."""
    method: str
    path: str
    """With the query, as sent."""
    status: int
    """What was answered; 0 if nothing was."""
    batch_index: int | None
    """Position in a v2 batch."""
    call: str
    """identify, event, add_device, merge, …"""
    who: str
    """Whom it named, as sent: "id 42"; "" for nobody."""
    outcome: Outcome
    reason: str
    """Why it was refused or silently dropped; "" if there is nothing to say."""
    person: str
    """cio_id of the person it reached; "" if none."""
    body: str
    """The first 1,000 bytes of the operation's JSON."""


class RequestLog:
    """The latest rows, and counts of all there ever were."""

    def __init__(self, keep: int) -> None:
        self.rows: deque[LogRow] = deque(maxlen=keep)
        """Oldest first."""
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
        """Writes a row of the current request and tells the subscribers."""
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
        """A request begins: rows that follow are its own."""
        self.requests += 1
        return self.requests

    def newest_first(self, before: int | None = None) -> Iterator[LogRow]:
        """Rows from the newest, or from the one before the given number."""
        skip = 0 if before is None else max(0, self.written + 1 - before)
        return islice(reversed(self.rows), skip, None)

    @contextmanager
    def subscribe(self) -> Iterator["asyncio.Queue[LogRow]"]:
        """A queue that gets every row from now on; a slow reader loses the oldest."""
        queue = asyncio.Queue[LogRow](MAX_WAITING_ROWS)
        self._subscribers.append(queue)
        try:
            yield queue
        finally:
            self._subscribers.remove(queue)

    def clear(self) -> None:
        """Forgets rows and counts; subscribers stay."""
        self.rows.clear()
        self.requests = self.written = 0
        for counts in (self.by_outcome, self.by_call, self.by_fault):
            counts.clear()
        self.by_status.clear()
