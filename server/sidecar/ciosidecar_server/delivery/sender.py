"""When the requests of one workspace go: in order, at its rate, as many at a time as may be under way."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any

from .batcher import Batcher
from .clock import Clock, Timer
from .health import Health
from .job import Job, State, transition
from .rate_limiter import SendLimits
from .request_batch import RequestBatch
from .slots import Slots

_MOST_IN_DOUBT = 1_000


class Sender:
    """The ready jobs of one workspace, and its requests under way."""

    def __init__(
        self,
        limits: SendLimits,
        slots: Slots,
        health: Health,
        exchange: Callable[[RequestBatch], Coroutine[Any, Any, None]],
        clock: Clock,
    ) -> None:
        """Begin without jobs.

        Args:
            limits: the limits of a workspace.
            slots: the connections that all workspaces share.
            health: the health of the workspace.
            exchange: makes one attempt. It MUST call `attempt_ended` and, at its end, `attempt_handled`.
            clock: the time at which requests are sent.
        """
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._limits = limits
        self._slots = slots
        self._health = health
        self._exchange = exchange
        self._batcher = Batcher(limits.linger_s)
        self._again: deque[RequestBatch] = deque()
        self._in_flight: dict[asyncio.Task[None], RequestBatch] = {}
        self._jobs_in_flight = 0
        self._wake: Timer | None = None
        self._pumping = False

    @property
    def oldest_sent_at(self) -> float | None:
        """Return when the oldest request was sent that is under way; None if there is none."""
        for batch in self._in_flight.values():
            return batch.sent_at
        return None

    @property
    def jobs_in_flight(self) -> int:
        """Return the number of jobs that requests under way cover."""
        return self._jobs_in_flight

    @property
    def requests_in_flight(self) -> int:
        """Return the number of requests under way."""
        return len(self._in_flight)

    def add(self, jobs: Sequence[Job]) -> None:
        """Make jobs ready. Call `pump_soon` after the jobs that come together."""
        self._batcher.add(jobs, self._clock.time())

    def send_next(self, batch: RequestBatch) -> None:
        """Send a request before all others."""
        self._again.appendleft(batch)

    def resend_at(self, batch: RequestBatch, time: float) -> None:
        """Send a request again at a time."""
        self._clock.call_at(time, self._resend, batch)

    def _resend(self, batch: RequestBatch) -> None:
        self._again.append(batch)
        self._pump()

    def pump_soon(self) -> None:
        """Send what may be sent, after the current callback of the event loop."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def attempt_ended(self, batch: RequestBatch) -> None:
        """Free the slot of the running task's attempt. Its jobs wait for a retry or for their outcome."""
        task = asyncio.current_task()
        if task is None or self._in_flight.pop(task, None) is None:
            return
        self._jobs_in_flight -= len(batch.jobs)
        self._slots.give_back(in_doubt=batch.in_doubt)
        now = self._clock.time()
        transition(batch.jobs, State.WAITING_FOR_RETRY)
        for job in batch.jobs:
            if not job.forgotten:
                job.answered_at = now

    def attempt_handled(self, batch: RequestBatch) -> None:
        """Send what may be sent after an attempt, with the request that waited for its jobs if all are settled."""
        if batch.next is not None and all(job.state is State.SETTLED for job in batch.jobs):
            self._again.append(batch.next)
        self._pump()

    def cut(self, jobs: Collection[Job]) -> None:
        """End the requests of these jobs, unless they cover other jobs that are not answered yet."""
        for attempt in {job.task for job in jobs}:
            batch = None if attempt is None else self._in_flight.get(attempt)
            if attempt and batch and all(job.forgotten for job in batch.jobs):
                self._cancel_soon(attempt)

    def cut_all(self) -> "list[asyncio.Task[None]]":
        """End every request under way. Return the tasks that end."""
        attempts = list(self._in_flight)
        for attempt in attempts:
            self._cancel_soon(attempt)
        return attempts

    def close(self) -> None:
        """Cancel the timer that would send more."""
        if self._wake is not None:
            self._wake.cancel()

    def _cancel_soon(self, attempt: "asyncio.Task[None]") -> None:
        """Cancel an attempt once it has begun: a task cancelled before that would not call `attempt_handled`."""
        self._loop.call_soon(attempt.cancel)

    def _pump(self) -> None:
        """Send what may be sent now, and set a timer for the rest."""
        self._pumping = False
        while True:
            now = self._clock.time()
            self._batcher.drop_settled()
            wait_s = 0.0 if self._again else self._batcher.wait_s(now)
            if wait_s is None or not self._has_room():
                return
            wait_s = max(wait_s, self._health.wait_s())
            if wait_s > 0.0:
                self._health.on_waiting()
                self._wake_at(now + wait_s)
                return
            in_doubt = self._health.in_doubt(self.oldest_sent_at)
            if in_doubt and self._jobs_in_flight >= _MOST_IN_DOUBT:
                return
            if not self._slots.take(len(self._in_flight), in_doubt=in_doubt):
                self._slots.wait(self._pump, in_doubt=in_doubt)
                return
            if self._again:
                batch = self._again.popleft()
                batch.drop_settled()
            else:
                batch = self._batcher.next_batch(now)
            if batch.jobs:
                self._health.rate_limiter.reserve()
                self._send(batch, now, in_doubt=in_doubt)
                continue
            self._slots.give_back(in_doubt=in_doubt)
            if batch.next is not None:
                self._again.appendleft(batch.next)

    def _has_room(self) -> bool:
        """Return whether another request may be under way."""
        most = 1 if self._health.circuit_breaker.half_open else self._limits.concurrency
        return len(self._in_flight) < most

    def _wake_at(self, time: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self._clock.call_at(time, self._pump)

    def _send(self, batch: RequestBatch, now: float, *, in_doubt: bool) -> None:
        batch.sent_at, batch.in_doubt = now, in_doubt
        first = batch.jobs[0]
        batch.waited_s = now - (first.answered_at if first.attempts else first.submitted_at)
        task = self._loop.create_task(self._exchange(batch))
        transition(batch.jobs, State.IN_FLIGHT)
        for job in batch.jobs:
            job.task = task
            job.attempts += 1
            if not job.first_sent_at:
                job.first_sent_at = now
        self._in_flight[task] = batch
        self._jobs_in_flight += len(batch.jobs)
