"""How fast a workspace may be sent to."""

from collections.abc import Callable
from dataclasses import dataclass

_BURST_S = 0.1
_LOWERING = 0.7
_RAISING_PER_S = 0.1
_BETWEEN_LOWERINGS_S = 1.0
_MOST_BETWEEN_SUCCESSES_S = 1.0
_FLOOR = 0.05
_SLOWEST_PER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLimits:
    """How a workspace is sent to."""

    rate_per_s: float
    """Requests a second."""
    concurrency: int
    """Requests that may be unanswered at a time."""
    request_timeout_s: float
    """How long one request may take, from connecting to the last byte of its answer."""
    linger_s: float
    """How long an operation may wait for others to share its request with."""


class RateLimiter:
    """Requests a second: at most the full rate, less after a 429 (AIMD).

    A 429 lowers the rate by 30 %, down to 5 % of the full rate, or one request a second if that is more. Only
    successes raise it again: by 10 % of the full rate for every second in which there are some.
    """

    def __init__(self, rate_per_s: float, clock: Callable[[], float]) -> None:
        """clock: seconds, never going back."""
        self._clock = clock
        self._full_rate = rate_per_s
        self._floor = min(rate_per_s, max(_SLOWEST_PER_S, rate_per_s * _FLOOR))
        self._tokens = self._burst(rate_per_s)
        self._filled_at = clock()
        self._lowered_at = self._filled_at - _BETWEEN_LOWERINGS_S
        self._succeeded_at = self._lowered_at
        self._raised_at = self._filled_at
        self.rate_per_s = rate_per_s
        """The rate that holds now."""

    @staticmethod
    def _burst(rate_per_s: float) -> float:
        return max(1.0, rate_per_s * _BURST_S)

    @property
    def lowered(self) -> bool:
        """Whether the rate is below the full one."""
        return self.rate_per_s < self._full_rate

    def wait_s(self) -> float:
        """Return how long until a request may go; 0 if one may go now."""
        now = self._clock()
        rate = self.rate_per_s
        self._tokens = min(self._burst(rate), self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / rate

    def reserve(self) -> None:
        """Take a token, which `wait_s` has just said is there."""
        self._tokens -= 1.0

    def on_success(self) -> None:
        """Raise a lowered rate, because a request was taken."""
        now = self._clock()
        self._succeeded_at = now
        if self.lowered:
            since_s = min(now - self._raised_at, _MOST_BETWEEN_SUCCESSES_S)
            raised = self.rate_per_s + self._full_rate * _RAISING_PER_S * since_s
            self.rate_per_s = min(self._full_rate, raised)
        self._raised_at = now

    def on_throttled(self, sent_at: float) -> None:
        """Lower the rate, because a request was answered 429.

        sent_at: when the request was sent. One sent before the rate was last lowered says nothing of the rate that
        holds now. Among successes the rate falls at most once a second: several 429s of one second are one excess.
        """
        now = self._clock()
        if sent_at < self._lowered_at:
            return
        mixed = self._succeeded_at > self._lowered_at
        if mixed and now - self._lowered_at < _BETWEEN_LOWERINGS_S:
            return
        self._lowered_at = self._raised_at = now
        self.rate_per_s = max(self._floor, self.rate_per_s * _LOWERING)
        self._tokens = min(self._tokens, self._burst(self.rate_per_s))
