"""How one workspace does: what may be sent to it when, and what is wrong with it if something is."""

from collections.abc import Callable, Collection

from ciosidecar_transform.outcomes import ErrorCode

from . import outcomes
from .circuit_breaker import CircuitBreaker
from .job import DeliveryOutcome, Job
from .latency import Latency
from .rate_limiter import RateLimiter
from .responses import Failure

_STALE_S = 600.0
_MAX_RETRY_AFTER_S = 60.0


class Health:
    """The rate, the circuit and the latency of one workspace."""

    def __init__(self, rate_per_s: float, clock: Callable[[], float]) -> None:
        """clock: seconds, never going back."""
        self._clock = clock
        self.rate_limiter = RateLimiter(rate_per_s, clock)
        self.circuit_breaker = CircuitBreaker(clock)
        self.latency = Latency(clock)
        self._changed_at = clock()

    def wait_s(self) -> float:
        """Return how long until the next request may go."""
        return max(self.rate_limiter.wait_s(), self.circuit_breaker.wait_s())

    def answered(self, sent_at: float) -> None:
        """Note that Customer.io took a request, or refused it for what was in it."""
        self.circuit_breaker.answered(sent_at)
        self.rate_limiter.on_success()

    def failed(self, report: DeliveryOutcome, sent_at: float) -> None:
        """Note that a request was not answered, or with an error of the server's."""
        self._changed_at = self._clock()
        self.circuit_breaker.failed(report, sent_at)

    def throttled(self, retry_after_s: float | None, sent_at: float) -> bool:
        """Note a 429; answer whether nothing may be sent for longer than was known."""
        self._changed_at = self._clock()
        self.rate_limiter.on_throttled(sent_at)
        return bool(retry_after_s) and self.circuit_breaker.pause(retry_after_s or 0.0)

    def credentials_refused(
        self, jobs: Collection[Job], http_status: int, failures: list[Failure]
    ) -> DeliveryOutcome:
        """Note that the credentials were refused; answer the report of everything that waits."""
        self._changed_at = self._clock()
        return self.circuit_breaker.credentials_refused(jobs, http_status, failures)

    def in_doubt(self, oldest_sent_at: float | None) -> bool:
        """Return whether it is not to be trusted with many connections: unknown, failing, or hanging.

        oldest_sent_at: of the requests that are under way; None if there are none.
        """
        return (
            not self.latency.known
            or self.circuit_breaker.failing
            or self.latency.hangs(oldest_sent_at)
        )

    def trouble(self, oldest_sent_at: float | None, waiting: int) -> DeliveryOutcome | None:
        """Return the report of an event that is not even to wait, or None if there is no trouble.

        oldest_sent_at: as above. waiting: how many jobs there are.
        """
        report = self.circuit_breaker.trouble()
        if report is None and self.rate_limiter.lowered:
            for_all_s = min(_MAX_RETRY_AFTER_S, max(1.0, waiting / self.rate_limiter.rate_per_s))
            report = outcomes.held_back(429, for_all_s)
        if report is None and self.latency.slow(oldest_sent_at):
            report = outcomes.held_back(504, None, ErrorCode.UPSTREAM_TIMEOUT)
        return report

    @property
    def worth_keeping(self) -> bool:
        """Whether something is known that the next request depends on: a pause, a breaker, a lowered rate.

        What was learned ten minutes ago is no longer.
        """
        if not (self.circuit_breaker.failing or self.rate_limiter.lowered):
            return False
        return self._clock() - self._changed_at < _STALE_S
