"""One Customer.io workspace: what is to be sent to it, in which order, how fast, and what came of it."""

import asyncio
import logging
from collections.abc import Iterable

from . import outcomes
from .endpoints import TrackApiEndpoints
from .health import Health
from .idempotence import is_idempotent
from .job import DeliveryOutcome, Job, State
from .ordering import OrderingGraph, dependents
from .rate_limiter import SendLimits
from .request_batch import RequestBatch
from .responses import REDIRECTS, THROTTLED, Classification, Disposition, classify
from .retry import jittered_delay_s, retry_after_s
from .sender import Sender
from .slots import Slots
from .taken import taken
from .transport import NoResponse, Response, Transport

_MAX_REDIRECTS = 3
_TOO_MUCH_TOGETHER = (400, 413)
_PARTLY_TAKEN = 207
_UNSENT = (State.WAITING, State.SHIPPED)
_log = logging.getLogger(__name__)


class WorkspaceQueue:
    """The jobs of one workspace, from every stream that sends to it."""

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        endpoints: TrackApiEndpoints,
        limits: SendLimits,
        slots: Slots,
    ) -> None:
        """base_url: where its requests go, until Customer.io says otherwise."""
        self._clock = asyncio.get_running_loop().time
        self._configured_url = self._base_url = base_url
        self._transport = transport
        self._endpoints = endpoints
        self._limits = limits
        self._ordering = OrderingGraph()
        self._health = Health(limits.rate_per_s, self._clock)
        self._sender = Sender(limits, slots, self._health, self._exchange)
        self._open: dict[Job, None] = {}
        self._draining = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._open

    @property
    def worth_keeping(self) -> bool:
        """Whether there is something to do, or to remember: of its health, or where it lives."""
        return (
            bool(self._open) or self._health.worth_keeping or self._base_url != self._configured_url
        )

    def held_back(self, *, alone: bool) -> DeliveryOutcome | None:
        """Return the report of events beyond a fair share of a stream's credit; None if there is no trouble.

        alone: whether the stream has no other workspace that it could harm. Then only one that is down is bounded.
        """
        if alone and not self._health.circuit_breaker.open:
            return None
        return self._health.trouble(self._sender.oldest_sent_at, len(self._open))

    def submit(self, job: Job) -> None:
        """Queue a job. Its owner is notified exactly once, unless the job is forgotten."""
        self._open[job] = None
        job.workspace = self
        now = self._clock()
        if self._draining:
            self._finish(job, outcomes.drained(job))
            return
        if now >= job.deadline:
            self._finish(job, outcomes.not_sent(job))
            return
        report = self._health.circuit_breaker.admit(job)
        if report is not None:
            self._finish(job, report)
        elif self._ordering.enqueue(job):
            self._sender.add(job)
            self._sender.pump_soon()

    def message_submitted(self) -> None:
        """Send what waited for the rest of its message, now that all of the message is submitted."""
        self._sender.pump_soon()

    def expire(self, jobs: Iterable[Job]) -> None:
        """Answer jobs whose time is over. A request under way goes on for the others in it."""
        under_way = []
        for job in jobs:
            if job.state in _UNSENT:
                self._finish(job, outcomes.not_sent(job))
            elif job.state is State.IN_FLIGHT:
                self._finish(job, outcomes.not_answered())
                under_way.append(job)
        self._sender.cut(under_way)

    def send_back(self, jobs: Iterable[Job], report: DeliveryOutcome) -> None:
        """Answer those of these jobs that are not under way."""
        for job in jobs:
            if job.state in _UNSENT:
                self._finish(job, report)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Nobody waits for these jobs any more: what is not in flight is not sent.

        What is in flight still keeps its place, so that it is not overtaken by what is sent again.
        """
        for job in jobs:
            job.forgotten = True
            if job.state in _UNSENT:
                self._close(job)
        self._sender.pump_soon()

    def drain(self) -> None:
        """Sends nothing more. What is in flight still waits for its answer."""
        self._draining = True
        for job in list(self._open):
            if job.state in _UNSENT:
                self._finish(job, outcomes.drained(job))

    def give_up(self) -> None:
        """Ends what is in flight: it comes back as not answered."""
        self._sender.cut_all()

    async def aclose(self) -> None:
        """Ends everything at once."""
        self.drain()
        await asyncio.gather(*self._sender.cut_all(), return_exceptions=True)
        self._sender.close()

    async def _exchange(self, batch: RequestBatch) -> None:
        """Make one attempt, from the first byte to the reports."""
        try:
            answer = await self._ask(batch)
            self._sender.landed(batch)
            self._health.latency.answered(batch.sent_at)
            self._judge(batch, answer)
        except NoResponse as failure:
            report = outcomes.unanswered(failure.text, timed_out=failure.timed_out)
            self._sender.landed(batch)
            self._health.failed(report, batch.sent_at)
            self._try_again(batch, report)
        except asyncio.CancelledError:
            # Nobody is left to wait for it, or the sidecar has to go: no fault of the workspace's.
            self._sender.landed(batch)
            for job in batch.jobs:
                self._finish(job, outcomes.unanswered("no time is left", timed_out=True))
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            # Its text may quote a body.
            _log.error("internal error in delivery: %s", type(fault).__name__)
            self._sender.landed(batch)
            self._try_again(batch, outcomes.unanswered("internal error", timed_out=False))
        finally:
            self._sender.over(batch)

    async def _ask(self, batch: RequestBatch) -> Response:
        """Return the answer to a request, from whichever of the two regions has it. Raises NoResponse."""
        request = batch.request()
        template = request.template
        base_url = self._base_url
        until = batch.sent_at + self._limits.request_timeout_s
        for _ in range(_MAX_REDIRECTS):
            answer = await self._transport.send(
                template.method,
                base_url + request.path,
                template.headers,
                request.body,
                timeout_s=max(0.001, until - self._clock()),
            )
            if answer.status not in REDIRECTS:
                break
            elsewhere = self._endpoints.redirected(answer.headers.get("location"))
            if elsewhere is None:
                return answer
            batch.redirected = True
            base_url = elsewhere
        if base_url != self._base_url and answer.status not in REDIRECTS:
            _log.warning("a workspace lives at %s: set its destination's region", base_url)
            self._base_url = base_url
        return answer

    def _judge(self, batch: RequestBatch, answer: Response) -> None:
        """Do what the answer asks for."""
        classification = classify(answer)
        disposition, failures, _ = classification
        jobs, status = batch.jobs, answer.status
        if disposition is Disposition.TRY_AGAIN:
            after_s = retry_after_s(answer.headers.get("retry-after"))
            report = outcomes.failed(status, failures, after_s)
            if status == THROTTLED:
                self._throttled(batch, report)
            else:
                self._health.failed(report, batch.sent_at)
                self._try_again(batch, report)
        elif disposition is Disposition.WRONG_CREDENTIALS:
            self._credentials_refused(batch, status, classification)
        elif disposition is Disposition.NOT_KNOWN:
            self._not_known(batch, status)
        else:
            self._health.answered(batch.sent_at)
            if disposition is Disposition.DELIVERED:
                for job, report in taken(batch, status, classification):
                    self._finish(job, report)
            elif len(jobs) > 1 and status in _TOO_MUCH_TOGETHER:
                self._split(batch)
            else:
                for job in jobs:
                    self._finish(job, outcomes.refused(status, failures))

    def _throttled(self, batch: RequestBatch, report: DeliveryOutcome) -> None:
        """Slow down, or send nothing for the time that Customer.io asks for; what has less time comes back."""
        news = self._health.throttled(report.retry_after_s, batch.sent_at)
        self._try_again(batch, report)
        if not news:
            return
        pause_s = self._health.circuit_breaker.pause_s
        until = self._clock() + pause_s
        for job in list(self._open):
            if job.deadline <= until and job.state in _UNSENT:
                paused = job.failure or outcomes.held_back(THROTTLED, pause_s)
                self._finish(job, paused._replace(retry_after_s=pause_s))

    def _credentials_refused(
        self, batch: RequestBatch, status: int, classification: Classification
    ) -> None:
        """Let everything come back that is not under way."""
        jobs = batch.jobs
        report = self._health.credentials_refused(jobs, status, classification.failures)
        waiting = [job for job in self._open if job.state is not State.IN_FLIGHT]
        for job in jobs:
            self._finish(job, report)
        for job in waiting:
            self._finish(job, report._replace(http_status=0))

    def _not_known(self, batch: RequestBatch, status: int) -> None:
        """Send again what may be sent twice; tell of the rest that it may not have been taken."""
        report = outcomes.not_known(status)
        self._health.failed(report, batch.sent_at)
        _log.warning("Customer.io answered %d without saying what it took", status)
        told = outcomes.DELIVERED._replace(http_status=status, warnings=[outcomes.UNREADABLE])
        for job in batch.jobs:
            job.failure = report
            if not is_idempotent(job.request):
                self._finish(job, told)
        batch.drop_done()
        if status == _PARTLY_TAKEN and len(batch.jobs) > 1:
            self._split(batch)
        elif batch.next is not None:
            # The other halves need not wait for what will hardly be answered better.
            for job in batch.jobs:
                self._finish(job, report)
        elif batch.jobs:
            self._try_again(batch, report)

    def _split(self, batch: RequestBatch) -> None:
        """Sends the halves one after the other, to find what Customer.io does not want."""
        for job in batch.jobs:
            if self._draining or job.forgotten:
                self._finish(job, outcomes.drained(job))
        batch.drop_done()
        if batch.jobs:
            self._sender.next(batch.bisect())

    def _try_again(self, batch: RequestBatch, report: DeliveryOutcome) -> None:
        """Plans another attempt for the jobs that have the time; the others come back."""
        delay_s = max(report.retry_after_s or 0.0, jittered_delay_s(batch.jobs[0].attempts))
        at = self._clock() + delay_s
        for job in batch.jobs:
            job.failure = report
            if self._draining or job.forgotten or at >= job.deadline:
                self._finish(job, report)
        batch.drop_done()
        if batch.jobs:
            self._sender.again_at(batch, at)

    def _finish(self, job: Job, report: DeliveryOutcome) -> None:
        """Answer a job, and all that wait for it if it failed for now; else they may go.

        One that is under way keeps its place until its request is over.
        """
        if job.state is State.DONE:
            return
        settled = [(job, report)]
        failed_for_now = report.error is not None and report.error.retryable
        if failed_for_now and not job.forgotten:
            settled += (
                (one, outcomes.following(job, report, one))
                for one in dependents(job)
                if one.state is not State.DONE
            )
        now = self._clock()
        for one, its_report in settled:
            unheard = not one.forgotten
            if one.state is State.IN_FLIGHT:
                one.forgotten = True
                one.answered_at = now
            else:
                self._close(one)
            if unheard:
                one.owner.settled(one, its_report)

    def _close(self, job: Job) -> None:
        job.state = State.DONE
        del self._open[job]
        for follower in self._ordering.complete(job):
            self._sender.add(follower)
        if self._health.circuit_breaker.probe is job:
            self._health.circuit_breaker.probe = None
