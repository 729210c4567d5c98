"""Rows of input files: the reader of each kind of file yields the events of a split."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..jsonl.reading import BYTE_ORDER_MARK, MAX_LINE_BYTES
from .errors import BackfillFailed
from .inputs import Split, check_unchanged
from .parquet.mapping import ColumnMap

_CHUNK_BYTES = 1 << 20


class Row(NamedTuple):
    """A row of a split with an event. Blank lines are counted and not yielded."""

    number: int
    """The number of the row in the split, from 0."""
    event: bytes
    """The event as JSON, or the line as it stands; b"" for a line that is too long."""
    problem: str = ""
    """Why a row of a table is no event; "" if it is one, and for lines."""


class BadRow(NamedTuple):
    """A row of a table that is no event."""

    event: bytes
    """What there is of the event, so that it can be mended."""
    problem: str


class Rows:
    """The rows of a split, and their number once all are read."""

    def __init__(self, split: Split, columns: ColumnMap | None = None) -> None:
        """Prepare to read. columns: as in `Job`."""
        self._split = split
        self._columns = columns
        self.count = 0
        """The rows so far, blank lines included."""

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows with an event.

        Raises:
            BackfillFailed: The file cannot be read, or was changed.
        """
        split = self._split
        check_unchanged(split.input)
        try:
            for index, event in READERS[split.input.kind](split, self._columns):
                self.count = index + 1
                if event is None:
                    yield Row(index, b"")
                elif isinstance(event, BadRow):
                    yield Row(index, *event)
                elif event and not event.isspace():
                    yield Row(index, event)
        except (OSError, EOFError, zlib.error) as problem:
            why = getattr(problem, "strerror", None) or str(problem)
            raise BackfillFailed(f"cannot read {split.input.path}: {why}") from None
        check_unchanged(split.input)


_Event = bytes | None | BadRow


def _lines(split: Split, _columns: ColumnMap | None) -> Iterator[tuple[int, _Event]]:
    with Path(split.input.path).open("rb", buffering=0) as opened:
        opened.seek(split.start)
        lines = _lines_of(_limited(opened, split.end - split.start))
        yield from lines if split.start else _without_mark(lines)


def _gzip_lines(split: Split, _columns: ColumnMap | None) -> Iterator[tuple[int, _Event]]:
    with gzip.open(split.input.path, "rb") as opened:
        yield from _without_mark(_lines_of(iter(lambda: opened.read(_CHUNK_BYTES), b"")))


def _without_mark(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines of a file, the first one without a byte order mark."""
    for index, line in lines:
        yield index, line and line.removeprefix(BYTE_ORDER_MARK)
        break
    yield from lines


def _limited(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (chunk := file.read(min(size, _CHUNK_BYTES))):
        size -= len(chunk)
        yield chunk


def _lines_of(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number from 0; None for a line that is too long."""
    index, rest, too_long = 0, b"", False
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            yield index, None if too_long or len(line) > MAX_LINE_BYTES else line
            too_long = False
            index += 1
        if len(rest) > MAX_LINE_BYTES:
            rest, too_long = b"", True
    if rest or too_long:
        yield index, None if too_long else rest


def _table_rows(split: Split, columns: ColumnMap | None) -> Iterator[tuple[int, _Event]]:
    from .parquet.tables import rows_of_groups  # noqa: PLC0415 - an extra

    assert columns is not None  # noqa: S101 - the plan has checked it
    for index, row in enumerate(
        rows_of_groups(split.input.path, range(split.start, split.end), columns)
    ):
        if row.problem:
            yield index, BadRow(*row)
        else:
            yield index, row.event if len(row.event) <= MAX_LINE_BYTES else None


READERS: dict[str, Callable[[Split, ColumnMap | None], Iterator[tuple[int, _Event]]]] = {
    "lines": _lines,
    "gzip": _gzip_lines,
    "parquet": _table_rows,
}
"""By kind of file, the function that yields the rows of a split: their number in the split, and the event.

None stands for a row that is too long. A reader MUST yield the last row even if it is blank, so that rows are counted.
"""
