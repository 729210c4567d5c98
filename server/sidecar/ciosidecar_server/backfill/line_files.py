"""Files of lines that appear whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from .files import cannot_write, open_private, temporary_path


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
                self._file = open(self._temporary, "wb", opener=open_private)  # noqa: SIM115
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
