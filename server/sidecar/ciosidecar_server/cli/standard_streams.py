"""Standard input, output and error that are closed at the start."""

import os
import sys

# Modes that make a read from stdin and a write to stdout fail, as with a closed stream. Writes to
# stderr are discarded.
_IN_PLACE = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}


def open_what_is_closed() -> None:
    """Open /dev/null in the place of each closed standard stream.

    Otherwise the next sockets would get their numbers: libuv aborts when it closes such a socket, and
    printed text would go into a connection.
    """
    closed = [number for number in _IN_PLACE if not _is_open(number)]
    for number in closed:
        opened = os.open(os.devnull, _IN_PLACE[number])
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
    if 1 in closed:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - never closed
    if 2 in closed:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
