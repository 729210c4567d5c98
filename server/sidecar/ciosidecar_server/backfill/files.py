"""Files that appear whole or not at all, and where a backfill keeps its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from .errors import BackfillFailed

WORK = "work"
"""The directory, in the output directory, of what is removed at the end."""
_TEMPORARY = ".unfinished"


def work_path(directory: str, name: str) -> Path:
    """Return the path of a file of the work directory."""
    return Path(directory, WORK, name)


def temporary_path(path: Path) -> Path:
    """Return where a file is written before it gets its name. Two tries of a task never share it."""
    return path.with_name(f".{path.name}.{token_hex(4)}{_TEMPORARY}")


def remove_temporary(directory: Path) -> None:
    """Remove what killed tasks were writing. No task may be running."""
    for path in directory.glob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing. It gets its name when the block ends without an error.

    Raises:
        BackfillFailed: The file cannot be written, for example because the disk is full.
    """
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb", opener=open_private) as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        temporary.rename(path)
    except OSError as problem:
        raise cannot_write(path, problem) from None
    finally:
        temporary.unlink(missing_ok=True)


def open_private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, if it is new: events are personal data, and lines may have credentials."""
    return os.open(path, flags, 0o600)


def write_all(descriptor: int, data: bytes) -> None:
    """Write data, in several writes if need be."""
    while data:
        data = data[os.write(descriptor, data) :]


def cannot_write(path: Path, problem: OSError) -> BackfillFailed:
    """Return the error for a file that cannot be written."""
    return BackfillFailed(
        f"cannot write {path}: {problem.strerror or problem}; once that is mended, run the same command again"
        " to go on"
    )
