"""Lines of events through a sidecar, over one stream, in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ciosidecar import Answer, AsyncStream, Destination, EventError, Result, SourceConnection

from .reading import (
    MAX_LINE_BYTES,
    BadLine,
    Line,
    NoConfig,
    is_bare_event,
    next_chunk,
    parse_line,
)

_MAX_KNOWN_DESTINATIONS = 1000
# More events than there are between the first and the last event of one request.
_REQUEST_SPAN = 20_000


class InputLine(NamedTuple):
    """A line of the input that is not blank."""

    number: int
    text: bytes
    """The line as read; b"" if it was too long."""
    parsed: Line | None
    """The event and its configs, or None if the line has no event."""

    @property
    def event(self) -> bytes:
        """Return the event, b"" if the line has none."""
        return self.parsed.event if self.parsed else b""


Done = Callable[[InputLine, Result, Mapping[int, int]], None]
"""Called for each line in order, with its result and the line numbers by position on the stream."""


class LineStream:
    """Sends lines over a stream and calls back with the result of each."""

    def __init__(
        self, stream: AsyncStream, config: bytes | None, *, pack: bool, done: Done
    ) -> None:
        """Prepare a run over a stream.

        Args:
            stream: The stream to send over.
            config: The config for all lines, or None if each line has its own.
            pack: Let events share requests.
            done: Called with each result.
        """
        self._stream = stream
        self._config = config
        self._fields = {} if pack else {"dont_batch": True}
        self._done = done
        self._destinations: dict[bytes, Destination] = {}
        # Results of lines that were not sent. They wait for the results of earlier lines.
        self._local: deque[tuple[InputLine, Result]] = deque()
        self._on_stream: deque[InputLine] = deque()
        self._lines_read = 0
        self._sent = 0
        self._handed_out = 0
        self._line_of: dict[int, int] = {}
        self.lines_sent = 0
        """Number of the last line that was read, and sent if it had an event."""
        self.lines_done = 0
        """Number of the last line with a result. Earlier lines without a result are blank."""

    async def run(self, chunks: Iterator[list[bytes | None]]) -> None:
        """Send all lines and hand out all results. Blank lines have none.

        Raises:
            SidecarError: The stream failed.
            NoConfig: The first line has no config, and there is none for all lines. Nothing was sent.
        """
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
                    if line is not None and not line.strip():
                        continue
                    self._check_first(line)
                    await self._send(line)
                    self.lines_sent = self._lines_read
                if self._handed_out == self._sent:
                    self._hand_out_local(self._lines_read + 1)
        finally:
            self._stream.finish()

    def _check_first(self, line: bytes | None) -> None:
        """Raise NoConfig if the first line shows that no line has a config."""
        if self.lines_sent == 0 and self._config is None and line and is_bare_event(line):
            raise NoConfig(
                "the first line is an event without a destination: name the destination's settings with"
                ' --config FILE, or write each line as {"event": {…}, "config": {…}}'
            )

    async def _send(self, line: bytes | None) -> None:
        try:
            if line is None:
                raise BadLine(f"the line is longer than {MAX_LINE_BYTES} bytes")
            parsed = parse_line(line, self._config)
        except BadLine as problem:
            code = "TOO_LARGE" if line is None else "INVALID_JSON"
            error = EventError(code, "instrumentation", str(problem), retryable=False)
            unread = InputLine(self._lines_read, line or b"", None)
            self._local.append((unread, Result(-1, 400, error=error)))
            return
        destination = self._destinations.get(parsed.config)
        if destination is None:
            if len(self._destinations) >= _MAX_KNOWN_DESTINATIONS:
                self._destinations.clear()
            destination = self._destinations[parsed.config] = Destination(parsed.config)
        self._line_of[self._sent] = self._lines_read
        self._sent += 1
        input_line = InputLine(self._lines_read, line or b"", parsed)
        self._on_stream.append(input_line)
        try:
            await self._stream.send(
                parsed.event,
                input_line,
                destination=destination,
                connection=SourceConnection(parsed.connection) if parsed.connection else None,
                **self._fields,
            )
        except BaseException:
            # The stream did not take the line.
            self._on_stream.remove(input_line)
            raise

    def unfinished(self) -> Iterator[tuple[InputLine, Result | None]]:
        """Yield the lines that were not handed out although they were sent, or have a result already.

        The result of a line that was sent is None.
        """
        lines: list[tuple[InputLine, Result | None]] = [*self._local]
        lines += [(line, None) for line in self._on_stream]
        yield from sorted(lines, key=lambda pair: pair[0].number)

    def _hand_out(self, answer: Answer) -> None:
        position = answer.result.position
        line: InputLine = answer.attachment
        self._hand_out_local(line.number)
        self._finish_line(line, answer.result)
        self._on_stream.popleft()
        self._handed_out += 1
        self._line_of.pop(position - _REQUEST_SPAN, None)

    def _hand_out_local(self, before: int) -> None:
        """Hand out the results of lines that were not sent, up to a line."""
        while self._local and self._local[0][0].number < before:
            self._finish_line(*self._local[0])
            self._local.popleft()

    def _finish_line(self, line: InputLine, result: Result) -> None:
        self._done(line, result, self._line_of)
        self.lines_done = line.number
