"""When a workspace is better left alone: throttled, failing, or with credentials that are refused."""

from collections.abc import Callable, Collection

from . import outcomes
from .job import DeliveryOutcome, Job
from .responses import THROTTLED, Failure
from .retry import jittered_delay_s

FAILURES_UNTIL_OPEN = 5
_FIRST_PROBE_S = 1.0
_MAX_PROBE_S = 60.0


class CircuitBreaker:
    """What is known of one workspace's health.

    It opens for three reasons. After five failures in a row one request at a time tries, further and further apart.
    After a 429 with Retry-After nothing is sent until that time is over, and then one request tries. While the
    credentials are refused nothing may even wait, but for one job that tries.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds, never going back."""
        self._clock = clock
        self._failures = 0
        self._failed_at = 0.0
        self._not_before = 0.0
        self._last_failure: DeliveryOutcome | None = None
        self._paused_at = 0.0
        self._paused_until = 0.0
        self._trial = False
        self._refusals = 0
        self._probe_at = 0.0
        self._refusal: DeliveryOutcome | None = None
        self.probe: Job | None = None
        """While the credentials are refused: the one job that may try again."""

    @property
    def open(self) -> bool:
        """Whether nothing has worked for a while."""
        return self._failures >= FAILURES_UNTIL_OPEN

    @property
    def failing(self) -> bool:
        """Whether the last thing known of the workspace is no success."""
        return self._failures > 0 or self._trial or self._refusal is not None

    @property
    def half_open(self) -> bool:
        """Whether only one request may be unanswered: the one that tries."""
        return self.open or self._trial

    def wait_s(self) -> float:
        """Return how long until the next request may try."""
        until = self._not_before if self.open else 0.0
        return max(0.0, until - self._clock(), self.pause_s)

    @property
    def pause_s(self) -> float:
        """How long Customer.io still wants to be left alone, as it said itself."""
        return max(0.0, self._paused_until - self._clock()) if self._trial else 0.0

    def trouble(self) -> DeliveryOutcome | None:
        """Return the report of an event that is not even to wait because of failures; None if all is well."""
        if self._trial:
            return outcomes.held_back(THROTTLED, self.pause_s)
        failure = self._last_failure
        if self._failures and failure is not None and failure.error is not None:
            return outcomes.held_back(failure.status, self.wait_s(), failure.error.code)
        return None

    def answered(self, sent_at: float) -> None:
        """Note that it works: Customer.io took a request, or refused it for what was in it."""
        self._failures = 0
        self._refusals = 0
        self._refusal = self.probe = None
        # What was on its way before the pause says nothing of whether it is over.
        if sent_at >= self._paused_at:
            self._trial = False

    def failed(self, report: DeliveryOutcome, sent_at: float) -> None:
        """Note that a request was not answered, or with an error of the server's."""
        self._last_failure = report
        if self.open and sent_at < self._failed_at:
            return  # it was on its way already when another one failed: it says nothing new
        now = self._clock()
        self._failures += 1
        self._failed_at = now
        if self.open:
            self._not_before = now + jittered_delay_s(self._failures - FAILURES_UNTIL_OPEN + 1)

    def pause(self, seconds: float) -> bool:
        """Send nothing for a time that Customer.io asks for; answer whether that is news."""
        now = self._clock()
        news = now + seconds > self._paused_until + 1.0 or not self._trial
        self._paused_at = now
        self._paused_until = max(self._paused_until, now + seconds)
        self._trial = True
        return news

    def credentials_refused(
        self, jobs: Collection[Job], http_status: int, failures: list[Failure]
    ) -> DeliveryOutcome:
        """Note that the credentials were refused; answer the report of everything that waits.

        jobs: those that were sent with them.
        """
        now = self._clock()
        # What was on its way already when another one was refused says nothing new.
        if self._refusal is None or self.probe in jobs:
            self._refusals += 1
            pause_s = min(_MAX_PROBE_S, _FIRST_PROBE_S * 2.0 ** min(self._refusals - 1, 10))
            self._probe_at = now + pause_s
            self.probe = None
        left_s = max(0.0, self._probe_at - now)
        self._refusal = outcomes.credentials_refused(http_status, failures, left_s)
        return self._refusal

    def admit(self, job: Job) -> DeliveryOutcome | None:
        """Let a job in, or return the report of one that is not even to wait.

        While the credentials are refused the first job after the pause is let in, to try.
        """
        now = self._clock()
        if self._refusal is not None:
            if self.probe is None and now >= self._probe_at:
                self.probe = job
                return None
            return self._refusal._replace(
                http_status=0, retry_after_s=max(0.0, self._probe_at - now)
            )
        pause_s = self.pause_s
        if pause_s and job.deadline <= now + pause_s:
            return outcomes.held_back(THROTTLED, pause_s)
        return None
