"""How jobs of one workspace are settled: their owners are notified, and the jobs behind them may go."""

from collections.abc import Sequence

from . import outcomes
from .clock import Clock
from .health import Health
from .job import Job, State, transition, waited_together
from .ordering import OrderingGraph, dependents
from .outcomes import DeliveryOutcome
from .reporting import WorkspaceReporter
from .sender import Sender


class Settlement:
    """Answers the jobs of one workspace, each once, and removes them from it."""

    def __init__(
        self,
        jobs: dict[Job, None],
        ordering: OrderingGraph,
        sender: Sender,
        health: Health,
        reporter: WorkspaceReporter,
        clock: Clock,
    ) -> None:
        """Begin without settled jobs.

        Args:
            jobs: the jobs of the workspace, in the order of their arrival. Settled jobs are removed.
            ordering: the order of the jobs.
            sender: receives the jobs that are ready because others are settled.
            health: the health of the workspace.
            reporter: names the workspace to its observer.
            clock: the time at which jobs are answered.
        """
        self._jobs = jobs
        self._ordering = ordering
        self._sender = sender
        self._health = health
        self._reporter = reporter
        self._observer = reporter.observer
        self._clock = clock

    def finish(self, job: Job, outcome: DeliveryOutcome) -> None:
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
                self.drop((finished_job,))
            if is_awaited:
                self._answer((finished_job,), its_outcome, now)

    def finish_alike(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        """Answer jobs whose request is over with an outcome that is not retryable. The jobs behind them may go.

        The effect is that of `finish` for each job, at a tenth of its cost.
        """
        unsettled = [job for job in jobs if job.state is not State.SETTLED]
        now = self._clock.time()
        for run in waited_together(unsettled):
            self.drop(run)
            if awaited := [job for job in run if not job.forgotten]:
                self._answer(awaited, outcome, now)

    def drop(self, jobs: Sequence[Job]) -> None:
        """Settle jobs that are not in flight without an answer. The jobs behind them may go."""
        transition(jobs, State.SETTLED)
        for job in jobs:
            del self._jobs[job]
        if freed := self._ordering.complete(jobs):
            self._sender.add(freed)
        self._health.circuit_breaker.on_settled(jobs)

    def _answer(self, jobs: Sequence[Job], outcome: DeliveryOutcome, now: float) -> None:
        """Notify the observer and the owner of jobs. They MUST have waited together."""
        queue_s = (jobs[0].first_sent_at or now) - jobs[0].submitted_at
        self._observer.jobs_settled(self._reporter.label, jobs, outcome, queue_s)
        jobs[0].owner.settled(jobs, outcome)


def expired(job: Job) -> DeliveryOutcome:
    """Return the outcome of a job whose time is over: that of its last attempt, if there was one."""
    return job.failure or outcomes.EXPIRED


def drained(job: Job) -> DeliveryOutcome:
    """Return the outcome of a job that is not sent any more: that of its last attempt, if there was one."""
    return job.failure or outcomes.DRAINED
