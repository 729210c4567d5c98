"""What is done about Customer.io's response to a request, or about its absence: answer the jobs, or send them again."""

from collections.abc import Collection

from . import outcomes
from .accepted import accepted
from .clock import Clock
from .health import Health
from .idempotence import is_idempotent
from .job import UNSENT, Job, State
from .outcomes import DeliveryOutcome
from .request_batch import RequestBatch
from .responses import REDIRECTS, THROTTLED, Classification, Disposition, classify
from .retry import jittered_delay_s, retry_after_s
from .sender import Sender
from .settlement import Settlement, drained
from .transport import Response

_TOO_MUCH_TOGETHER = (400, 413)
_PARTLY_ACCEPTED = 207


class ResponseHandler:
    """Does what the responses to one workspace's requests ask for."""

    def __init__(
        self,
        jobs: Collection[Job],
        settlement: Settlement,
        sender: Sender,
        health: Health,
        clock: Clock,
    ) -> None:
        """Begin without responses.

        Args:
            jobs: the jobs of the workspace. Some responses concern all of them.
            settlement: answers jobs.
            sender: sends requests again.
            health: the health of the workspace, which each response changes.
            clock: the time of retries.
        """
        self._jobs = jobs
        self._settlement = settlement
        self._sender = sender
        self._health = health
        self._clock = clock
        self._draining = False

    def drain(self) -> None:
        """Send nothing again from now on: answer the jobs of failed requests instead."""
        self._draining = True

    def handle(self, batch: RequestBatch, response: Response) -> DeliveryOutcome | None:
        """Do what a response asks for. Return the outcome of the request's jobs if it failed."""
        classification = classify(response)
        disposition, failures, _ = classification
        status = response.status
        if disposition is Disposition.TRY_AGAIN:
            after_s = retry_after_s(
                response.headers.get("retry-after"),
                self._clock.date(),
                response.headers.get("date"),
            )
            # Redirects of proxies and of login pages have no error of Customer.io's.
            other_region = status in REDIRECTS and (batch.redirected or bool(failures))
            failure = outcomes.failed(status, failures, after_s, other_region=other_region)
            self._failed(batch, failure)
            return failure
        if disposition is Disposition.WRONG_CREDENTIALS:
            return self._credentials_refused(batch, status, classification)
        if disposition is Disposition.NOT_KNOWN:
            return self._not_known(batch, status)
        self._health.on_success(batch.sent_at)
        if disposition is Disposition.DELIVERED:
            for jobs, outcome in accepted(batch, status, classification):
                self._settlement.finish_alike(jobs, outcome)
            return None
        failure = outcomes.refused(status, failures)
        if len(batch.jobs) > 1 and status in _TOO_MUCH_TOGETHER:
            self._split(batch)
        else:
            for job in batch.jobs:
                self._settlement.finish(job, failure)
        return failure

    def _failed(self, batch: RequestBatch, outcome: DeliveryOutcome) -> None:
        """Try again after a retryable failure."""
        if outcome.http_status == THROTTLED:
            self._throttled(batch, outcome)
        else:
            self._health.on_failure(outcome, batch.sent_at)
            self.try_again(batch, outcome)

    def _throttled(self, batch: RequestBatch, outcome: DeliveryOutcome) -> None:
        """Slow down, or pause for the time that Customer.io asks for. Answer the jobs that have less time."""
        is_longer_pause = self._health.on_throttled(outcome.retry_after_s, batch.sent_at)
        self.try_again(batch, outcome)
        if not is_longer_pause:
            return
        pause_s = self._health.circuit_breaker.pause_s
        until = self._clock.time() + pause_s
        for job in list(self._jobs):
            if job.deadline <= until and job.state in UNSENT:
                paused = job.failure or outcomes.in_trouble(THROTTLED, pause_s)
                self._settlement.finish(job, paused._replace(retry_after_s=pause_s))

    def _credentials_refused(
        self, batch: RequestBatch, status: int, classification: Classification
    ) -> DeliveryOutcome:
        """Answer every job that is not in flight. Return the outcome of the request's jobs."""
        jobs = batch.jobs
        outcome = self._health.on_credentials_refused(jobs, status, classification.failures)
        waiting = [job for job in self._jobs if job.state is not State.IN_FLIGHT]
        for job in jobs:
            self._settlement.finish(job, outcome)
        for job in waiting:
            self._settlement.finish(job, outcome._replace(http_status=0))
        return outcome

    def _not_known(self, batch: RequestBatch, status: int) -> DeliveryOutcome:
        """Send again the jobs that are idempotent; warn of the other jobs that they may not have been accepted.

        Return the outcome of jobs that are not sent again.
        """
        outcome = outcomes.not_known(status)
        self._health.on_failure(outcome, batch.sent_at)
        perhaps_accepted = outcomes.DELIVERED._replace(
            http_status=status, warnings=[outcomes.UNREADABLE]
        )
        for job in batch.jobs:
            job.failure = outcome
            if not is_idempotent(job.request):
                self._settlement.finish(job, perhaps_accepted)
        batch.drop_settled()
        if status == _PARTLY_ACCEPTED and len(batch.jobs) > 1:
            self._split(batch)
        elif batch.next is not None:
            # The other half need not wait for what will hardly be answered better.
            for job in batch.jobs:
                self._settlement.finish(job, outcome)
        elif batch.jobs:
            self.try_again(batch, outcome)
        return outcome

    def _split(self, batch: RequestBatch) -> None:
        """Send the halves one after the other, to find the jobs that Customer.io refuses."""
        for job in batch.jobs:
            if self._draining or job.forgotten:
                self._settlement.finish(job, drained(job))
        batch.drop_settled()
        if batch.jobs:
            self._sender.send_next(batch.bisect())

    def try_again(self, batch: RequestBatch, outcome: DeliveryOutcome) -> None:
        """Plan another attempt for the jobs that have the time for it; answer the others."""
        delay_s = max(outcome.retry_after_s or 0.0, jittered_delay_s(batch.jobs[0].attempts))
        at = self._clock.time() + delay_s
        for job in batch.jobs:
            job.failure = outcome
            if self._draining or job.forgotten or at >= job.deadline:
                self._settlement.finish(job, outcome)
        batch.drop_settled()
        if batch.jobs:
            self._sender.resend_at(batch, at)
