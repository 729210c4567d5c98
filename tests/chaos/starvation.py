"""The times of a run in which a program got no CPU, and what they explain.

On a busy machine the sidecar may read an answer seconds after the sandbox wrote it, or not before it gives the
request up. A wide slack for that would hide defects. So probes measure those times (probes.py), and the checker takes
them for the reason of a repeat only if they make up for the delay.
"""

from collections.abc import Iterable

from tests.chaos.books import Arrival, Fault, Sent

LATE_READ_S = 3.0
"""Time in which a busy sandbox reads bytes, or a busy caller results, that were sent before."""


class Starvation:
    """The measured times of one run."""

    def __init__(self, starved: Iterable[Fault], request_timeout_s: float) -> None:
        self._starved = sorted(starved, key=lambda one: one.start)
        self._request_timeout_s = request_timeout_s

    def seconds(self, start: float, end: float) -> float:
        """Return the seconds of an interval in which at least one program got no CPU."""
        total, until = 0.0, start
        for one in self._starved:
            if one.start >= end:
                break
            total += max(0.0, min(one.end, end) - max(one.start, until))
            until = max(until, min(one.end, end))
        return total

    def excuse(self, event: Sent, arrival: Arrival, arrivals: Iterable[Arrival]) -> str:
        """Return the program whose starvation let the event arrive again; "" if there is none.

        Either the caller was told of a failure too late after this arrival, and sent the event again; or the sidecar
        gave the request up, and says that it sent the event again. The starved seconds must make up for the delay.
        """
        after = (one.received_at for one in arrivals if one.received_at > arrival.received_at)
        again_at = min(after, default=None)
        told = next((one for one in event.told if one.at >= arrival.received_at), None)
        if again_at is None or told is None:
            return ""
        if told.at < again_at:
            is_reason = told.retryable and (told.code != "BLOCKED" or told.attempts > 0)
            late_s = told.at - arrival.answered_at
        else:
            # Without a result, the caller does not know the number of attempts.
            is_reason = told.attempts > 1 or told.status == 0
            late_s = self._request_timeout_s - (arrival.answered_at - arrival.received_at)
        start, end = arrival.received_at - self._request_timeout_s, min(told.at, again_at)
        if not is_reason or self.seconds(start, end) < max(late_s - LATE_READ_S, 0):
            return ""
        return self._longest(start, end)

    def _longest(self, start: float, end: float) -> str:
        """Return the program that was starved the longest in an interval; "" if none was."""
        lengths: dict[str, float] = {}
        for one in self._starved:
            if one.start < end and one.end > start:
                overlap_s = min(one.end, end) - max(one.start, start)
                lengths[one.link] = lengths.get(one.link, 0.0) + overlap_s
        return max(lengths, key=lambda link: lengths[link], default="")
