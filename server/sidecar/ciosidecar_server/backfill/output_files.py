"""The files of a partition: requests in the chosen format, refused events as lines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from .line_files import Lines
from .outcome_lines import encode_line


class RowWriter(Protocol):
    """A writer of rows to a file that appears whole or not at all."""

    def write(self, row: dict[str, Any]) -> None:
        """Write a row: the members of a result, as `result_members` returns them."""

    def finish(self) -> str | None:
        """Give the file its name and return it; return None without a file if there was no row."""

    def abandon(self) -> None:
        """Remove what was written."""


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
