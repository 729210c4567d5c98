"""The live log: new rows as server-sent events, several rows a message.

A browser gets at most four messages a second, each with at most fifty rows; further rows are only
counted. A slow browser delays no other browser and no request.
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
"""Interval of checks for changes that no request makes: a reset, other faults."""
HEARTBEAT_S = 15.0
"""Longest time without a message; then a comment shows each side that the other is alive."""
MAX_ROWS = 50
"""Rows in one message."""
MAX_VIEWERS = 20
"""Limit of open streams: each makes every request a little slower."""


NO_ROW = "0"
"""The cursor of an empty log."""


def cursor(log: RequestLog) -> str:
    """Return a name of the newest row that no row has after a reset or in another run."""
    newest = next(log.newest_first(), None)
    return NO_ROW if newest is None else f"{newest.number}-{newest.at}"


def _row_at(log: RequestLog, at_cursor: str) -> LogRow | None:
    text, _, at = at_cursor.partition("-")
    row = _numbered(log, whole_number(text) or 0)
    return row if row is not None and str(row.at) == at else None


def _numbered(log: RequestLog, number: int) -> LogRow | None:
    row = next(log.newest_first(number + 1), None)
    return row if row is not None and row.number == number else None


def rows_since(log: RequestLog, row_filter: LogFilter, after: int) -> tuple[list[LogRow], int]:
    """Return the latest matching rows after a row, newest first, and the number of further ones."""
    new = takewhile(lambda row: row.number > after, log.newest_first())
    rows = [row for row in new if row_filter.matches(row)]
    return rows[:MAX_ROWS], max(0, len(rows) - MAX_ROWS)


class LiveLog(Response):
    """A stream of messages {rows: HTML, shown, skipped, reset, frame}. Their ids are cursors."""

    def __init__(
        self,
        log: RequestLog,
        row_filter: LogFilter,
        *,
        after: str,
        frame: Callable[[], dict[str, Any]],
        stopping: asyncio.Event,
        watched: Callable[[int], None],
    ) -> None:
        """Create a stream.

        Args:
            log: The log to watch.
            row_filter: The filter of rows.
            after: Cursor of the last row that the browser has. Later rows are sent first.
            frame: Returns the counters and faults that every page shows.
            stopping: Ends the stream when it is set.
            watched: Called with 1 when the stream begins and with -1 when it ends.
        """
        self._log, self._row_filter, self._frame = log, row_filter, frame
        self._last = _row_at(log, after)
        self._reset = self._last is None and after != NO_ROW
        self._shown: dict[str, Any] = {}
        self._stopping, self._watched = stopping, watched
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send messages until the browser disconnects or the sandbox stops."""
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
        """Return the next message; b"" if nothing has changed."""
        log, frame, last = self._log, self._frame(), self._last
        # After a reset, another row has the number of the last one, even if as many rows followed.
        reset = self._reset or (last is not None and _numbered(log, last.number) is not last)
        after = 0 if reset or last is None else last.number
        if not reset and log.written == after and frame == self._shown:
            return b""
        rows, skipped = rows_since(log, self._row_filter, after)
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
