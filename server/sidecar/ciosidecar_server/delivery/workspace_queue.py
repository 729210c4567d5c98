"""One Customer.io workspace: the jobs to send to it, in which order and how fast, and what becomes of them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from . import outcomes
from .clock import Clock
from .endpoints import TrackApiEndpoints
from .health import Health
from .job import UNSENT, Job, State
from .observer import DeliveryObserver, NoDeliveryObserver, WorkspaceSnapshot
from .ordering import OrderingGraph
from .outcomes import DeliveryOutcome
from .rate_limiter import RateLimit, RateLimiter, SendLimits
from .redirects import RedirectingSender
from .reporting import WorkspaceReporter
from .request_batch import RequestBatch
from .response_handler import ResponseHandler
from .sender import Sender
from .settlement import Settlement, drained, expired
from .slots import Slots
from .transport import NoResponse, Transport


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
        self._settlement = Settlement(
            self._jobs, self._ordering, self._sender, self._health, self._reporter, clock
        )
        self._response_handler = ResponseHandler(
            self._jobs, self._settlement, self._sender, self._health, clock
        )
        self._draining = False

    @property
    def idle(self) -> bool:
        """Return whether there are no jobs."""
        return not self._jobs

    @property
    def worth_keeping(self) -> bool:
        """Return whether there are jobs, or the next one depends on what is known: of health, or of the region."""
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
                self._settlement.finish(job, outcome)

    def _refusal(self, job: Job, now: float) -> DeliveryOutcome | None:
        """Return the outcome of a job that may not even wait; None if it may."""
        if self._draining:
            return drained(job)
        if now >= job.deadline:
            return expired(job)
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
                self._settlement.finish(job, expired(job))
            elif job.state is State.IN_FLIGHT:
                self._settlement.finish(job, outcomes.not_answered())
                under_way.append(job)
        self._sender.cut(under_way)

    def send_back(self, jobs: Iterable[Job], outcome: DeliveryOutcome) -> None:
        """Answer those of the jobs that are not in flight."""
        for job in jobs:
            if job.state in UNSENT:
                self._settlement.finish(job, outcome)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Drop jobs whose owner is gone.

        A job in flight keeps its place until its request is over: the same event, sent again, must not overtake it.
        """
        for job in jobs:
            job.forgotten = True
            if job.state in UNSENT:
                self._settlement.drop((job,))
        self._sender.pump_soon()

    def drain(self) -> None:
        """Send nothing more. Requests under way still wait for their responses."""
        self._draining = True
        self._response_handler.drain()
        for job in list(self._jobs):
            if job.state in UNSENT:
                self._settlement.finish(job, drained(job))

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
            failure = self._response_handler.handle(batch, response)
        except NoResponse as no_response:
            failure = outcomes.unanswered(no_response.text, timed_out=no_response.timed_out)
            self._sender.attempt_ended(batch)
            self._health.on_failure(failure, batch.sent_at)
            self._response_handler.try_again(batch, failure)
        except asyncio.CancelledError:
            # Every job was answered, or the sidecar shuts down: not a failure of the workspace.
            failure = outcomes.unanswered("no time is left", timed_out=True)
            self._sender.attempt_ended(batch)
            for job in batch.jobs:
                self._settlement.finish(job, failure)
            raise
        except Exception as fault:  # noqa: BLE001 - a defect must not leave a job without an answer
            self._observer.internal_fault(fault)
            failure = outcomes.unanswered("internal error", timed_out=False)
            self._sender.attempt_ended(batch)
            self._response_handler.try_again(batch, failure)
        finally:
            duration_s = self._clock.time() - batch.sent_at
            self._reporter.attempt_ended(jobs, duration_s, batch.waited_s, status, failure)
            self._sender.attempt_handled(batch)
