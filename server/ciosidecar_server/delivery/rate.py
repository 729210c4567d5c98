"""How fast a workspace may be sent to."""

from dataclasses import dataclass

_BURST_S = 0.1
_LOWERING = 0.7
_RAISING_PER_S = 0.1
_BETWEEN_LOWERINGS_S = 1.0
_SLOWEST_PER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a workspace is sent to."""

    rate_per_s: float
    """Requests a second."""
    concurrency: int
    """Requests that may be unanswered at a time."""
    request_timeout_s: float
    """How long one request may take, from connecting to the last byte of its answer."""
    linger_s: float
    """How long an operation may wait for others to share its request with."""
    max_waiting_when_down: int
    """Operations that may wait while nothing gets through."""


class TokenBucket:
    """Requests a second: at most the rate, which falls where Customer.io asks to slow down.

    It falls by 30 % at most once a second and rises again by 10 % of the full rate every second.
    Times are seconds of a clock that never goes back.
    """

    def __init__(self, rate_per_s: float, now: float) -> None:
        self._full_rate = rate_per_s
        self._tokens = self._burst(rate_per_s)
        self._filled_at = now
        self._lowered_at = now - _BETWEEN_LOWERINGS_S
        self.rate_per_s = rate_per_s
        """The rate that holds now."""

    @staticmethod
    def _burst(rate_per_s: float) -> float:
        return max(1.0, rate_per_s * _BURST_S)

    def wait_s(self, now: float) -> float:
        """How long until a request may go; 0 if one may go now."""
        passed = now - self._filled_at
        self._filled_at = now
        rate = self.rate_per_s
        self._tokens = min(self._burst(rate), self._tokens + passed * rate)
        if rate < self._full_rate:
            self.rate_per_s = min(self._full_rate, rate + passed * self._full_rate * _RAISING_PER_S)
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / rate

    def take(self) -> None:
        """Takes a token, which `wait_s` has just said is there."""
        self._tokens -= 1.0

    def lower(self, now: float) -> None:
        """Slows down, because Customer.io said so."""
        if now - self._lowered_at >= _BETWEEN_LOWERINGS_S:
            self._lowered_at = now
            slowest = min(_SLOWEST_PER_S, self._full_rate)
            self.rate_per_s = max(slowest, self.rate_per_s * _LOWERING)
