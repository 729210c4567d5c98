"""What a command reads: small files at once, lines as they come."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .outcome import EXIT_USAGE, Failed, reason, stderr


def read_file(path: Path) -> bytes:
    """All of a file. Raises Failed."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise Failed(f"cannot read {path}: {reason(problem)}", EXIT_USAGE) from None


@contextmanager
def open_input(file: str) -> Iterator[BinaryIO]:
    """A file, or standard input for -, to be read while the block lasts. Raises Failed.

    Unbuffered: a buffer is locked by whoever waits in a read, and nothing ends while it is.
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
            stderr.print("reading events from the terminal, one a line; Ctrl-D ends", style="dim")
        yield opened
