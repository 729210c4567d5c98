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


def rows_since(log: RequestLog, wanted: LogFilter, after: int) -> tuple[list[LogRow], int]:
    """The latest wanted rows after a row, newest first, and how many more there were."""
    new = takewhile(lambda row: row.number > after, log.newest_first())
    found = [row for row in new if wanted.takes(row)]
    return found[:MAX_ROWS], max(0, len(found) - MAX_ROWS)


class LiveLog(Response):
    """A stream of messages, each {rows: HTML, shown, skipped, reset, frame}, with ids run-number."""

    def __init__(
        self,
        log: RequestLog,
        wanted: LogFilter,
        *,
        run: str,
        after: str,
        frame: Callable[[], dict[str, Any]],
        stopping: asyncio.Event,
        watched: Callable[[int], None],
    ) -> None:
        """run: names this run of the sandbox, so that row numbers of another are not taken for its own.

        after: id of the last row that is known; rows from there on are sent first.
        watched: is told 1 when it begins and -1 when it ends.
        """
        self._log, self._wanted, self._run, self._frame = log, wanted, run, frame
        self._stopping, self._watched = stopping, watched
        known_run, _, number = after.rpartition("-")
        known = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else -1
        self._reset = known_run != run or not 0 <= known <= log.written
        self._after = 0 if self._reset else known
        self._shown: dict[str, Any] = {}
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
        log, frame = self._log, self._frame()
        reset = self._reset or log.written < self._after
        if reset:
            self._after = 0
        if not reset and log.written == self._after and frame == self._shown:
            return b""
        rows, skipped = rows_since(log, self._wanted, self._after)
        self._reset, self._after, self._shown = False, log.written, frame
        message = encode(
            {
                "rows": render("log_rows.html", {"rows": rows}) if rows else "",
                "shown": len(rows),
                "skipped": skipped,
                "reset": reset,
                "frame": frame,
            }
        )
        return b"id: %s-%d\ndata: %s\n\n" % (self._run.encode(), self._after, message)


_FIRST = asyncio.FIRST_COMPLETED


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, part: bytes) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": True})
