"""One Customer.io workspace: the jobs to send to it, in which order and how fast, and what becomes of them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from . import outcomes
from .accepted import accepted
from .clock import Clock
from .endpoints import TrackApiEndpoints
from .health import Health
from .idempotence import is_idempotent
from .job import UNSENT, Job, State, transition, waited_together
from .observer import DeliveryObserver, NoDeliveryObserver, WorkspaceSnapshot
from .ordering import OrderingGraph, dependents
from .outcomes import DeliveryOutcome
from .rate_limiter import RateLimit, RateLimiter, SendLimits
from .redirects import RedirectingSender
from .reporting import WorkspaceReporter
from .request_batch import RequestBatch
from .responses import REDIRECTS, THROTTLED, Classification, Disposition, classify
from .retry import jittered_delay_s, retry_after_s
from .sender import Sender
from .slots import Slots
from .transport import NoResponse, Response, Transport

_TOO_MUCH_TOGETHER = (400, 413)
_PARTLY_ACCEPTED = 207


class WorkspaceQueue:
    """The jobs of one workspace, from every stream that sends to it."""

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        endpoints: TrackApiEndpoints,
        limits: SendLimits,
        slots: Slots,
        clock: Clock,
        observer: DeliveryObserver | None = None,
        shared_rate: Callable[[Callable[[], None]], RateLimit] | None = None,
    ) -> None:
        """Begin without jobs.

        Args:
            base_url: where requests go, until Customer.io redirects one.
            transport: sends the requests.
            endpoints: the base URLs that a redirect may lead to.
            limits: the rate and the other limits of a workspace.
            slots: the connections that all workspaces share.
            clock: the time of deadlines, retries, rate and health.
            observer: receives the workspace's reports. Optional.
            shared_rate: makes the limit of requests a second that other sidecars share. It takes what is to be called
                when tokens have come. Optional. Defaults to a limit of this process alone.
        """
        self._clock = clock
        self._limits = limits
        self._ordering = OrderingGraph()
        rate_limiter = (
            RateLimiter(limits.rate_per_s, clock.time)
            if shared_rate is None
            else shared_rate(self._tokens_came)
        )
        self._health = Health(rate_limiter, clock.time)
        self._sender = Sender(limits, slots, self._health, self._exchange, clock)
        self._jobs: dict[Job, None] = {}
        self._observer = observer or NoDeliveryObserver()
        self._reporter = WorkspaceReporter(
            base_url, self._jobs, self._health, self._sender, self._observer
        )
        self._redirecting = RedirectingSender(
            base_url, transport, endpoints, clock, self._reporter.moved
        )
        self._draining = False

    @property
    def idle(self) -> bool:
        """Whether there are no jobs."""
        return not self._jobs

    @property
    def worth_keeping(self) -> bool:
        """Whether there are jobs, or the next one depends on what is known: of health, or of the region."""
        return bool(self._jobs) or self._health.worth_keeping or self._redirecting.moved

    def snapshot(self) -> WorkspaceSnapshot:
        """Return the state of the workspace."""
        return self._reporter.snapshot()

    def beyond_share(self, *, alone: bool) -> DeliveryOutcome | None:
        """Return the outcome of jobs beyond a fair share of what a stream may have outstanding; None if there is no trouble.

        alone: whether the stream has no other workspace. Then there is trouble only while the circuit breaker is open.
        """
        if alone and not self._health.circuit_breaker.open:
            return None
        return self._health.trouble(self._sender.oldest_sent_at, len(self._jobs))

    def admits_all(self, deadline: float) -> bool:
        """Return whether `submit` queues every job: it answers none at once. deadline: that of the jobs."""
        return (
            self._health.circuit_breaker.admits_all
            and not self._draining
            and self._clock.time() < deadline
        )

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue jobs of one message, which have one deadline, in their order.

        Their owner is notified of each exactly once, possibly before this method returns, unless the owner forgets it.
        """
        # First: whatever fails below, the owner can forget every job.
        self._jobs.update(dict.fromkeys(jobs))
        now = self._clock.time()
        destination_ref = ""
        for job in jobs:
            job.submitted_at = now
            if job.destination_ref is not destination_ref:
                destination_ref = job.destination_ref
                self._reporter.fed_by(destination_ref)
        if self.admits_all(jobs[0].deadline):
            self._enqueue(jobs)
            return
        for job in jobs:
            outcome = self._refusal(job, now)
            if outcome is None:
                self._enqueue((job,))
            else:
                self._finish(job, outcome)

    def _refusal(self, job: Job, now: float) -> DeliveryOutcome | None:
        """Return the outcome of a job that may not even wait; None if it may."""
        if self._draining:
            return _drained(job)
        if now >= job.deadline:
            return _expired(job)
        return self._health.circuit_breaker.admit(job)

    def _enqueue(self, jobs: Sequence[Job]) -> None:
        if ready := self._ordering.enqueue(jobs):
            self._sender.add(ready)
            self._sender.pump_soon()

    def _tokens_came(self) -> None:
        self._sender.pump_soon()

    def message_submitted(self) -> None:
        """Send what waited for the rest of its message, now that all of the message is submitted."""
        self._sender.pump_soon()

    def expire(self, jobs: Iterable[Job]) -> None:
        """Answer jobs whose time is over. A request under way goes on for the other jobs it covers."""
        under_way = []
        for job in jobs:
            if job.state in UNSENT:
                self._finish(job, _expired(job))
            elif job.state is State.IN_FLIGHT:
                self._finish(job, outcomes.not_answered())
                under_way.append(job)
        self._sender.cut(under_way)

    def send_back(self, jobs: Iterable[Job], outcome: DeliveryOutcome) -> None:
        """Answer those of the jobs that are not in flight."""
        for job in jobs:
            if job.state in UNSENT:
                self._finish(job, outcome)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Drop jobs whose owner is gone.

        A job in flight keeps its place until its request is over: the same event, sent again, must not overtake it.
        """
        for job in jobs:
            job.forgotten = True
            if job.state in UNSENT:
                self._close((job,))
        self._sender.pump_soon()

    def drain(self) -> None:
        """Send nothing more. Requests under way still wait for their responses."""
        self._draining = True
        for job in list(self._jobs):
            if job.state in UNSENT:
                self._finish(job, _drained(job))

    def give_up(self) -> None:
        """End the requests under way. Their jobs are answered as unanswered by Customer.io."""
        self._sender.cut_all()

    async def aclose(self) -> None:
        """End the requests under way. Every owner MUST have forgotten its jobs: no other job is left then."""
        await asyncio.gather(*self._sender.cut_all(), return_exceptions=True)
        self._sender.close()

    async def _exchange(self, batch: RequestBatch) -> None:
        """Make one attempt, from the first byte of the request to the outcomes of the jobs."""
        jobs, status = batch.jobs, 0
        failure: DeliveryOutcome | None = None
        try:
            response = await self._redirecting.send(
                batch, batch.sent_at + self._limits.request_timeout_s
            )
            status = response.status
            self._sender.attempt_ended(batch)
            self._health.latency.on_response(batch.sent_at)
            failure = self._judge(batch, response)
        except NoResponse as no_response:
            failure = outcomes.unanswered(no_response.text, timed_out=no_response.timed_out)
            self._sender.attempt_ended(batch)
            self._health.on_failure(failure, batch.sent_at)
            self._try_again(batch, failure)
        except asyncio.CancelledError:
            # Every job was answered, or the sidecar shuts down: not a failure of the workspace.
            failure = outcomes.unanswered("no time is left", timed_out=True)
            self._sender.attempt_ended(batch)
            for job in batch.jobs:
                self._finish(job, failure)
            raise
        except Exception as fault:  # noqa: BLE001 - a defect must not leave a job without an answer
            self._observer.internal_fault(fault)
            failure = outcomes.unanswered("internal error", timed_out=False)
            self._sender.attempt_ended(batch)
            self._try_again(batch, failure)
        finally:
            duration_s = self._clock.time() - batch.sent_at
            self._reporter.attempt_ended(jobs, duration_s, batch.waited_s, status, failure)
            self._sender.attempt_handled(batch)

    def _judge(self, batch: RequestBatch, response: Response) -> DeliveryOutcome | None:
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
                self._finish_alike(jobs, outcome)
            return None
        failure = outcomes.refused(status, failures)
        if len(batch.jobs) > 1 and status in _TOO_MUCH_TOGETHER:
            self._split(batch)
        else:
            for job in batch.jobs:
                self._finish(job, failure)
        return failure

    def _failed(self, batch: RequestBatch, outcome: DeliveryOutcome) -> None:
        """Try again after a retryable failure."""
        if outcome.http_status == THROTTLED:
            self._throttled(batch, outcome)
        else:
            self._health.on_failure(outcome, batch.sent_at)
            self._try_again(batch, outcome)

    def _throttled(self, batch: RequestBatch, outcome: DeliveryOutcome) -> None:
        """Slow down, or pause for the time that Customer.io asks for. Answer the jobs that have less time."""
        is_longer_pause = self._health.on_throttled(outcome.retry_after_s, batch.sent_at)
        self._try_again(batch, outcome)
        if not is_longer_pause:
            return
        pause_s = self._health.circuit_breaker.pause_s
        until = self._clock.time() + pause_s
        for job in list(self._jobs):
            if job.deadline <= until and job.state in UNSENT:
                paused = job.failure or outcomes.in_trouble(THROTTLED, pause_s)
                self._finish(job, paused._replace(retry_after_s=pause_s))

    def _credentials_refused(
        self, batch: RequestBatch, status: int, classification: Classification
    ) -> DeliveryOutcome:
        """Answer every job that is not in flight. Return the outcome of the request's jobs."""
        jobs = batch.jobs
        outcome = self._health.on_credentials_refused(jobs, status, classification.failures)
        waiting = [job for job in self._jobs if job.state is not State.IN_FLIGHT]
        for job in jobs:
            self._finish(job, outcome)
        for job in waiting:
            self._finish(job, outcome._replace(http_status=0))
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
                self._finish(job, perhaps_accepted)
        batch.drop_settled()
        if status == _PARTLY_ACCEPTED and len(batch.jobs) > 1:
            self._split(batch)
        elif batch.next is not None:
            # The other half need not wait for what will hardly be answered better.
            for job in batch.jobs:
                self._finish(job, outcome)
        elif batch.jobs:
            self._try_again(batch, outcome)
        return outcome

    def _split(self, batch: RequestBatch) -> None:
        """Send the halves one after the other, to find the jobs that Customer.io refuses."""
        for job in batch.jobs:
            if self._draining or job.forgotten:
                self._finish(job, _drained(job))
        batch.drop_settled()
        if batch.jobs:
            self._sender.send_next(batch.bisect())

    def _try_again(self, batch: RequestBatch, outcome: DeliveryOutcome) -> None:
        """Plan another attempt for the jobs that have the time for it; answer the others."""
        delay_s = max(outcome.retry_after_s or 0.0, jittered_delay_s(batch.jobs[0].attempts))
        at = self._clock.time() + delay_s
        for job in batch.jobs:
            job.failure = outcome
            if self._draining or job.forgotten or at >= job.deadline:
                self._finish(job, outcome)
        batch.drop_settled()
        if batch.jobs:
            self._sender.resend_at(batch, at)

    def _finish(self, job: Job, outcome: DeliveryOutcome) -> None:
        """Answer a job. After a retryable failure, answer the jobs that wait for it, too; otherwise they may go.

        A job in flight keeps its place until its request is over.
        """
        if job.state is State.SETTLED:
            return
        finished = [(job, outcome)]
        if outcome.error is not None and outcome.error.retryable and not job.forgotten:
            finished += (
                (
                    dependent,
                    outcomes.following(outcome, dependent.owner.item_ref(job), dependent.attempts),
                )
                for dependent in dependents(job)
                if dependent.state is not State.SETTLED
            )
        now = self._clock.time()
        for finished_job, its_outcome in finished:
            is_awaited = not finished_job.forgotten
            if finished_job.state is State.IN_FLIGHT:
                finished_job.forgotten = True
                finished_job.answered_at = now
            else:
                self._close((finished_job,))
            if is_awaited:
                self._answer((finished_job,), its_outcome, now)

    def _finish_alike(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        """Answer jobs whose request is over with an outcome that is not retryable. The jobs behind them may go.

        As `_finish` for each, at a tenth of its cost.
        """
        unsettled = [job for job in jobs if job.state is not State.SETTLED]
        now = self._clock.time()
        for run in waited_together(unsettled):
            self._close(run)
            if awaited := [job for job in run if not job.forgotten]:
                self._answer(awaited, outcome, now)

    def _answer(self, jobs: Sequence[Job], outcome: DeliveryOutcome, now: float) -> None:
        """Notify the observer and the owner of jobs. They MUST have waited together."""
        queue_s = (jobs[0].first_sent_at or now) - jobs[0].submitted_at
        self._observer.jobs_settled(self._reporter.label, jobs, outcome, queue_s)
        jobs[0].owner.settled(jobs, outcome)

    def _close(self, jobs: Sequence[Job]) -> None:
        transition(jobs, State.SETTLED)
        for job in jobs:
            del self._jobs[job]
        if freed := self._ordering.complete(jobs):
            self._sender.add(freed)
        self._health.circuit_breaker.on_settled(jobs)


def _expired(job: Job) -> DeliveryOutcome:
    """Return the outcome of the last attempt, or that of a job whose turn did not come."""
    return job.failure or outcomes.EXPIRED


def _drained(job: Job) -> DeliveryOutcome:
    """Return the outcome of the last attempt, or that of a job which is not sent any more."""
    return job.failure or outcomes.DRAINED
