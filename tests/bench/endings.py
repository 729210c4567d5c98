"""How the bench ends when it is interrupted: its servers first, then itself."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .machine import log

INTERRUPTED = 128 + signal.SIGINT


@contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """Exit with 130 after Ctrl-C, and with 143 after SIGTERM, once the inner blocks have ended their servers."""
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        log("interrupted: the servers are ended, and nothing is written")
        sys.exit(INTERRUPTED)
