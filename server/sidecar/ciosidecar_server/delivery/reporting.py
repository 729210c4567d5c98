"""What one workspace reports of itself: who sends to it, how its requests end, and when its condition changes."""

import time
from collections.abc import Sequence, Sized

from .health import Health
from .job import Job
from .observer import (
    Attempt,
    Condition,
    DeliveryObserver,
    LastFailure,
    WorkspaceLabel,
    WorkspaceSnapshot,
)
from .outcomes import DeliveryOutcome
from .sender import Sender

_MAX_REFS = 101
_RULE = " (12.1)"
_CHANGES = (
    (Condition.CREDENTIALS_REFUSED, Condition.CREDENTIALS_ACCEPTED),
    (Condition.DOWN, Condition.UP),
    (Condition.PAUSED, Condition.RESUMED),
    (Condition.THROTTLED, Condition.FULL_RATE),
)
"""The conditions that a workspace enters and leaves, the worst first, in the order of `Health.conditions`."""
_STATES = ("credentials_refused", "down", "paused", "throttled")


class WorkspaceReporter:
    """The reports of one workspace to an observer."""

    def __init__(
        self,
        base_url: str,
        jobs: Sized,
        health: Health,
        sender: Sender,
        observer: DeliveryObserver,
    ) -> None:
        """Begin without reports.

        Args:
            base_url: where requests go.
            jobs: the jobs of the workspace, those in flight included.
            health: the health of the workspace.
            sender: sends the requests of the workspace.
            observer: receives the reports.
        """
        self._jobs = jobs
        self._health = health
        self._sender = sender
        self.observer = observer
        self.label = WorkspaceLabel(base_url)
        self._configured_url = base_url
        self._refs: dict[str, None] = {}
        self._conditions = health.conditions
        self._last_failure: LastFailure | None = None
        self._sent_away = False
        """Whether Customer.io's last response sent the request to a region that did not accept it either."""

    def fed_by(self, destination_ref: str) -> None:
        """Remember a destination that sends to the workspace."""
        refs = self._refs
        if destination_ref in refs or not destination_ref or len(refs) >= _MAX_REFS:
            return
        refs[destination_ref] = None
        first = self.label.destination_ref or destination_ref
        self.label = self.label._replace(destination_ref=first, more_destinations=len(refs) - 1)

    def attempt_ended(
        self,
        jobs: Sequence[Job],
        duration_s: float,
        waited_s: float,
        http_status: int,
        failure: DeliveryOutcome | None,
    ) -> None:
        """Report a request that ended.

        Args:
            jobs: the jobs that the request covered.
            duration_s: how long it took.
            waited_s: how long the first job had waited before.
            http_status: the status of the response; 0 if there was none.
            failure: the outcome of its jobs if it failed; None if it was accepted.
        """
        text = ""
        if failure is not None and failure.error is not None:
            text = failure.error.text.removesuffix(_RULE)
            self._last_failure = LastFailure(http_status, text, time.time())
        first = jobs[0]
        endpoint_path = first.request.template.endpoint_path
        attempt = Attempt(
            endpoint_path, http_status, duration_s, jobs, first.attempts, text, waited_s
        )
        self.observer.attempt_ended(self.label, attempt)
        self._look_at_region(http_status, failure)
        self._look()

    def _look_at_region(self, http_status: int, failure: DeliveryOutcome | None) -> None:
        """Report that redirects lead nowhere, once for as long as they do."""
        if not http_status:
            return
        before, self._sent_away = self._sent_away, failure is not None and failure.other_region
        if self._sent_away and not before:
            self._report(Condition.OTHER_REGION)

    def _look(self) -> None:
        """Report the conditions that changed."""
        before, self._conditions = self._conditions, self._health.conditions
        if before == self._conditions:
            return
        for (begins, ends), was, holds in zip(_CHANGES, before, self._conditions, strict=True):
            if was != holds:
                self._report(begins if holds else ends)

    def moved(self, base_url: str) -> None:
        """Report that requests go to Customer.io's other region from now on."""
        self.label = self.label._replace(base_url=base_url)
        self._report(Condition.OTHER_REGION)

    def _report(self, condition: Condition) -> None:
        self.observer.condition_changed(self.label, condition, self.snapshot())

    def snapshot(self) -> WorkspaceSnapshot:
        """Return the state of the workspace."""
        health, sender = self._health, self._sender
        states = (state for state, holds in zip(_STATES, health.conditions, strict=True) if holds)
        return WorkspaceSnapshot(
            label=self.label,
            destination_refs=self._refs,
            state=next(states, "ok"),
            rate_per_s=health.rate_limiter.rate_per_s,
            full_rate_per_s=health.rate_limiter.full_rate_per_s,
            pause_s=health.circuit_breaker.pause_s,
            waiting=len(self._jobs) - sender.jobs_in_flight,
            jobs_in_flight=sender.jobs_in_flight,
            requests_in_flight=sender.requests_in_flight,
            latency_s=health.latency.average_s,
            last_failure=self._last_failure,
            other_region=self._sent_away or self.label.base_url != self._configured_url,
        )
