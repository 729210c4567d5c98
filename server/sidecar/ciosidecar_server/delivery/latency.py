"""How long a workspace takes to respond, and whether it hangs."""

from collections.abc import Callable

SLOW_S = 1.0
_WEIGHT = 0.2


class Latency:
    """The moving average of one workspace's response times."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin without a response. clock: returns seconds that never go back."""
        self._clock = clock
        self._average_s: float | None = None
        self._answered_at = 0.0

    @property
    def known(self) -> bool:
        """Return whether there was a response."""
        return self._average_s is not None

    @property
    def average_s(self) -> float | None:
        """Return the moving average; None before the first response."""
        return self._average_s

    def on_response(self, sent_at: float) -> None:
        """Count the response to a request. sent_at: when the request was sent."""
        now = self._answered_at = self._clock()
        took_s = now - sent_at
        average_s = took_s if self._average_s is None else self._average_s
        self._average_s = average_s + _WEIGHT * (took_s - average_s)

    def hangs(self, oldest_sent_at: float | None) -> bool:
        """Return whether there was no response for a second although requests were sent.

        oldest_sent_at: when the oldest request was sent that is under way; None if there is none.
        """
        if oldest_sent_at is None:
            return False
        return self._clock() - max(oldest_sent_at, self._answered_at) > SLOW_S

    def slow(self, oldest_sent_at: float | None) -> bool:
        """Return whether responses take more than a second, or do not come. oldest_sent_at: as above."""
        average_s = self._average_s or 0.0
        return average_s > SLOW_S or self.hangs(oldest_sent_at)
