"""The time that delivery goes by. A test hands in a clock of its own and waits for nothing."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Make sure that it does not come."""


class Clock(Protocol):
    """Seconds that never go back, calls at such a time, and the date."""

    def time(self) -> float:
        """Return the time in seconds, from an arbitrary beginning."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back at a time, in the event loop."""

    def date(self) -> datetime:
        """Return the date and time of day, in UTC."""


class SystemClock:
    """The event loop's time and timers, and the system's date. Made where an event loop runs."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.time = loop.time
        self.call_at = loop.call_at

    def date(self) -> datetime:
        """Return the date and time of day, in UTC."""
        return datetime.now(UTC)
