"""How late the event loop runs what is due."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from .logging import get_logger

TICK_S = 0.1
WINDOW_S = 5.0
_SLOW_S = 0.1
_LOG_EVERY_S = 10.0
_log = get_logger("ciosidecar")


class LoopLag:
    """A timer in the running event loop that measures how late it is called.

    A loop that is late answers callers late and lets their connections time out, although the process is alive.
    """

    def __init__(self, on_tick: Callable[[float], None] | None = None) -> None:
        """Begin without measurements. on_tick: called with the lateness of each tick, in seconds. Optional."""
        self._on_tick = on_tick
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None
        # The lateness of each tick, with the time of the tick.
        self._ticks: deque[tuple[float, float]] = deque(maxlen=int(WINDOW_S / TICK_S))
        self._logged_at = float("-inf")
        self._longest_s = 0.0

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
        late_s = max(0.0, now - self._due)
        self._ticks.append((now, late_s))
        if self._on_tick is not None:
            self._on_tick(late_s)
        self._log_if_slow(now, late_s)
        self.start()

    def _log_if_slow(self, now: float, late_s: float) -> None:
        """Log a slow event loop, every ten seconds at most, with the longest delay since the last line."""
        self._longest_s = max(self._longest_s, late_s)
        if self._longest_s > _SLOW_S and now - self._logged_at >= _LOG_EVERY_S:
            _log.warning("the event loop is slow", lag_s=round(self._longest_s, 3))
            self._logged_at, self._longest_s = now, 0.0
