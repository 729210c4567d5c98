"""The counts of answered events, added up between two readings."""

import asyncio
from collections.abc import Callable, Mapping

from ..rpc.observer import EventLabels, WarningLabels

_GATHER_S = 0.1
_MAX_KINDS = 64
"""The number of different counts that are handed on at once. Each takes some microseconds."""

EventsAnswered = Callable[[Mapping[EventLabels, int], Mapping[WarningLabels, int]], None]
"""`RpcObserver.events_answered`."""


class EventSums:
    """A sum of the counts of many messages, handed on as one report.

    A message of one event would otherwise spend as long on its counts as on its event. The sums are handed on after a
    tenth of a second, and before anything reads what they count.
    """

    def __init__(self, events_answered: EventsAnswered) -> None:
        """Begin without counts. events_answered: receives the sums."""
        self._events_answered = events_answered
        self._events: dict[EventLabels, int] = {}
        self._warnings: dict[WarningLabels, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]) -> None:
        """Add the counts of a message, or of a part of it."""
        sums = self._events
        for labels, number in events.items():
            sums[labels] = sums.get(labels, 0) + number
        for warning, number in warnings.items():
            self._warnings[warning] = self._warnings.get(warning, 0) + number
        if len(sums) > _MAX_KINDS:
            self.hand_on()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._timer = None
        self.hand_on()

    def hand_on(self) -> None:
        """Hand on the sums since the last time."""
        if self._events:
            events, self._events = self._events, {}
            warnings, self._warnings = self._warnings, {}
            self._events_answered(events, warnings)

    def stop(self) -> None:
        """Hand on the last sums."""
        if self._timer is not None:
            self._timer.cancel()
        self.hand_on()
