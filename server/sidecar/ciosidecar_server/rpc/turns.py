"""Fair use of the event loop: a message of any size lets other callers in within milliseconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

TURN_S = 0.002
"""The time limit of a turn. The event that exceeds it is finished first: at most 50 ms more."""
LARGE_BYTES = 65_536
"""An item above this size may take longer than 50 ms. The conversion of dates in texts, at 0.5 µs a
byte, is the slowest work that was measured."""

_Result = TypeVar("_Result")

# One thread: its work holds the interpreter's lock, so a second thread would delay the loop more.
_thread = ThreadPoolExecutor(1, "ciosidecar-large")


class Turns:
    """The work on one message, in portions. After each portion: if `over`, wait for `next`."""

    def __init__(self) -> None:
        self.end = perf_counter() + TURN_S
        """When other callers have their turn, by `perf_counter`. Asked for each event: a property takes longer."""

    @property
    def over(self) -> bool:
        """Return whether other callers have their turn now."""
        return perf_counter() > self.end

    async def next(self) -> None:
        """Let other callers have their turn."""
        await asyncio.sleep(0)
        self.end = perf_counter() + TURN_S


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Return the result of work that is done in a thread while the event loop goes on.

    Args:
        work: shares nothing with what the loop does meanwhile.
    """
    return await asyncio.get_running_loop().run_in_executor(_thread, work)
