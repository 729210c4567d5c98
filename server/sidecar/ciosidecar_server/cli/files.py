"""Input of commands: whole small files, and files of lines."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .outcome import EXIT_USAGE, Failed, reason, stderr


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        Failed: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Failed(f"cannot read {path}: {reason(problem)}", EXIT_USAGE) from None


@contextmanager
def open_input(file: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input for -, until the end of the block.

    The file has no buffer: a thread that waits in a read would lock it, and the process could not end.

    Raises:
        Failed: The file cannot be read.
    """
    try:
        opened: BinaryIO = (
            open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
            if file == "-"
            else Path(file).open("rb", buffering=0)  # noqa: SIM115 - closed below
        )
        os.read(opened.fileno(), 0)
    except OSError as problem:
        name = "standard input" if file == "-" else file
        raise Failed(f"cannot read {name}: {reason(problem)}", EXIT_USAGE) from None
    with opened:
        if opened.isatty():
            stderr.print(
                "reading events from the terminal, one event a line; press Ctrl-D to end",
                style="dim",
            )
        yield opened
