"""One Customer.io workspace: what is to be sent to it, in which order, how fast, and what came of it."""

import asyncio
import logging
from collections.abc import Iterable

from . import outcomes
from .endpoints import Hosts
from .health import Health
from .idempotence import is_idempotent
from .job import Job, Report, State
from .ordering import Lanes, behind
from .rate_limiter import Pace
from .request_batch import Shipment
from .responses import REDIRECTS, THROTTLED, Meaning, Verdict, read_answer
from .retry import jittered_delay_s, retry_after_s
from .sender import Sender
from .slots import Slots
from .taken import taken
from .transport import Answer, NoAnswer, Transport

_MAX_REDIRECTS = 3
_TOO_MUCH_TOGETHER = (400, 413)
_PARTLY_TAKEN = 207
_UNSENT = (State.WAITING, State.SHIPPED)
_log = logging.getLogger(__name__)


class Workspace:
    """The jobs of one workspace, from every stream that sends to it."""

    def __init__(
        self, base_url: str, transport: Transport, hosts: Hosts, pace: Pace, slots: Slots
    ) -> None:
        """base_url: where its requests go, until Customer.io says otherwise."""
        self._clock = asyncio.get_running_loop().time
        self._configured_url = self._base_url = base_url
        self._transport = transport
        self._hosts = hosts
        self._pace = pace
        self._lanes = Lanes()
        self._health = Health(pace.rate_per_s, self._clock)
        self._sender = Sender(pace, slots, self._health, self._exchange)
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

    def held_back(self, *, alone: bool) -> Report | None:
        """Return the report of events beyond a fair share of a stream's credit; None if there is no trouble.

        alone: whether the stream has no other workspace that it could harm. Then only one that is down is bounded.
        """
        if alone and not self._health.circuit.down:
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
        report = self._health.circuit.admit(job)
        if report is not None:
            self._finish(job, report)
        elif self._lanes.enter(job):
            self._sender.add(job)
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

    def send_back(self, jobs: Iterable[Job], report: Report) -> None:
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

    async def _exchange(self, shipment: Shipment) -> None:
        """Make one attempt, from the first byte to the reports."""
        try:
            answer = await self._ask(shipment)
            self._sender.landed(shipment)
            self._health.latency.answered(shipment.sent_at)
            self._judge(shipment, answer)
        except NoAnswer as failure:
            report = outcomes.unanswered(failure.text, timed_out=failure.timed_out)
            self._sender.landed(shipment)
            self._health.failed(report, shipment.sent_at)
            self._try_again(shipment, report)
        except asyncio.CancelledError:
            # Nobody is left to wait for it, or the sidecar has to go: no fault of the workspace's.
            self._sender.landed(shipment)
            for job in shipment.jobs:
                self._finish(job, outcomes.unanswered("no time is left", timed_out=True))
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            # Its text may quote a body.
            _log.error("internal error in delivery: %s", type(fault).__name__)
            self._sender.landed(shipment)
            self._try_again(shipment, outcomes.unanswered("internal error", timed_out=False))
        finally:
            self._sender.over(shipment)

    async def _ask(self, shipment: Shipment) -> Answer:
        """Return the answer to a request, from whichever of the two regions has it. Raises NoAnswer."""
        request = shipment.request()
        template = request.template
        base_url = self._base_url
        until = shipment.sent_at + self._pace.request_timeout_s
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
            elsewhere = self._hosts.redirected(answer.headers.get("location"))
            if elsewhere is None:
                return answer
            shipment.redirected = True
            base_url = elsewhere
        if base_url != self._base_url and answer.status not in REDIRECTS:
            _log.warning("a workspace lives at %s: set its destination's region", base_url)
            self._base_url = base_url
        return answer

    def _judge(self, shipment: Shipment, answer: Answer) -> None:
        """Do what the answer asks for."""
        verdict = read_answer(answer)
        meaning, failures, _ = verdict
        jobs, status = shipment.jobs, answer.status
        if meaning is Meaning.TRY_AGAIN:
            after_s = retry_after_s(answer.headers.get("retry-after"))
            report = outcomes.failed(status, failures, after_s)
            if status == THROTTLED:
                self._throttled(shipment, report)
            else:
                self._health.failed(report, shipment.sent_at)
                self._try_again(shipment, report)
        elif meaning is Meaning.WRONG_CREDENTIALS:
            self._credentials_refused(shipment, status, verdict)
        elif meaning is Meaning.NOT_KNOWN:
            self._not_known(shipment, status)
        else:
            self._health.answered(shipment.sent_at)
            if meaning is Meaning.DELIVERED:
                for job, report in taken(shipment, status, verdict):
                    self._finish(job, report)
            elif len(jobs) > 1 and status in _TOO_MUCH_TOGETHER:
                self._split(shipment)
            else:
                for job in jobs:
                    self._finish(job, outcomes.refused(status, failures))

    def _throttled(self, shipment: Shipment, report: Report) -> None:
        """Slow down, or send nothing for the time that Customer.io asks for; what has less time comes back."""
        news = self._health.throttled(report.retry_after_s, shipment.sent_at)
        self._try_again(shipment, report)
        if not news:
            return
        pause_s = self._health.circuit.pause_s
        until = self._clock() + pause_s
        for job in list(self._open):
            if job.deadline <= until and job.state in _UNSENT:
                paused = job.failure or outcomes.held_back(THROTTLED, pause_s)
                self._finish(job, paused._replace(retry_after_s=pause_s))

    def _credentials_refused(self, shipment: Shipment, status: int, verdict: Verdict) -> None:
        """Let everything come back that is not under way."""
        jobs = shipment.jobs
        report = self._health.credentials_refused(jobs, status, verdict.failures)
        waiting = [job for job in self._open if job.state is not State.IN_FLIGHT]
        for job in jobs:
            self._finish(job, report)
        for job in waiting:
            self._finish(job, report._replace(http_status=0))

    def _not_known(self, shipment: Shipment, status: int) -> None:
        """Send again what may be sent twice; tell of the rest that it may not have been taken."""
        report = outcomes.not_known(status)
        self._health.failed(report, shipment.sent_at)
        _log.warning("Customer.io answered %d without saying what it took", status)
        told = outcomes.DELIVERED._replace(http_status=status, warnings=[outcomes.UNREADABLE])
        for job in shipment.jobs:
            job.failure = report
            if not is_idempotent(job.call):
                self._finish(job, told)
        shipment.drop_done()
        if status == _PARTLY_TAKEN and len(shipment.jobs) > 1:
            self._split(shipment)
        elif shipment.then is not None:
            # The other halves need not wait for what will hardly be answered better.
            for job in shipment.jobs:
                self._finish(job, report)
        elif shipment.jobs:
            self._try_again(shipment, report)

    def _split(self, shipment: Shipment) -> None:
        """Sends the halves one after the other, to find what Customer.io does not want."""
        for job in shipment.jobs:
            if self._draining or job.forgotten:
                self._finish(job, outcomes.drained(job))
        shipment.drop_done()
        if shipment.jobs:
            self._sender.next(shipment.halves())

    def _try_again(self, shipment: Shipment, report: Report) -> None:
        """Plans another attempt for the jobs that have the time; the others come back."""
        delay_s = max(report.retry_after_s or 0.0, jittered_delay_s(shipment.jobs[0].attempts))
        at = self._clock() + delay_s
        for job in shipment.jobs:
            job.failure = report
            if self._draining or job.forgotten or at >= job.deadline:
                self._finish(job, report)
        shipment.drop_done()
        if shipment.jobs:
            self._sender.again_at(shipment, at)

    def _finish(self, job: Job, report: Report) -> None:
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
                for one in behind(job)
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
        for follower in self._lanes.leave(job):
            self._sender.add(follower)
        if self._health.circuit.probe is job:
            self._health.circuit.probe = None
