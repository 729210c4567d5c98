"""Lines of a file → events and the destinations they are for, as the bytes they are."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

CHUNK_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 24


class Line(NamedTuple):
    """What one line asks for."""

    event: bytes
    config: bytes
    connection: bytes = b""
    """The config of the connection that a record is of; b"" for none."""


class BadLine(ValueError):
    """A line that is not what it should be; the text says what it should be."""


class _Wrapped(Struct):
    event: Raw = Raw()
    config: Raw = Raw()
    connection: Raw = Raw()


_decode_wrapped = Decoder(_Wrapped).decode
_SCANNER = json.JSONDecoder()


def chunks_of_lines(file: BinaryIO) -> Iterator[list[bytes | None]]:
    """The lines of a file, as many at a time as are there; None for one that is far too long.

    file: unbuffered; with a buffer, `read` waits until it is full.
    Holds one chunk and one line at most, whatever the size of the file.
    """
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
    """The next lines of `chunks_of_lines`, or None at the end.

    Read in a thread that nobody waits for: a read from a pipe or a terminal may never return, and
    Ctrl-C is to end the command all the same.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[bytes | None] | None] = loop.create_future()

    def settle_in_loop(settle: Callable[[Any], None], outcome: Any) -> None:
        if not found.done():
            settle(outcome)

    def tell(settle: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle_in_loop, settle, outcome)

    def read() -> None:
        try:
            chunk = next(chunks, None)
        except Exception as failure:  # noqa: BLE001 - raised where it is awaited
            tell(found.set_exception, failure)
        else:
            tell(found.set_result, chunk)

    threading.Thread(target=read, name="ciosidecar-read", daemon=True).start()
    return await found


def parse_line(line: bytes, config: bytes | None) -> Line:
    """The event of a line and its destination's config, both as the bytes they are in it.

    config: the config of all lines, which are bare events then; None where each line has its own:
    {"event": {…}, "config": {…}}, and for a record beside them {"connection": {…}}.
    Raises BadLine.
    """
    if config is not None:
        return Line(line, config)
    try:
        wrapped = _decode_wrapped(line)
        found = Line(bytes(wrapped.event), bytes(wrapped.config), bytes(wrapped.connection))
    except ValidationError:
        raise BadLine("the line is not a JSON object") from None
    except (DecodeError, RecursionError):
        # Half an emoji in the event is the event's matter: look again, less strictly.
        found = _scan_wrapped(line)
    if not found.event:
        raise BadLine('the line has no "event"; with --config FILE, lines are bare events')
    if not found.config:
        raise BadLine('the line has no "config"; name one for all lines with --config FILE')
    return found


def _scan_wrapped(line: bytes) -> Line:
    """The same by the standard library's scanner, which lets lone surrogates pass."""
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
