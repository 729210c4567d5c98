"""When a workspace is better left alone: its credentials are refused, or it keeps failing."""

from collections.abc import Collection

from . import reports
from .answers import Failure
from .backoff import jittered_delay_s
from .job import Job, Report

FAILURES_UNTIL_DOWN = 5
_FIRST_PROBE_S = 1.0
_MAX_PROBE_S = 60.0


class Circuit:
    """What is known of one workspace's health. Times are of a clock that never goes back."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = 0.0
        self._not_before = 0.0
        self._refusals = 0
        self._probe_at = 0.0
        self.probe: Job | None = None
        """While the credentials are refused: the one job that may try again."""
        self._refusal: Report | None = None
        self._last_failure: Report | None = None

    @property
    def down(self) -> bool:
        """Whether nothing has worked for a while: then one request at a time tries."""
        return self._failures >= FAILURES_UNTIL_DOWN

    def wait_s(self, now: float) -> float:
        """How long until the next request may try."""
        return max(0.0, self._not_before - now) if self.down else 0.0

    def answered(self) -> None:
        """It works: Customer.io took a request, or refused it for what was in it."""
        self._failures = 0
        self._refusals = 0
        self._refusal = self.probe = None

    def failed(self, report: Report, sent_at: float, now: float) -> None:
        """A request was not answered, or with an error of the server's."""
        self._last_failure = report
        if self.down and sent_at < self._failed_at:
            return  # it was on its way already when another one failed: it says nothing new
        self._failures += 1
        self._failed_at = now
        if self.down:
            self._not_before = now + jittered_delay_s(self._failures - FAILURES_UNTIL_DOWN + 1)

    def credentials_refused(
        self, jobs: Collection[Job], http_status: int, failures: list[Failure], now: float
    ) -> Report:
        """The credentials were refused; answers with the report of everything that waits.

        jobs: those that were sent with them.
        """
        # What was on its way already when another one was refused says nothing new.
        if self._refusal is None or self.probe in jobs:
            self._refusals += 1
            pause_s = min(_MAX_PROBE_S, _FIRST_PROBE_S * 2.0 ** min(self._refusals - 1, 10))
            self._probe_at = now + pause_s
            self.probe = None
        left_s = max(0.0, self._probe_at - now)
        self._refusal = reports.credentials_refused(http_status, failures, left_s)
        return self._refusal

    def turns_away(self, job: Job, waiting: int, max_waiting: int, now: float) -> Report | None:
        """The report of a job that is not even to wait, or None for one that may.

        waiting: how many wait already. max_waiting: how many may while nothing gets through.
        """
        if self._refusal is not None:
            if self.probe is None and now >= self._probe_at:
                self.probe = job
                return None
            return self._refusal._replace(
                http_status=0, retry_after_s=max(0.0, self._probe_at - now)
            )
        if self.down and waiting > max_waiting and self._last_failure is not None:
            return reports.held_back(self._last_failure.status, self.wait_s(now))
        return None
