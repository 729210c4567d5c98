"""The event loop is everybody's: whatever a message holds, others get their turn in milliseconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

TURN_S = 0.002
"""How long one caller's work may go on. What an event takes comes on top: 50 ms at the most."""
LARGE_BYTES = 65_536
"""What is larger may take longer than 50 ms: dates in texts cost 0.5 µs a byte where they are
converted, which is the most that was measured."""

_Found = TypeVar("_Found")

# One thread: its work holds the interpreter's lock, so a second one would only delay the loop more.
_thread = ThreadPoolExecutor(1, "ciosidecar-large")


class Turns:
    """One message's work, in portions. It asks `over` between them, and waits for `next` if so."""

    def __init__(self) -> None:
        self._end = perf_counter() + TURN_S

    @property
    def over(self) -> bool:
        """Whether others must have their turn first."""
        return perf_counter() > self._end

    async def next(self) -> None:
        """Let others have their turn."""
        await asyncio.sleep(0)
        self._end = perf_counter() + TURN_S


async def in_thread(work: Callable[[], _Found]) -> _Found:
    """Do in a thread what would keep the loop for too long; the loop goes on beside it.

    work: shares nothing with what the loop does meanwhile.
    """
    return await asyncio.get_running_loop().run_in_executor(_thread, work)
