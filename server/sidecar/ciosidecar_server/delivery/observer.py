"""What delivery reports while it works, to an observer that it does not know."""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from .job import Job
    from .outcomes import DeliveryOutcome
    from .rate_store import RateStoreSnapshot


class WorkspaceLabel(NamedTuple):
    """The name of a workspace in logs and metrics. It contains no credentials."""

    base_url: str
    destination_ref: str = ""
    """The ref of the first destination that sent to the workspace; "" if it has none."""
    more_destinations: int = 0
    """The number of other destinations that sent to it, 100 at most."""


class Condition(Enum):
    """A change of what a workspace accepts. Each is reported once, when it begins."""

    PAUSED = "paused"
    """Customer.io asked for a pause (Retry-After): nothing is sent until it is over."""
    RESUMED = "resumed"
    """The first request after the pause was accepted."""
    THROTTLED = "throttled"
    """The rate was lowered after a 429."""
    FULL_RATE = "full rate"
    """The rate is the full rate again."""
    DOWN = "down"
    """Five requests in a row failed: the circuit breaker is open."""
    UP = "up"
    """A request was accepted again: the circuit breaker is closed."""
    CREDENTIALS_REFUSED = "credentials refused"
    """Customer.io refused the siteID and apiKey: no job may wait."""
    CREDENTIALS_ACCEPTED = "credentials accepted"
    """Customer.io accepts the siteID and apiKey again."""
    OTHER_REGION = "other region"
    """Customer.io redirected to another region. Requests go there from now on, if it is known and accepts them."""


class LastFailure(NamedTuple):
    """The last failed request of a workspace."""

    http_status: int
    """The status of the response; 0 if there was none."""
    text: str
    """The failure in the sidecar's words: it quotes nothing that was sent or received."""
    at: float
    """When it happened. Unit: seconds since 1970."""


class MessageTrace:
    """The trace of the message that jobs came in. An observer that traces fills it."""

    __slots__ = ("span", "traceparents")

    def __init__(self) -> None:
        """Begin untraced."""
        self.span: object | None = None
        """The observer's own record of the message; None if no observer traces it."""
        self.traceparents: Mapping[int, str] = {}
        """The W3C trace contexts of the items that have one, by position. Only of a traced message."""


UNTRACED = MessageTrace()
"""The trace of all messages while no observer traces."""


class Attempt(NamedTuple):
    """A request to Customer.io that ended."""

    endpoint_path: str
    http_status: int
    """The status of the response; 0 if there was none."""
    duration_s: float
    jobs: Sequence["Job"]
    """The jobs that the request covered."""
    number: int
    """How many requests have covered the first of these jobs, this request included."""
    failure: str = ""
    """The failure in the sidecar's words; "" if the request was accepted."""
    waited_s: float = 0.0
    """The time that the first job waited, since its submission or since the request before."""


class WorkspaceSnapshot(NamedTuple):
    """The state of a workspace at one moment."""

    label: WorkspaceLabel
    destination_refs: Collection[str]
    """The destinations that sent to it, the first one first; 101 at most, and none without a ref."""
    state: str
    """ok, throttled, paused, down or credentials_refused: the worst of these that holds."""
    rate_per_s: float
    """The rate that holds now. Unit: requests a second."""
    full_rate_per_s: float
    pause_s: float
    """How long the pause still lasts; 0 without a pause."""
    waiting: int
    """The number of jobs that wait to be sent."""
    jobs_in_flight: int
    requests_in_flight: int
    latency_s: float | None
    """The moving average of response times; None before the first response."""
    last_failure: LastFailure | None
    other_region: bool = False
    """Whether Customer.io has redirected to the region that the destination does not name."""


class DeliveryObserver(Protocol):
    """A listener to delivery. Its methods are called in the event loop and MUST NOT raise or block."""

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        """Note that a request to Customer.io ended."""

    def jobs_settled(
        self,
        workspace: WorkspaceLabel,
        jobs: Sequence["Job"],
        outcome: "DeliveryOutcome",
        queue_s: float,
    ) -> None:
        """Note that jobs of one message were answered alike.

        Args:
            workspace: the workspace of the jobs.
            jobs: the jobs, with their destination_refs. `job.owner.item_ref(job)` names a job's batch and position.
            outcome: the outcome. Its reason and its failed items are Customer.io's words and may be personal data.
            queue_s: the time from the submission of the jobs to their first request, or to their outcome.
        """

    def condition_changed(
        self, workspace: WorkspaceLabel, condition: Condition, snapshot: WorkspaceSnapshot
    ) -> None:
        """Note that a workspace accepts less, or more, than before."""

    def rate_store_changed(self, snapshot: "RateStoreSnapshot") -> None:
        """Note that the rate store went away, or is back."""

    def internal_fault(self, fault: BaseException) -> None:
        """Note a defect of the sidecar. The text of the exception may be personal data."""


class NoDeliveryObserver:
    """An observer that ignores every report."""

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        """Ignore the report."""

    def jobs_settled(
        self,
        workspace: WorkspaceLabel,
        jobs: Sequence["Job"],
        outcome: "DeliveryOutcome",
        queue_s: float,
    ) -> None:
        """Ignore the report."""

    def condition_changed(
        self, workspace: WorkspaceLabel, condition: Condition, snapshot: WorkspaceSnapshot
    ) -> None:
        """Ignore the report."""

    def rate_store_changed(self, snapshot: "RateStoreSnapshot") -> None:
        """Ignore the report."""

    def internal_fault(self, fault: BaseException) -> None:
        """Ignore the report."""
