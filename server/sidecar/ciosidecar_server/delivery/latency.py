"""How long a workspace takes to answer, and whether it hangs."""

from collections.abc import Callable

SLOW_S = 1.0
_WEIGHT = 0.2


class Latency:
    """What the answers of one workspace took, the later ones counting more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds, never going back."""
        self._clock = clock
        self._average_s: float | None = None
        self._answered_at = 0.0

    @property
    def known(self) -> bool:
        """Whether there was an answer yet."""
        return self._average_s is not None

    def answered(self, sent_at: float) -> None:
        """Note an answer to a request that was sent then."""
        now = self._answered_at = self._clock()
        took_s = now - sent_at
        average_s = took_s if self._average_s is None else self._average_s
        self._average_s = average_s + _WEIGHT * (took_s - average_s)

    def hangs(self, oldest_sent_at: float | None) -> bool:
        """Return whether nothing was answered for a second although something was sent.

        oldest_sent_at: of the requests that are under way; None if there are none.
        """
        if oldest_sent_at is None:
            return False
        return self._clock() - max(oldest_sent_at, self._answered_at) > SLOW_S

    def slow(self, oldest_sent_at: float | None) -> bool:
        """Return whether answers take more than a second, or do not come."""
        average_s = self._average_s or 0.0
        return average_s > SLOW_S or self.hangs(oldest_sent_at)
