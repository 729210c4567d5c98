"""The log while it is being written: server-sent events, several rows at a time.

However many requests come, a browser gets at most four messages a second with at most fifty rows
each; what it was not sent is counted. A reader that is slow holds nothing up and loses nothing else.
"""

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from msgspec.json import encode
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..request_log import LogRow, RequestLog
from .query import whole_number
from .rendering import HEADERS, render
from .views import LogFilter

BATCH_EVERY_S = 0.25
LOOK_EVERY_S = 1.0
"""How often to look for what changes without a request: a reset, other faults."""
HEARTBEAT_S = 15.0
"""After so long without a message, a comment, by which both sides learn that the other is there."""
MAX_ROWS = 50
"""Rows in one message."""
MAX_VIEWERS = 20
"""Open streams; each costs every request a little."""


NO_ROW = "0"
"""The cursor of an empty log."""


def cursor(log: RequestLog) -> str:
    """Names the newest row so that no row of another run, or of before a reset, is taken for it."""
    newest = next(log.newest_first(), None)
    return NO_ROW if newest is None else f"{newest.number}-{newest.at}"


def _row_at(log: RequestLog, at_cursor: str) -> LogRow | None:
    text, _, at = at_cursor.partition("-")
    row = _numbered(log, whole_number(text) or 0)
    return row if row is not None and str(row.at) == at else None


def _numbered(log: RequestLog, number: int) -> LogRow | None:
    row = next(log.newest_first(number + 1), None)
    return row if row is not None and row.number == number else None


def rows_since(log: RequestLog, wanted: LogFilter, after: int) -> tuple[list[LogRow], int]:
    """The latest wanted rows after a row, newest first, and how many more there were."""
    new = takewhile(lambda row: row.number > after, log.newest_first())
    found = [row for row in new if wanted.takes(row)]
    return found[:MAX_ROWS], max(0, len(found) - MAX_ROWS)


class LiveLog(Response):
    """A stream of messages, each {rows: HTML, shown, skipped, reset, frame}, with cursors for ids."""

    def __init__(
        self,
        log: RequestLog,
        wanted: LogFilter,
        *,
        after: str,
        frame: Callable[[], dict[str, Any]],
        stopping: asyncio.Event,
        watched: Callable[[int], None],
    ) -> None:
        """after: cursor of the last row that is known; rows from there on are sent first.

        watched: is told 1 when it begins and -1 when it ends.
        """
        self._log, self._wanted, self._frame = log, wanted, frame
        self._last = _row_at(log, after)
        self._reset = self._last is None and after != NO_ROW
        self._shown: dict[str, Any] = {}
        self._stopping, self._watched = stopping, watched
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the browser leaves or the sandbox stops."""
        self._watched(1)
        try:
            await self._watch(receive, send)
        finally:
            self._watched(-1)

    async def _watch(self, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        gone = asyncio.ensure_future(_gone(receive))
        stopped = asyncio.ensure_future(self._stopping.wait())
        ends = {gone, stopped}
        with self._log.subscribe() as queue:
            written = asyncio.ensure_future(queue.get())
            try:
                await _send(send, b"retry: 1000\n\n")
                silent_s = 0.0
                while not (gone.done() or stopped.done()):
                    message = self._message()
                    silent_s = 0.0 if message else silent_s + LOOK_EVERY_S
                    if silent_s >= HEARTBEAT_S:
                        message, silent_s = b":\n\n", 0.0
                    if message:
                        await _send(send, message)
                        await asyncio.wait(ends, timeout=BATCH_EVERY_S, return_when=_FIRST)
                    await asyncio.wait({*ends, written}, timeout=LOOK_EVERY_S, return_when=_FIRST)
                    if written.done():
                        while not queue.empty():
                            queue.get_nowait()
                        written = asyncio.ensure_future(queue.get())
            finally:
                for task in (gone, stopped, written):
                    task.cancel()
        if stopped.done() and not gone.done():
            await send({"type": "http.response.body", "body": b""})

    def _message(self) -> bytes:
        """What is new, or nothing."""
        log, frame, last = self._log, self._frame(), self._last
        # What has become of the row is how a reset shows, even if as many rows came after it.
        reset = self._reset or (last is not None and _numbered(log, last.number) is not last)
        after = 0 if reset or last is None else last.number
        if not reset and log.written == after and frame == self._shown:
            return b""
        rows, skipped = rows_since(log, self._wanted, after)
        self._reset, self._last, self._shown = False, next(log.newest_first(), None), frame
        message = encode(
            {
                "rows": render("log_rows.html", {"rows": rows}) if rows else "",
                "shown": len(rows),
                "skipped": skipped,
                "reset": reset,
                "frame": frame,
            }
        )
        return b"id: %s\ndata: %s\n\n" % (cursor(log).encode(), message)


_FIRST = asyncio.FIRST_COMPLETED


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})
