"""Standard input, output and error that whoever started us had closed."""

import os
import sys

# What is opened where a stream is closed. A read from the one or a write to the other fails, as from
# and to a closed stream; what is written to stderr goes nowhere.
_IN_PLACE = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}


def open_what_is_closed() -> None:
    """Open /dev/null in the place of each standard stream that is closed.

    Otherwise the next sockets get these numbers: libuv aborts when it closes one of them, and what is
    printed would go into a connection.
    """
    closed = [number for number in _IN_PLACE if not _is_open(number)]
    for number in closed:
        opened = os.open(os.devnull, _IN_PLACE[number])
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
    if 1 in closed:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    if 2 in closed:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
