"""How fast requests go to a workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

BURST_S = 0.1
"""The time whose requests may go at once after a quiet time."""
LOWERING = 0.7
"""What a 429 multiplies the rate by."""
RAISING_PER_S = 0.1
"""The share of the full rate by which a second with successes raises the rate."""
BETWEEN_LOWERINGS_S = 1.0
"""The least time between two lowerings, if there were successes between them."""
MOST_BETWEEN_SUCCESSES_S = 1.0
"""The longest time since the last success that still raises the rate."""
_FLOOR = 0.05
_SLOWEST_PER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLimits:
    """The limits that hold for each workspace."""

    rate_per_s: float
    """Requests a second."""
    concurrency: int
    """Requests that may be under way at a time."""
    request_timeout_s: float
    """The time that one request may take, from connecting to the last byte of its response."""
    linger_s: float
    """The time that an operation may wait for others to share its request with."""


def least_fraction(rate_per_s: float) -> float:
    """Return the share of a full rate below which 429s do not lower it."""
    return min(1.0, max(_SLOWEST_PER_S / rate_per_s, _FLOOR))


class RateLimit(Protocol):
    """A limit of requests a second to one workspace."""

    @property
    def rate_per_s(self) -> float:
        """Return the rate that holds now, in requests a second."""

    @property
    def full_rate_per_s(self) -> float:
        """Return the full rate, in requests a second."""

    @property
    def lowered(self) -> bool:
        """Return whether the rate is below the full rate."""

    @property
    def refilled(self) -> bool:
        """Return whether the tokens that requests took have come again: a new limit would not let more go at once."""

    def wait_s(self) -> float:
        """Return how long until a request may go; 0 if a request may go now."""

    def reserve(self) -> None:
        """Take a token for a request. `wait_s` MUST have returned 0 before."""

    def on_waiting(self) -> None:
        """Note that a request waits for a token."""

    def on_success(self) -> None:
        """Raise a lowered rate, because a request was accepted."""

    def on_throttled(self, sent_at: float) -> None:
        """Lower the rate, because a request was answered 429. sent_at: when the request was sent."""


class RateLimiter:
    """A limit of requests a second: the full rate, less after a 429 (AIMD).

    A 429 lowers the rate by 30 %, down to 5 % of the full rate, or one request a second if that is more. Only
    successes raise it again: by 10 % of the full rate for every second in which there are some.
    """

    def __init__(
        self, rate_per_s: float, clock: Callable[[], float], *, fraction: float | None = None
    ) -> None:
        """Begin at the full rate with a burst, or at a share of it without one.

        Args:
            rate_per_s: the full rate, in requests a second.
            clock: returns seconds that never go back.
            fraction: the share of the full rate to begin at without a burst. Optional.
        """
        self._clock = clock
        self._full_rate = rate_per_s
        self._floor = rate_per_s * least_fraction(rate_per_s)
        self._tokens = self._burst(rate_per_s) if fraction is None else 0.0
        self._filled_at = clock()
        self._lowered_at = self._filled_at - BETWEEN_LOWERINGS_S
        self._succeeded_at = self._lowered_at
        self._raised_at = self._filled_at
        self._rate = max(self._floor, rate_per_s * (1.0 if fraction is None else fraction))

    @staticmethod
    def _burst(rate_per_s: float) -> float:
        return max(1.0, rate_per_s * BURST_S)

    @property
    def rate_per_s(self) -> float:
        """Return the rate that holds now, in requests a second."""
        return self._rate

    @property
    def full_rate_per_s(self) -> float:
        """Return the full rate, in requests a second."""
        return self._full_rate

    @property
    def lowered(self) -> bool:
        """Return whether the rate is below the full rate."""
        return self._rate < self._full_rate

    @property
    def refilled(self) -> bool:
        """Return whether the tokens that requests took have come again."""
        return self._tokens_at(self._clock()) >= self._burst(self._rate)

    def wait_s(self) -> float:
        """Return how long until a request may go; 0 if a request may go now."""
        tokens = self._tokens_at(self._clock())
        return 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._rate

    def reserve(self) -> None:
        """Take a token for a request. `wait_s` MUST have returned 0 before."""
        self._fill()
        self._tokens -= 1.0

    def on_waiting(self) -> None:
        """Do nothing: tokens come with time."""

    def on_success(self) -> None:
        """Raise a lowered rate, because a request was accepted."""
        now = self._clock()
        self._succeeded_at = now
        if self.lowered:
            since_s = min(now - self._raised_at, MOST_BETWEEN_SUCCESSES_S)
            self._fill()
            raised = self._rate + self._full_rate * RAISING_PER_S * since_s
            self._rate = min(self._full_rate, raised)
        self._raised_at = now

    def on_throttled(self, sent_at: float) -> None:
        """Lower the rate, because a request was answered 429.

        sent_at: when the request was sent. A request that was sent before the rate was last lowered says nothing of the
        rate that holds now. Among successes the rate falls at most once a second: several 429s of one second are one
        excess.
        """
        now = self._clock()
        if sent_at < self._lowered_at:
            return
        mixed = self._succeeded_at > self._lowered_at
        if mixed and now - self._lowered_at < BETWEEN_LOWERINGS_S:
            return
        self._fill()
        self._lowered_at = self._raised_at = now
        self._rate = max(self._floor, self._rate * LOWERING)

    def _tokens_at(self, now: float) -> float:
        return min(self._burst(self._rate), self._tokens + (now - self._filled_at) * self._rate)

    def _fill(self) -> None:
        """Add the tokens of the time since the last call, at the rate that held."""
        now = self._clock()
        self._tokens = self._tokens_at(now)
        self._filled_at = now
