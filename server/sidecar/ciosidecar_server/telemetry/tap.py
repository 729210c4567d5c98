"""Answered items as lines of JSON, for the readers that are there. A slow reader loses lines; nothing waits for it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any, NamedTuple

from ..delivery.job import Job
from ..rpc.tap import AnsweredItem
from .activity import FAILED
from .destination_names import operator_name

MAX_TAPS = 8
MAX_LINES = 1_000
"""Lines that wait for one reader."""
MAX_BYTES = 4_194_304
"""Bytes of those lines, at which the next ones are lost."""
MAX_BODY_BYTES = 16_384
OUTCOMES = ("transformed", "delivered", "filtered", *FAILED)


class TapFilter(NamedTuple):
    """What one reader wants."""

    destinations: Collection[str] = ()
    """The names of destinations as lines show them. Empty: every destination."""
    outcomes: Collection[str] = ()
    """Empty: every outcome."""
    limit: int | None = None
    """The number of lines after which the tap ends."""
    bodies: bool = False


class TooManyTaps(Exception):
    """There are MAX_TAPS readers already."""


class Tap:
    """One reader, and the lines that wait for it."""

    def __init__(self, wanted: TapFilter) -> None:
        self._wanted = wanted
        self._left = wanted.limit
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, item: AnsweredItem) -> None:
        """Queue a line for an item that the reader wants, or count it as lost."""
        wanted = self._wanted
        if wanted.destinations and operator_name(item.destination_ref) not in wanted.destinations:
            return
        if wanted.outcomes and item.outcome not in wanted.outcomes:
            return
        if self._left == 0:
            return
        if len(self._lines) >= MAX_LINES or self._bytes >= MAX_BYTES:
            self._lost += 1
            return
        if self._left is not None:
            self._left -= 1
        line = _line(item_fields(item, bodies=wanted.bodies))
        self._lines.append(line)
        self._bytes += len(line)
        self._changed.set()

    def end(self) -> None:
        """Let the reader have what waits, and end."""
        self._ended = True
        self._changed.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield lines as they come, several together if several wait."""
        while True:
            if self._lines:
                lines = b"".join(self._lines)
                self._lines.clear()
                self._bytes = 0
                yield lines
            if self._lost:
                lost, self._lost = self._lost, 0
                yield _line({"lost": lost})
            if self._lines:
                continue
            if self._ended or self._left == 0:
                return
            self._changed.clear()
            await self._changed.wait()


class TapHub:
    """The readers of a process. Implements the ItemTap of rpc."""

    def __init__(self) -> None:
        self.listening = False
        self._taps: set[Tap] = set()

    def open(self, wanted: TapFilter) -> Tap:
        """Begin a reader.

        Raises:
            TooManyTaps: There are too many already.
        """
        if len(self._taps) >= MAX_TAPS:
            raise TooManyTaps
        tap = Tap(wanted)
        self._taps.add(tap)
        self.listening = True
        return tap

    def close(self, tap: Tap) -> None:
        """Forget a reader."""
        self._taps.discard(tap)
        self.listening = bool(self._taps)

    def end_all(self) -> None:
        """End every reader: the server ends."""
        for tap in self._taps:
            tap.end()

    def item_answered(self, item: AnsweredItem) -> None:
        """Hand an item to the readers that want it."""
        for tap in self._taps:
            tap.add(item)


def item_fields(item: AnsweredItem, *, bodies: bool) -> dict[str, Any]:
    """Return the members of an item's line. bodies: whether the request is among them, which is personal data."""
    job = item.job
    fields: dict[str, Any] = {
        "time": round(time.time(), 3),
        "destination_ref": operator_name(item.destination_ref),
        "session_id": item.session_id,
        "batch_id": item.batch_id,
        "position": item.position,
        "event_type": item.event_type,
        "outcome": item.outcome,
        "code": item.code,
        "status": item.status,
        "http_status": item.http_status,
        "attempts": job.attempts if job is not None else 0,
        "duration_s": _duration_s(job),
    }
    if bodies:
        fields["request"] = None if job is None else _request(job)
    return fields


def _duration_s(job: Job | None) -> float | None:
    """Return the time from the submission of a job until now; None if it was not submitted."""
    if job is None or not job.submitted_at:
        return None
    return round(asyncio.get_running_loop().time() - job.submitted_at, 4)


def _request(job: Job) -> dict[str, Any]:
    """Return what was sent, without headers: those have the credentials."""
    request = job.request
    body = request.body
    shown: Any = body[:MAX_BODY_BYTES].decode(errors="replace")
    if len(body) <= MAX_BODY_BYTES:
        with suppress(ValueError):
            shown = json.loads(body)
    return {
        "method": request.template.method,
        "path": request.path,
        "body": shown if body else None,
        "body_bytes": len(body),
    }


def _line(fields: dict[str, Any]) -> bytes:
    # ASCII: a line goes to a terminal, and must not drive it.
    return json.dumps(fields, separators=(",", ":")).replace("\x7f", "\\u007f").encode() + b"\n"
