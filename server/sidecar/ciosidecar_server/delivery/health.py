"""The health of one workspace: what may be sent to it when, and what is wrong with it."""

from collections.abc import Callable, Collection

from ciosidecar_transform.outcomes import ErrorCode

from . import outcomes
from .circuit_breaker import CircuitBreaker
from .job import Job
from .latency import Latency
from .outcomes import DeliveryOutcome
from .rate_limiter import RateLimit
from .responses import Failure

_STALE_S = 600.0
_MAX_RETRY_AFTER_S = 60.0


class Health:
    """The rate limiter, the circuit breaker and the latency of one workspace."""

    def __init__(self, rate_limiter: RateLimit, clock: Callable[[], float]) -> None:
        """Begin in good health.

        Args:
            rate_limiter: the limit of requests a second.
            clock: returns seconds that never go back.
        """
        self._clock = clock
        self.rate_limiter = rate_limiter
        self.circuit_breaker = CircuitBreaker(clock)
        self.latency = Latency(clock)
        self._changed_at = clock()

    def wait_s(self) -> float:
        """Return how long until the next request may go."""
        return max(self.rate_limiter.wait_s(), self.circuit_breaker.wait_s())

    def on_waiting(self) -> None:
        """Note that a request waits, for a token unless the circuit breaker keeps it."""
        if not self.circuit_breaker.wait_s():
            self.rate_limiter.on_waiting()

    def on_success(self, sent_at: float) -> None:
        """Close the circuit breaker and raise a lowered rate. Customer.io accepted a request or refused its content."""
        self.circuit_breaker.on_success(sent_at)
        self.rate_limiter.on_success()

    def on_failure(self, outcome: DeliveryOutcome, sent_at: float) -> None:
        """Count a request without response, or with an error of the server's."""
        self._changed_at = self._clock()
        self.circuit_breaker.on_failure(outcome, sent_at)

    def on_throttled(self, retry_after_s: float | None, sent_at: float) -> bool:
        """Lower the rate after a 429, and pause if it asks for that. Return whether a pause begins, or a longer one."""
        self._changed_at = self._clock()
        self.rate_limiter.on_throttled(sent_at)
        return bool(retry_after_s) and self.circuit_breaker.pause(retry_after_s or 0.0)

    def on_credentials_refused(
        self, jobs: Collection[Job], http_status: int, failures: list[Failure]
    ) -> DeliveryOutcome:
        """Let no job wait, because Customer.io refused the credentials of a request. Return the outcome of its jobs."""
        self._changed_at = self._clock()
        return self.circuit_breaker.on_credentials_refused(jobs, http_status, failures)

    def in_doubt(self, oldest_sent_at: float | None) -> bool:
        """Return whether the workspace may have few connections only: never answered yet, failing, or hanging.

        oldest_sent_at: when the oldest request was sent that is under way; None if there is none.
        """
        return (
            not self.latency.known
            or self.circuit_breaker.failing
            or self.latency.hangs(oldest_sent_at)
        )

    def trouble(self, oldest_sent_at: float | None, waiting: int) -> DeliveryOutcome | None:
        """Return the outcome of a job that may not even wait, or None if there is no trouble.

        Args:
            oldest_sent_at: when the oldest request was sent that is under way; None if there is none.
            waiting: how many jobs there are.
        """
        outcome = self.circuit_breaker.trouble()
        if outcome is None and self.rate_limiter.lowered:
            for_all_s = min(_MAX_RETRY_AFTER_S, max(1.0, waiting / self.rate_limiter.rate_per_s))
            outcome = outcomes.in_trouble(429, for_all_s)
        if outcome is None and self.latency.slow(oldest_sent_at):
            outcome = outcomes.in_trouble(504, None, ErrorCode.UPSTREAM_TIMEOUT)
        return outcome

    @property
    def conditions(self) -> tuple[bool, bool, bool, bool]:
        """Return whether the credentials are refused, the breaker is open, there is a pause, the rate is lowered."""
        circuit_breaker = self.circuit_breaker
        return (
            circuit_breaker.refused,
            circuit_breaker.open,
            circuit_breaker.paused,
            self.rate_limiter.lowered,
        )

    @property
    def worth_keeping(self) -> bool:
        """Return whether the next request depends on what is known.

        That is: tokens that are used, a pause, failures, a lowered rate. After ten minutes without news, only used
        tokens count.
        """
        if not self.rate_limiter.refilled:
            return True
        if not (self.circuit_breaker.failing or self.rate_limiter.lowered):
            return False
        return self._clock() - self._changed_at < _STALE_S
