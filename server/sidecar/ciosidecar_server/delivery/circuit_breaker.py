"""When a workspace is better left alone: throttled, failing, or with credentials that are refused."""

from collections.abc import Callable, Collection

from . import outcomes
from .job import Job
from .outcomes import DeliveryOutcome
from .responses import THROTTLED, Failure
from .retry import jittered_delay_s

FAILURES_UNTIL_OPEN = 5
_FIRST_PROBE_S = 1.0
_MAX_PROBE_S = 60.0


class CircuitBreaker:
    """What may be sent to one workspace after its failures.

    There are three reasons to send less. After five failures in a row one request at a time is a probe, at growing
    intervals. After a 429 with Retry-After nothing is sent until that time is over, and then one request is a probe.
    While the credentials are refused no job may even wait, except one that is the probe.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin closed. clock: returns seconds that never go back."""
        self._clock = clock
        self._failures = 0
        self._failed_at = 0.0
        self._not_before = 0.0
        self._last_failure: DeliveryOutcome | None = None
        self._paused_at = 0.0
        self._paused_until = 0.0
        self._paused = False
        self._refusals = 0
        self._probe_at = 0.0
        self._refusal: DeliveryOutcome | None = None
        self._probe: Job | None = None

    @property
    def open(self) -> bool:
        """Return whether the last five requests failed, or more."""
        return self._failures >= FAILURES_UNTIL_OPEN

    @property
    def paused(self) -> bool:
        """Return whether Customer.io asked for a pause, and has accepted no request since."""
        return self._paused

    @property
    def refused(self) -> bool:
        """Return whether the credentials were refused by the last response."""
        return self._refusal is not None

    @property
    def failing(self) -> bool:
        """Return whether there was no success since the last failure."""
        return self._failures > 0 or self._paused or self._refusal is not None

    @property
    def half_open(self) -> bool:
        """Return whether only one request may be under way: the probe."""
        return self.open or self._paused

    def wait_s(self) -> float:
        """Return how long until the next request may go."""
        until = self._not_before if self.open else 0.0
        return max(0.0, until - self._clock(), self.pause_s)

    @property
    def pause_s(self) -> float:
        """Return how long the pause still lasts that Customer.io asked for."""
        return max(0.0, self._paused_until - self._clock()) if self._paused else 0.0

    def trouble(self) -> DeliveryOutcome | None:
        """Return the outcome of a job that may not even wait because of failures; None if there are none."""
        if self._paused:
            return outcomes.in_trouble(THROTTLED, self.pause_s)
        failure = self._last_failure
        if self._failures and failure is not None and failure.error is not None:
            return outcomes.in_trouble(failure.status, self.wait_s(), failure.error.code)
        return None

    def on_success(self, sent_at: float) -> None:
        """Close, because Customer.io accepted a request, or refused it for its content."""
        self._failures = 0
        self._refusals = 0
        self._refusal = self._probe = None
        # A request that was sent before the pause does not say whether the pause is over.
        if sent_at >= self._paused_at:
            self._paused = False

    def on_failure(self, outcome: DeliveryOutcome, sent_at: float) -> None:
        """Count a request without response, or with an error of the server's."""
        self._last_failure = outcome
        if self.open and sent_at < self._failed_at:
            return  # it was under way when the last request failed, and may have failed for the same reason
        now = self._clock()
        self._failures += 1
        self._failed_at = now
        if self.open:
            self._not_before = now + jittered_delay_s(self._failures - FAILURES_UNTIL_OPEN + 1)

    def pause(self, seconds: float) -> bool:
        """Send nothing for a time that Customer.io asks for. Return whether that is a new or a longer pause."""
        now = self._clock()
        is_longer = now + seconds > self._paused_until + 1.0 or not self._paused
        self._paused_at = now
        self._paused_until = max(self._paused_until, now + seconds)
        self._paused = True
        return is_longer

    def on_credentials_refused(
        self, jobs: Collection[Job], http_status: int, failures: list[Failure]
    ) -> DeliveryOutcome:
        """Let no job wait, because the credentials were refused. Return the outcome of the jobs.

        Args:
            jobs: the jobs of the refused request.
            http_status: the status of the response.
            failures: the errors that the response reports.
        """
        now = self._clock()
        # Ignore responses to requests that were under way when the first refusal arrived.
        if self._refusal is None or self._probe in jobs:
            self._refusals += 1
            pause_s = min(_MAX_PROBE_S, _FIRST_PROBE_S * 2.0 ** min(self._refusals - 1, 10))
            self._probe_at = now + pause_s
            self._probe = None
        left_s = max(0.0, self._probe_at - now)
        self._refusal = outcomes.credentials_refused(http_status, failures, left_s)
        return self._refusal

    def admit(self, job: Job) -> DeliveryOutcome | None:
        """Let a job wait, or return the outcome of a job that may not even wait.

        While the credentials are refused the first job after the pause is let in, as the probe.
        """
        now = self._clock()
        if self._refusal is not None:
            if self._probe is None and now >= self._probe_at:
                self._probe = job
                return None
            return self._refusal._replace(
                http_status=0, retry_after_s=max(0.0, self._probe_at - now)
            )
        pause_s = self.pause_s
        if pause_s and job.deadline <= now + pause_s:
            return outcomes.in_trouble(THROTTLED, pause_s)
        return None

    @property
    def admits_all(self) -> bool:
        """Return whether `admit` lets every job wait."""
        return self._refusal is None and not self._paused

    def on_settled(self, jobs: Collection[Job]) -> None:
        """Let another job be the probe, if one of these was."""
        if self._probe is not None and self._probe in jobs:
            self._probe = None
