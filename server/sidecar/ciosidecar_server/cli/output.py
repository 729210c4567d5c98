"""Standard output, which may be full, closed or without a reader."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.json import encode
from rich.console import Console

from ..counted import counted
from .outcome import Failed, drop_output, reason
from .service_manager import notify


class CannotWrite(Failed):
    """Standard output cannot be written. The text says why, and how many lines were written."""


class OutputConsole(Console):
    """A console on standard output that raises BrokenPipeError if there is no reader any more, as `print` does."""

    def on_broken_pipe(self) -> None:
        """Raise the error that Rich would end the process for, with exit code 1."""
        raise  # noqa: PLE0704 - Rich calls this while it handles the error


class Lines:
    """Writer of lines to standard output. Each line is flushed."""

    def __init__(self) -> None:
        # sys.stdout has no buffer under PYTHONUNBUFFERED, and may then write half a line.
        self._out = open(1, "wb", closefd=False)  # noqa: SIM115 - flushed after each line
        self._written = 0

    def write(self, line: bytes) -> None:
        """Write a line.

        Raises:
            CannotWrite: Standard output cannot be written.
            BrokenPipeError: Standard output has no reader any more.
        """
        try:
            self._out.write(line)
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as problem:
            drop_output()
            raise CannotWrite(
                f"cannot write to standard output: {reason(problem)};"
                f" {counted(self._written, 'line')} written"
            ) from None
        self._written += 1


@contextmanager
def printing() -> Iterator[None]:
    """Convert errors of standard output in the block to CannotWrite, except BrokenPipeError."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        drop_output()
        raise CannotWrite(f"cannot write to standard output: {reason(problem)}") from None


def print_json(value: object) -> None:
    """Print one line of JSON.

    Raises:
        CannotWrite: Standard output cannot be written.
        BrokenPipeError: Standard output has no reader any more.
    """
    with printing():
        sys.stdout.write(encode(value).decode() + "\n")


def print_ready(**members: object) -> None:
    """Print the line of JSON that says where a server listens, and tell systemd if that runs it.

    Raises:
        CannotWrite: Standard output cannot be written, or has no reader.
    """
    try:
        print_json({"ready": True} | members)
    except (CannotWrite, BrokenPipeError) as problem:
        drop_output()
        why = problem if isinstance(problem, CannotWrite) else "standard output has no reader"
        raise CannotWrite(f"{why}, so no program could learn the address") from None
    notify("READY=1")
