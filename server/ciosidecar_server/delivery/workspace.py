"""One Customer.io workspace: what is to be sent to it, in which order, how fast, and what came of it."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from . import reports
from .answers import REDIRECTS, THROTTLED, Failure, Meaning, read_answer
from .backoff import jittered_delay_s, retry_after_s
from .circuit import Circuit
from .hosts import Hosts
from .job import Job, Report, State
from .lanes import Lanes, behind
from .prepared import items_of
from .rate import Pace, TokenBucket
from .shipment import ReadyJobs, Shipment
from .transport import Answer, NoAnswer, Transport

_MAX_REDIRECTS = 3
_TOO_MUCH_TOGETHER = (400, 413)
_log = logging.getLogger(__name__)


class Workspace:
    """The jobs of one workspace, from every stream that sends to it."""

    def __init__(self, base_url: str, transport: Transport, hosts: Hosts, pace: Pace) -> None:
        """base_url: where its requests go, until Customer.io says otherwise."""
        self._loop = asyncio.get_running_loop()
        self._base_url = base_url
        self._transport = transport
        self._hosts = hosts
        self._pace = pace
        self._lanes = Lanes()
        self._ready = ReadyJobs(pace.linger_s)
        self._again: deque[Shipment] = deque()
        self._bucket = TokenBucket(pace.rate_per_s, self._loop.time())
        self._circuit = Circuit()
        self._open: dict[Job, None] = {}
        self._in_flight: dict[asyncio.Task[None], Shipment] = {}
        self._wake: asyncio.TimerHandle | None = None
        self._pumping = False
        self._draining = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._open

    def submit(self, job: Job) -> None:
        """Takes a job. Its owner hears of it exactly once, unless it is forgotten."""
        self._open[job] = None
        now = self._loop.time()
        if self._draining:
            self._finish(job, reports.drained(job))
            return
        if now >= job.deadline:
            self._finish(job, reports.not_sent(job))
            return
        report = self._circuit.turns_away(
            job, len(self._open), self._pace.max_waiting_when_down, now
        )
        if report is not None:
            self._finish(job, report)
        elif self._lanes.enter(job):
            self._ready.add(job, now)
            self._pump_soon()

    def expire(self, jobs: Iterable[Job]) -> None:
        """The time of these jobs is over; those in flight still wait for their answer."""
        for job in jobs:
            if job.state in (State.WAITING, State.SHIPPED):
                self._finish(job, reports.not_sent(job))

    def forget(self, jobs: Iterable[Job]) -> None:
        """Nobody waits for these jobs any more: what is not in flight is not sent.

        What is in flight still keeps its place, so that it is not overtaken by what is sent again.
        """
        for job in jobs:
            job.forgotten = True
            if job.state in (State.WAITING, State.SHIPPED):
                self._close(job)
        self._pump_soon()

    def drain(self) -> None:
        """Sends nothing more. What is in flight still waits for its answer."""
        self._draining = True
        for job in list(self._open):
            if job.state in (State.WAITING, State.SHIPPED):
                self._finish(job, reports.drained(job))

    def give_up(self) -> None:
        """Ends what is in flight: it comes back as not answered."""
        for task in list(self._in_flight):
            task.cancel()

    async def aclose(self) -> None:
        """Ends everything at once."""
        self.drain()
        tasks = list(self._in_flight)
        self.give_up()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._wake is not None:
            self._wake.cancel()

    def _pump_soon(self) -> None:
        """Sends what may be sent, once all jobs that come together are here."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Sends what may be sent now, and comes back when more may be."""
        self._pumping = False
        now = self._loop.time()
        while len(self._in_flight) < (1 if self._circuit.down else self._pace.concurrency):
            wait_s = 0.0 if self._again else self._ready.wait_s(now)
            if wait_s is None:
                return
            wait_s = max(wait_s, self._bucket.wait_s(now), self._circuit.wait_s(now))
            if wait_s > 0.0:
                self._wake_at(now + wait_s)
                return
            shipment = self._again.popleft() if self._again else self._ready.take(now)
            shipment.drop_done()
            if shipment.jobs:
                self._bucket.take()
                self._send(shipment, now)
            elif shipment.then is not None:
                self._again.appendleft(shipment.then)

    def _wake_at(self, time: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self._loop.call_at(time, self._pump)

    def _send(self, shipment: Shipment, now: float) -> None:
        for job in shipment.jobs:
            job.state = State.IN_FLIGHT
            job.attempts += 1
            job.first_sent_at = job.first_sent_at or now
        task = self._loop.create_task(self._exchange(shipment, now))
        self._in_flight[task] = shipment

    async def _exchange(self, shipment: Shipment, now: float) -> None:
        """One attempt, from the first byte to the reports."""
        until = min(now + self._pace.request_timeout_s, *(job.deadline for job in shipment.jobs))
        try:
            answer = await self._ask(shipment, until)
            self._judge(shipment, answer, now, self._landed(shipment))
        except NoAnswer as failure:
            report = reports.unanswered(failure.text, timed_out=failure.timed_out)
            self._circuit.failed(report, now, self._landed(shipment))
            self._try_again(shipment, report)
        except asyncio.CancelledError:
            self._landed(shipment)
            for job in shipment.jobs:
                self._finish(job, reports.unanswered("no time is left", timed_out=True))
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            # Its text may quote a body.
            _log.error("internal error in delivery: %s", type(fault).__name__)
            self._landed(shipment)
            self._try_again(shipment, reports.unanswered("internal error", timed_out=False))
        if shipment.then is not None and all(job.state is State.DONE for job in shipment.jobs):
            self._again.append(shipment.then)
        self._pump()

    def _landed(self, shipment: Shipment) -> float:
        """Notes that the attempt is over; answers when."""
        task = asyncio.current_task()
        if task is not None:
            self._in_flight.pop(task, None)
        now = self._loop.time()
        for job in shipment.jobs:
            if job.state is State.IN_FLIGHT:
                job.answered_at = now
                job.state = State.SHIPPED
        return now

    async def _ask(self, shipment: Shipment, until: float) -> Answer:
        """The answer to a request, from whichever of the two regions has it. Raises NoAnswer."""
        request = shipment.request()
        template = request.template
        base_url = self._base_url
        for _ in range(_MAX_REDIRECTS):
            answer = await self._transport.send(
                template.method,
                base_url + request.path,
                template.headers,
                request.body,
                timeout_s=max(0.001, until - self._loop.time()),
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

    def _judge(self, shipment: Shipment, answer: Answer, sent_at: float, now: float) -> None:
        """Does what the answer asks for."""
        meaning, failures = read_answer(answer)
        jobs, status = shipment.jobs, answer.status
        if meaning is Meaning.TRY_AGAIN:
            after_s = retry_after_s(answer.headers.get("retry-after"))
            report = reports.failed(status, failures, after_s)
            if status == THROTTLED:
                self._bucket.lower(now)
            else:
                self._circuit.failed(report, sent_at, now)
            self._try_again(shipment, report)
        elif meaning is Meaning.WRONG_CREDENTIALS:
            report = self._circuit.credentials_refused(jobs, status, failures, now)
            waiting = [job for job in self._open if job.state is not State.IN_FLIGHT]
            for job in jobs:
                self._finish(job, report)
            for job in waiting:
                self._finish(job, report._replace(http_status=0))
        else:
            self._circuit.answered()
            if meaning is Meaning.DELIVERED:
                self._delivered(shipment, status, failures)
            elif len(jobs) > 1 and status in _TOO_MUCH_TOGETHER:
                self._split(shipment)
            else:
                for job in jobs:
                    self._finish(job, reports.refused(status, failures))

    def _split(self, shipment: Shipment) -> None:
        """Sends the halves one after the other, to find what Customer.io does not want."""
        for job in shipment.jobs:
            if self._draining or job.forgotten:
                self._finish(job, reports.drained(job))
        shipment.drop_done()
        if shipment.jobs:
            self._again.appendleft(shipment.halves())

    def _delivered(self, shipment: Shipment, status: int, failures: list[Failure]) -> None:
        """Customer.io has taken the request, but for what it names."""
        warnings = [reports.WRONG_REGION] if shipment.redirected else []
        jobs = shipment.jobs
        if not failures and not warnings and status == reports.DELIVERED.http_status:
            for job in jobs:
                self._finish(job, reports.DELIVERED)
            return
        alone = len(jobs) == 1
        items = items_of(shipment.request()) if alone and jobs[0].prepared else None
        if items is not None:
            self._finish(jobs[0], reports.of_prepared(status, failures, items, warnings))
            return
        named: dict[int, Failure] = {}
        for failure in failures:
            index = 0 if alone else failure.item
            if index is not None and index < len(jobs):
                named.setdefault(index, failure)
            elif reports.UNATTRIBUTED_ERROR not in warnings:
                _log.warning("Customer.io reported an error without saying of which item")
                warnings.append(reports.UNATTRIBUTED_ERROR)
        taken = reports.DELIVERED._replace(http_status=status, warnings=warnings)
        for index, job in enumerate(jobs):
            if index in named:
                self._finish(job, reports.item_refused(status, named[index]))
            else:
                self._finish(job, taken)

    def _try_again(self, shipment: Shipment, report: Report) -> None:
        """Plans another attempt for the jobs that have the time; the others come back."""
        delay_s = max(report.retry_after_s or 0.0, jittered_delay_s(shipment.jobs[0].attempts))
        at = self._loop.time() + delay_s
        for job in shipment.jobs:
            job.failure = report
            if self._draining or job.forgotten or at >= job.deadline:
                self._finish(job, report)
        shipment.drop_done()
        if shipment.jobs:
            self._loop.call_at(at, self._resend, shipment)

    def _resend(self, shipment: Shipment) -> None:
        self._again.append(shipment)
        self._pump()

    def _finish(self, job: Job, report: Report) -> None:
        """Settles a job, and all that wait for it if it failed for now; else they may go."""
        if job.state is State.DONE:
            return
        settled = [(job, report)]
        failed_for_now = report.error is not None and report.error.retryable
        if failed_for_now and not job.forgotten:
            settled += (
                (one, reports.following(job, report, one))
                for one in behind(job)
                if one.state is not State.DONE
            )
        for one, its_report in settled:
            self._close(one)
            if not one.forgotten:
                one.owner.settled(one, its_report)

    def _close(self, job: Job) -> None:
        job.state = State.DONE
        del self._open[job]
        for follower in self._lanes.leave(job):
            self._ready.add(follower, self._loop.time())
        if self._circuit.probe is job:
            self._circuit.probe = None
