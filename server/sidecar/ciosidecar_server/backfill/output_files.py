"""The files of a partition: requests in the chosen format, refused events as lines."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from .files import cannot_write, temporary_path
from .outcome_lines import encode_line


class RowWriter(Protocol):
    """A writer of rows to a file that appears whole or not at all."""

    def write(self, row: dict[str, Any]) -> None:
        """Write a row: the members of a result, as `result_members` returns them."""

    def finish(self) -> str | None:
        """Give the file its name and return it; return None without a file if there was no row."""

    def abandon(self) -> None:
        """Remove what was written."""


class Lines:
    """A writer of lines. Nothing is created before the first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = temporary_path(path)
        self._file: Any = None

    def write_line(self, line: bytes) -> None:
        """Write a line that ends with a newline."""
        try:
            if self._file is None:
                self._file = os.fdopen(
                    os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
                )
            self._file.write(line)
        except OSError as problem:
            raise cannot_write(self._path, problem) from None

    def finish(self) -> str | None:
        """Give the file its name and return it; return None if there was no line."""
        if self._file is None:
            return None
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._temporary.rename(self._path)
        except OSError as problem:
            raise cannot_write(self._path, problem) from None
        return self._path.name

    def abandon(self) -> None:
        """Remove what was written."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)


class JsonRows(Lines):
    """Rows as lines of JSON."""

    def write(self, row: dict[str, Any]) -> None:
        """Write a row."""
        self.write_line(encode_line(row))


def _parquet(path: Path) -> RowWriter:
    from .parquet.writing import ParquetRows  # noqa: PLC0415 - an extra

    return ParquetRows(path)


WRITERS: dict[str, Callable[[Path], RowWriter]] = {"jsonl": JsonRows, "parquet": _parquet}
"""By format, the function that returns a writer for a path."""
