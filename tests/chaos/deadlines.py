"""Requests that were in flight when their caller was told of a retryable failure, and sent the event again.

A caller's time limit ends without an answer, so the request may be accepted all the same. A wide window around the
result would hide what is sent twice. So a result explains one arrival at most, and only one of its own sending.
"""

from collections.abc import Iterable

from tests.chaos.books import Arrival, Sent, Told
from tests.chaos.starvation import LATE_READ_S, Starvation

LATE_ARRIVAL_S = 1.0
"""Time in which a busy sandbox notes a request that was sent before the result. Starved seconds are added."""
_CLOCK_MARGIN_S = 0.05


def in_flight(event: Sent, arrivals: Iterable[Arrival], starvation: Starvation) -> set[int]:
    """Return the numbers of the arrivals that were in flight when the caller was told of a retryable failure.

    Args:
        event: the event in its caller's book.
        arrivals: those of the event that nothing else explains, in their order.
        starvation: the times in which a program got no CPU.
    """
    left = list(arrivals)
    found: set[int] = set()
    for sent_at, told in zip(event.sent, event.told, strict=False):
        if not _may_be_in_flight(told):
            continue
        fitting = (one for one in left if _fits(sent_at, told, one, starvation))
        if (arrival := next(fitting, None)) is not None:
            left.remove(arrival)
            found.add(arrival.number)
    return found


def _may_be_in_flight(told: Told) -> bool:
    """Return True unless the result is final, or says that the event was not sent."""
    return told.retryable and (told.code != "BLOCKED" or told.attempts > 0)


def _fits(sent_at: float, told: Told, arrival: Arrival, starvation: Starvation) -> bool:
    late_s = LATE_ARRIVAL_S + starvation.seconds(told.at, arrival.received_at)
    return (
        sent_at - _CLOCK_MARGIN_S <= arrival.received_at <= told.at + late_s
        and arrival.answered_at >= told.at - LATE_READ_S
    )
