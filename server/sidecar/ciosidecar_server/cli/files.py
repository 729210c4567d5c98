"""Input of commands: whole small files, and files of lines."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

from cyclopts import Parameter

from ..jsonl.reading import BYTE_ORDER_MARK
from .outcome import EXIT_USAGE, Failed, give_up, reason, stderr

StandardInput = Annotated[bool, Parameter(name="-", negative=(), show=False)]
"""An argument - as a hidden option. As a file, it would let a misspelled option be a file too."""


def read_file(path: Path) -> bytes:
    """Return the content of a file of text, without a byte order mark.

    Raises:
        Failed: The file cannot be read.
    """
    try:
        return path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    except OSError as problem:
        raise Failed(f"cannot read {path}: {reason(problem)}", EXIT_USAGE) from None


def read_config(path: Path | None) -> bytes | None:
    """Return the settings of a destination in a file of --config; None without a file.

    Raises:
        Failed: The file cannot be read, or has no JSON object. The sidecar judges the settings themselves.
    """
    if path is None:
        return None
    config_json = read_file(path)
    if not _is_object(config_json):
        raise Failed(
            f"--config {path} has no JSON object: it takes a destination's settings, such as"
            ' {"siteID": "…", "apiKey": "…"}',
            EXIT_USAGE,
        )
    return config_json


def _is_object(text: bytes) -> bool:
    """Return whether a text is a JSON object, as Python reads it: it takes every number and every escape."""
    try:
        # Not the bytes: those may be UTF-16.
        found = json.loads(
            text.decode(), parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )
    except ValueError:
        return False
    except RecursionError:
        return text.lstrip().startswith(b"{")
    return isinstance(found, dict)


def _refuse_constant(name: str) -> NoReturn:
    """Raise ValueError for NaN and Infinity, which are no JSON."""
    raise ValueError(name)


def check_one_input(file: str, *, standard_input: bool) -> None:
    """End the command if its command line has both a file and -."""
    if standard_input and file != "-":
        give_up("name a file of events, or - for standard input, not both", EXIT_USAGE)


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
