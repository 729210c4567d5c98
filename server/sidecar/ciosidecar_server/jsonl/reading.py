"""Reading of lines: each becomes an event and the config of its destination, as bytes."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from ciosidecar_transform.json_text import NOT_JSON
from msgspec import Raw, Struct, ValidationError, field
from msgspec.json import Decoder

CHUNK_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 24
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors write at the start of a file in UTF-8. It is no part of the text."""


class Line(NamedTuple):
    """One line: an event and the config of its destination."""

    event: bytes
    config: bytes
    connection: bytes = b""
    """The config of a record's source connection; b"" for none."""


class BadLine(ValueError):
    """A line that cannot be read. The text says what is wrong."""


class NoConfig(ValueError):
    """The first line is an event without a destination: most likely --config was forgotten."""


class _Wrapped(Struct):
    event: Raw = Raw()
    config: Raw = Raw()
    connection: Raw = Raw()


class _Event(Struct):
    type: Raw = Raw()
    message_id: Any = field(default=None, name="messageId")


class _Failed(_Wrapped):
    text: str = ""
    failure: Raw = Raw()


class _Place(Struct):
    file: str = ""
    line: int = 0


_decode_place = Decoder(_Place).decode
_decode_wrapped = Decoder(_Wrapped).decode
_decode_failed = Decoder(_Failed).decode
_decode_event = Decoder(_Event).decode
_SCANNER = json.JSONDecoder()


def chunks_of_lines(file: BinaryIO) -> Iterator[list[bytes | None]]:
    """Return the lines of a file in lists, each as soon as it was read; None for a too long line.

    At most one chunk and one line are in memory, for any size of the file.

    Args:
        file: A file without a buffer. With a buffer, `read` would wait until the buffer is full.
    """
    chunks = _chunks_of_lines(file)
    for lines in chunks:
        lines[0] = lines[0] and lines[0].removeprefix(BYTE_ORDER_MARK)
        yield lines
        break
    yield from chunks


def _chunks_of_lines(file: BinaryIO) -> Iterator[list[bytes | None]]:
    rest, too_long = b"", False
    while chunk := file.read(CHUNK_BYTES):
        lines: list[bytes | None] = [*(rest + chunk).split(b"\n")]
        rest = lines.pop() or b""
        if lines and too_long:
            lines[0], too_long = None, False
        if len(rest) > MAX_LINE_BYTES or too_long:
            rest, too_long = b"", True
        if lines:
            yield lines
    if rest or too_long:
        yield [None if too_long else rest]


async def next_chunk(chunks: Iterator[list[bytes | None]]) -> list[bytes | None] | None:
    """Return the next lines of `chunks_of_lines`, or None at the end.

    The read is in a daemon thread: a read from a pipe or a terminal may never return, and Ctrl-C must
    end the command all the same.
    """
    loop = asyncio.get_running_loop()
    next_lines: asyncio.Future[list[bytes | None] | None] = loop.create_future()

    def settle_in_loop(settle: Callable[[Any], None], outcome: Any) -> None:
        if not next_lines.done():
            settle(outcome)

    def settle_from_thread(settle: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, so the lines are not needed
            loop.call_soon_threadsafe(settle_in_loop, settle, outcome)

    def read() -> None:
        try:
            chunk = next(chunks, None)
        except Exception as failure:  # noqa: BLE001 - raised where it is awaited
            settle_from_thread(next_lines.set_exception, failure)
        else:
            settle_from_thread(next_lines.set_result, chunk)

    threading.Thread(target=read, name="ciosidecar-read", daemon=True).start()
    return await next_lines


def message_id(event: bytes) -> str | None:
    """Return the messageId of an event, or None if it has none that is text."""
    try:
        found = _decode_event(event).message_id
    except NOT_JSON:
        return None
    return found if isinstance(found, str) else None


def is_bare_event(line: bytes) -> bool:
    """Return True if a line is an event itself, and not an event in an object with its config."""
    try:
        wrapped = _decode_wrapped(line)
        # The event of a track is its name; that of a line with a config is an object.
        has_event = bytes(wrapped.event).startswith(b"{")
        return bool(_decode_event(line).type) and not has_event and not wrapped.config
    except NOT_JSON:
        return False


def parse_line(line: bytes, config: bytes | None) -> Line:
    """Return the event of a line and the config of its destination, as the bytes in the line.

    Args:
        line: The line as read. A line of a file of failed events, which has a "failure", may stand
            anywhere.
        config: The config for all lines, which then are bare events. None if each line has its own:
            {"event": {…}, "config": {…}}, for a record also {"connection": {…}}.

    Raises:
        BadLine: The line has no event or no config, or is not JSON.
    """
    line = original_text(line)
    failed = _failed_line(line)
    if config is not None:
        if failed is None:
            return Line(line, config)
        return Line(bytes(failed.event), config, bytes(failed.connection))
    try:
        wrapped = _decode_wrapped(line)
        parsed = Line(bytes(wrapped.event), bytes(wrapped.config), bytes(wrapped.connection))
    except ValidationError:
        raise BadLine("the line is not a JSON object") from None
    except NOT_JSON:
        # An unpaired surrogate in the event is rejected by the transform: read the line less strictly.
        parsed = _scan_wrapped(line)
    if not parsed.event:
        raise BadLine('the line has no "event"; with --config FILE, lines are bare events')
    if not parsed.config:
        raise BadLine('the line has no "config"; give one for all lines with --config FILE')
    return parsed


def original_text(line: bytes) -> bytes:
    """Return the text in a line for a text that had no event, or any other line as it is."""
    failed = _failed_line(line)
    return failed.text.encode() if failed is not None and failed.text else line


def first_place(line: bytes) -> dict[str, Any]:
    """Return the file and the line where a failed event first stood; nothing for any other line."""
    failed = _failed_line(line)
    if failed is None:
        return {}
    with suppress(*NOT_JSON):
        place = _decode_place(failed.failure)
        if place.file and place.line > 0:
            return {"file": place.file, "line": place.line}
    return {}


def _failed_line(line: bytes) -> _Failed | None:
    """Return a line of a file of failed events, or None for any other line.

    Such a line has an object as its failure, and an object as its event or the text of a line that had
    none. The event of a track is its name, so no event has this form.
    """
    if b'"failure"' not in line:
        return None
    try:
        failed = _decode_failed(line)
    except NOT_JSON:
        return None
    has_event = bytes(failed.event).startswith(b"{") or failed.text
    return failed if has_event and bytes(failed.failure).startswith(b"{") else None


def _scan_wrapped(line: bytes) -> Line:
    """Parse a line with the standard library's scanner, which accepts unpaired surrogates."""
    try:
        text = line.decode()
        members: dict[str, bytes] = {}
        at = _expect(text, 0, "{")
        while True:
            name, at = _SCANNER.raw_decode(text, _skip_space(text, at))
            start = _skip_space(text, _expect(text, at, ":"))
            _, at = _SCANNER.raw_decode(text, start)
            if name in Line._fields:
                members[name] = text[start:at].encode()
            at = _skip_space(text, at)
            if text[at : at + 1] == "}":
                break
            at = _expect(text, at, ",")
        if text[at + 1 :].strip():
            raise ValueError
    except (ValueError, RecursionError):
        raise BadLine("the line is not JSON in UTF-8, or nested too deeply") from None
    return Line(*(members.get(name, b"") for name in Line._fields))


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n") and at < len(text):
        at += 1
    return at


def _expect(text: str, at: int, character: str) -> int:
    at = _skip_space(text, at)
    if text[at : at + 1] != character:
        raise ValueError
    return at + 1
