"""What the tests of changed files wait for."""

import asyncio
import os
import time
from collections.abc import Callable

from tests.processes import Server

WITHIN_S = 40.0


def log_of(running: Server) -> str:
    """Return what a server has logged so far."""
    # The position of the file is the server's, too: a plain read would move it.
    descriptor = running._errors.fileno()
    return os.pread(descriptor, 1 << 20, 0).decode()


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + WITHIN_S
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


async def wait_for_log(running: Server, text: str, times: int = 1) -> None:
    """Wait until a server has logged a text so many times."""
    await asyncio.to_thread(wait_until, lambda: log_of(running).count(text) >= times)
