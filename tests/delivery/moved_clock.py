"""A clock that a test moves: timers are called when the test says that their time has come."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WITHIN_S = 10
_TICK_S = 1e-9


class MovedTimer:
    """A call that is still to come."""

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._callback = callback
        self._args = args
        self._cancelled = False

    def cancel(self) -> None:
        """Call no more."""
        self._cancelled = True

    def call(self) -> None:
        """Call, unless cancelled."""
        if not self._cancelled:
            self._callback(*self._args)


class MovedClock:
    """Stands still between two moves."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._timers: list[tuple[float, int, MovedTimer]] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def time(self) -> float:
        """Return the seconds so far."""
        return self._now

    def date(self) -> datetime:
        """Return the date, which moves along."""
        return BEGINNING + timedelta(seconds=self._now - 1_000.0)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> MovedTimer:
        """Call back in the move that reaches the time."""
        timer = MovedTimer(callback, args)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        self._changed.set()
        return timer

    def move(self, seconds: float) -> None:
        """Go on by so much, and call what is due, each at its time."""
        until = self._now + seconds
        while self._timers and self._timers[0][0] <= until:
            when, _, timer = heapq.heappop(self._timers)
            # Time goes on: a timer that makes the next one for now would be called without an end.
            self._now = max(self._now + _TICK_S, when)
            timer.call()
        self._now = max(self._now, until)

    def next_timer_in(self, most: float) -> float:
        """Return the seconds until the next timer, or `most` if there is none before."""
        return min(most, max(0.0, self._timers[0][0] - self._now)) if self._timers else most

    async def timer_after(self, seconds: float) -> None:
        """Wait until something is to be called so much later or later."""
        async with asyncio.timeout(WITHIN_S):
            while not any(when >= self._now + seconds for when, _, _ in self._timers):
                self._changed.clear()
                await self._changed.wait()
