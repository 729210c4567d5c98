"""One observer for several: each report goes to all of them that want it."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from .event_sums import EventSums
from .faults import kind_and_place
from .observer import Observer

_log = logging.getLogger(__name__)
_REPORTS = (
    "stream_opened",
    "stream_closed",
    "stream_stalled",
    "stream_read",
    "batch_began",
    "batch_ended",
    "batch_received",
    "events_answered",
    "call_ended",
    "internal_fault",
    "attempt_ended",
    "jobs_settled",
    "condition_changed",
    "rate_store_changed",
)


class FanOut(Observer):
    """An observer that hands each report on. A listener that fails is logged, and harms nobody else."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        """Hand reports on to these observers, in their order."""
        observers = tuple(observers)
        for report in _REPORTS:
            ignoring = getattr(Observer, report)
            listeners = tuple(
                getattr(observer, report)
                for observer in observers
                if getattr(type(observer), report) is not ignoring
            )
            if listeners:
                setattr(self, report, _to_all(listeners))
        self.traces = self.batch_began != super().batch_began
        self.event_sums = EventSums(self.events_answered)
        """The counts of answered events that the observers have not received yet."""
        self.events_answered = self.event_sums.add  # type: ignore[method-assign]


def _to_all(listeners: tuple[Callable[..., None], ...]) -> Callable[..., None]:
    def report(*arguments: Any) -> None:
        for listener in listeners:
            try:
                listener(*arguments)
            except Exception as fault:  # noqa: BLE001 - what is reported goes on nevertheless
                _log.error("internal error in telemetry: %s at %s", *kind_and_place(fault))

    return report
