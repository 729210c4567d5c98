"""Lines through a sidecar, over one stream, in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from ciosidecar import Answer, AsyncStream, Destination, EventError, Result, SourceConnection

from .reading import BadLine, next_chunk, parse_line

_MAX_KNOWN_DESTINATIONS = 1000
# More events than lie between the first and the last that one request covers.
_REQUEST_SPAN = 20_000

Done = Callable[[bytes, Result, Mapping[int, int]], None]
"""Called for each line, in order, with its event (b"" if it has none), its result, and the line
numbers of the positions in that."""


class LineStream:
    """Sends lines over a stream and hands out each with its result."""

    def __init__(
        self, stream: AsyncStream, config: bytes | None, *, pack: bool, done: Done
    ) -> None:
        """config: of all lines, or None where each has its own. pack: whether requests are shared."""
        self._stream = stream
        self._config = config
        self._fields = {} if pack else {"dont_batch": True}
        self._done = done
        self._destinations: dict[bytes, Destination] = {}
        # Lines in order: those that never reached the server wait for those that did.
        self._local: deque[tuple[int, Result]] = deque()
        self._lines_read = 0
        self._sent = 0
        self._handed_out = 0
        self._line_of: dict[int, int] = {}
        self.lines_sent = 0
        """Lines that were read, and sent if there was an event in them."""
        self.lines_done = 0
        """Lines that were handed out: the first so many of the input."""

    async def run(self, chunks: Iterator[list[bytes | None]]) -> None:
        """Everything from the first line to the last result. Raises SidecarError."""
        feeding = asyncio.create_task(self._feed(chunks))
        try:
            async for answer in self._stream:
                self._hand_out(answer)
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        self._hand_out_local(self._lines_read + 1)

    async def _feed(self, chunks: Iterator[list[bytes | None]]) -> None:
        try:
            while (lines := await next_chunk(chunks)) is not None:
                for line in lines:
                    self._lines_read += 1
                    await self._send(line)
                    self.lines_sent = self._lines_read
                if self._handed_out == self._sent:
                    self._hand_out_local(self._lines_read + 1)
        finally:
            self._stream.finish()

    async def _send(self, line: bytes | None) -> None:
        try:
            if line is None:
                raise BadLine("the line is far too long")
            found = parse_line(line, self._config)
        except BadLine as problem:
            code = "TOO_LARGE" if line is None else "INVALID_JSON"
            error = EventError(code, "instrumentation", str(problem), retryable=False)
            self._local.append((self._lines_read, Result(-1, 400, error=error)))
            return
        destination = self._destinations.get(found.config)
        if destination is None:
            if len(self._destinations) >= _MAX_KNOWN_DESTINATIONS:
                self._destinations.clear()
            destination = self._destinations[found.config] = Destination(found.config)
        self._line_of[self._sent] = self._lines_read
        self._sent += 1
        await self._stream.send(
            found.event,
            found.event,
            destination=destination,
            connection=SourceConnection(found.connection) if found.connection else None,
            **self._fields,
        )

    def _hand_out(self, answer: Answer) -> None:
        position = answer.result.position
        self._hand_out_local(self._line_of[position])
        self._tell(answer.attachment, answer.result)
        self._handed_out += 1
        self._line_of.pop(position - _REQUEST_SPAN, None)

    def _hand_out_local(self, before: int) -> None:
        """Hands out the lines that never reached the server, up to a line."""
        while self._local and self._local[0][0] < before:
            self._tell(b"", self._local.popleft()[1])

    def _tell(self, event: bytes, result: Result) -> None:
        self._done(event, result, self._line_of)
        self.lines_done += 1
