"""How late the event loop runs what is due."""

import asyncio
import time
from collections import deque

TICK_S = 0.25
WINDOW_S = 5.0


class LoopLag:
    """A timer in the running event loop that measures how late it is called.

    A loop that is late answers callers late and lets their connections time out, although the process is alive.
    """

    def __init__(self) -> None:
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None
        # The lateness of each tick, with the time of the tick.
        self._ticks: deque[tuple[float, float]] = deque(maxlen=int(WINDOW_S / TICK_S))

    def start(self) -> None:
        """Begin to measure."""
        self._due = time.monotonic() + TICK_S
        self._handle = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def stop(self) -> None:
        """Measure no more."""
        if self._handle is not None:
            self._handle.cancel()

    def worst_s(self) -> float:
        """Return the longest delay of the last five seconds. Unit: seconds."""
        now = time.monotonic()
        recent = [late for at, late in self._ticks if now - at < WINDOW_S]
        # The tick that is due now may itself be what runs late.
        return max(0.0, now - self._due, *recent) if self._handle is not None else 0.0

    def _tick(self) -> None:
        now = time.monotonic()
        self._ticks.append((now, max(0.0, now - self._due)))
        self.start()
