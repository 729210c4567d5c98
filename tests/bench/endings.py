"""How the bench ends when it is interrupted: its servers first, then itself."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tests.early_interrupt import INTERRUPTED

from .machine import log


@contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """Exit with 130 after Ctrl-C, and with 143 after SIGTERM, once the inner blocks have ended their servers."""
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        log("interrupted: the servers are ended, and nothing is written")
        sys.exit(INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Interrupt at once. asyncio has a handler in the place of Python's own that waits for the next `await`.

    Between those a server is started, which takes a second.
    """
    raise KeyboardInterrupt
