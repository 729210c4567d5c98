"""How late the event loop runs its callbacks: every call and every stream waits that long."""

import asyncio
from collections.abc import Callable

from .logging import get_logger

LOOK_S = 0.1
_SLOW_S = 0.1
_LOG_EVERY_S = 10.0
_log = get_logger("ciosidecar")


class LoopLag:
    """A timer that measures its own delay, ten times a second."""

    def __init__(self, on_lag: Callable[[float], None] | None = None) -> None:
        """Begin without measurements. on_lag: called with each delay, in seconds."""
        self._on_lag = on_lag
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._logged_at = float("-inf")
        self._most_s = 0.0
        self.lag_s = 0.0
        """The last delay. Unit: seconds."""

    def start(self) -> None:
        """Begin to measure, in the running event loop."""
        self._plan(asyncio.get_running_loop())

    def stop(self) -> None:
        """End the measurements."""
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_at = loop.time() + LOOK_S
        self._timer = loop.call_at(self._due_at, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self.lag_s = max(0.0, now - self._due_at)
        if self._on_lag is not None:
            self._on_lag(self.lag_s)
        self._most_s = max(self._most_s, self.lag_s)
        if self.lag_s > _SLOW_S and now - self._logged_at >= _LOG_EVERY_S:
            _log.warning("the event loop is slow", lag_s=round(self._most_s, 3))
            self._logged_at, self._most_s = now, 0.0
        self._plan(loop)
