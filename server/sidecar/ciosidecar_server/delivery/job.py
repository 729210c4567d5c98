"""One operation, or one prepared request, on its way to Customer.io, and what became of it."""

from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ciosidecar_transform.outcomes import Error, Warning
from ciosidecar_transform.requests import BatchItem, Request

from .responses import Failure

if TYPE_CHECKING:
    import asyncio

    from .workspace_queue import WorkspaceQueue


class State(IntEnum):
    """Where a job is."""

    WAITING = 0
    """For earlier jobs, or for its turn."""
    SHIPPED = 1
    """A request that covers it is made, and waits for its turn or for another try."""
    IN_FLIGHT = 2
    """A request that covers it is being answered."""
    DONE = 3
    """Its owner has its report."""


class Job:
    """What has to be delivered. Times are of the event loop's clock, in seconds."""

    __slots__ = (
        "alone",
        "answered_at",
        "arrival",
        "attempts",
        "deadline",
        "failure",
        "fingerprint",
        "first_sent_at",
        "followers",
        "forgotten",
        "keys",
        "owner",
        "position",
        "prepared",
        "ready_at",
        "request",
        "size",
        "state",
        "task",
        "unfinished",
        "workspace",
    )

    def __init__(
        self,
        request: Request | BatchItem,
        keys: Collection[str],
        deadline: float,
        owner: "Owner",
        position: int,
        fingerprint: int = 0,
        *,
        size: int = 0,
        alone: bool = False,
        prepared: bool = False,
    ) -> None:
        """keys: of everything whose order matters; a job waits for every earlier one that shares one.

        fingerprint: of what its caller sent, by which it is known again.
        size: bytes of its caller's credit that it holds.
        alone: whether its request must cover no other job.
        prepared: whether it is a whole request that may cover items of its own.
        """
        self.request = request
        self.keys = keys
        self.deadline = deadline
        self.owner = owner
        self.position = position
        self.fingerprint = fingerprint
        self.size = size
        self.alone = alone
        self.prepared = prepared
        self.arrival = 0
        """Counts what its caller has sent; what is sent again keeps its number."""
        self.state = State.WAITING
        self.attempts = 0
        """How many times a request that covers it was sent."""
        self.first_sent_at = 0.0
        self.answered_at = 0.0
        self.ready_at = 0.0
        """Since when it has waited for nothing but its turn."""
        self.unfinished = 0
        """How many earlier jobs it waits for."""
        self.followers: list[Job] = []
        """The later jobs that wait for it."""
        self.workspace: WorkspaceQueue | None = None
        """The workspace it was submitted to."""
        self.task: asyncio.Task[None] | None = None
        """The attempt that is under way, or was the last."""
        self.forgotten = False
        """Whether nobody is to hear of it any more: its owner is gone, or was answered. It is not tried again."""
        self.failure: DeliveryOutcome | None = None
        """What the last attempt came to, if it may be tried again."""


class DeliveryOutcome(NamedTuple):
    """What became of a job."""

    status: int
    """For routers: 200 delivered, 4xx refused for good, 408, 429 and 5xx later again. SPEC 12.1."""
    error: Error | None = None
    warnings: Sequence[Warning] = ()
    http_status: int = 0
    """What Customer.io answered last; 0 if nothing."""
    reason: str = ""
    """Customer.io's own words, or why there was no answer."""
    field: str = ""
    retry_after_s: float | None = None
    blocked_by: "Place | None" = None
    """The earlier job whose failure keeps this one from being sent."""
    failed_items: Sequence[Failure] = ()
    """With status 207: the items of a prepared request that were refused."""


class Place(NamedTuple):
    """Where a job came from, in its caller's words."""

    batch_id: int
    position: int


class Owner(Protocol):
    """Whoever wants to know."""

    @property
    def submitting(self) -> bool:
        """Whether more jobs of the same message are about to be submitted: requests wait for them."""

    def place(self, job: Job) -> Place | None:
        """Where a job came from, if it came from the same caller."""

    def settled(self, job: Job, report: DeliveryOutcome) -> None:
        """Called once for every job that is not forgotten, when nothing more will be tried."""
