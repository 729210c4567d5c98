"""Standard output, which may be full, closed, or read by nobody any more."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.json import encode

from .outcome import Failed, drop_output, reason


class CannotWrite(Failed):
    """Standard output takes no more. The text says why, and how many lines it took."""


class Lines:
    """Lines on standard output, each written before the next is."""

    def __init__(self) -> None:
        # Python's own has no buffer under PYTHONUNBUFFERED, and then may write half a line.
        self._out = open(1, "wb", closefd=False)  # noqa: SIM115 - flushed after each line
        self._written = 0

    def write(self, line: bytes) -> None:
        """Write a line. Raises CannotWrite, or BrokenPipeError where nobody reads any more."""
        try:
            self._out.write(line)
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as problem:
            drop_output()
            raise CannotWrite(
                f"cannot write to standard output: {reason(problem)};"
                f" {self._written} lines were written"
            ) from None
        self._written += 1


@contextmanager
def printing() -> Iterator[None]:
    """Turn what goes wrong with standard output into CannotWrite. Raises BrokenPipeError as it is."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        drop_output()
        raise CannotWrite(f"cannot write to standard output: {reason(problem)}") from None


def print_json(found: object) -> None:
    """Print one line of JSON, for programs. Raises CannotWrite, or BrokenPipeError."""
    with printing():
        sys.stdout.write(encode(found).decode() + "\n")


def print_ready(**found: object) -> None:
    """Print the line that says where a server listens. Raises CannotWrite."""
    try:
        print_json({"ready": True} | found)
    except (CannotWrite, BrokenPipeError) as problem:
        drop_output()
        why = problem if isinstance(problem, CannotWrite) else "nobody reads standard output"
        raise CannotWrite(f"{why}, and so nobody would learn where this listens") from None
