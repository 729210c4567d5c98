"""One operation, or one prepared request, on its way to Customer.io."""

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from ciosidecar_transform.requests import Request, SharedItem

from .observer import MessageTrace
from .outcomes import DeliveryOutcome, ItemRef

if TYPE_CHECKING:
    import asyncio


class State(IntEnum):
    """The state of a job."""

    QUEUED = 0
    """The job waits for earlier jobs."""
    READY = 1
    """The job waits for nothing but its turn."""
    IN_FLIGHT = 2
    """A request that covers the job waits for its response."""
    WAITING_FOR_RETRY = 3
    """The last request that covered the job is over. Either the job is settled next, or another request follows."""
    SETTLED = 4
    """Nothing more is tried: the owner was notified, or forgot the job."""


TRANSITIONS: Mapping[State, Collection[State]] = {
    # Into flight beside the earlier jobs it waits for, if one request covers them all.
    State.QUEUED: (State.READY, State.IN_FLIGHT, State.SETTLED),
    State.READY: (State.IN_FLIGHT, State.SETTLED),
    # A job whose time is over while it is in flight keeps its place until the request is over.
    State.IN_FLIGHT: (State.WAITING_FOR_RETRY,),
    State.WAITING_FOR_RETRY: (State.IN_FLIGHT, State.SETTLED),
    State.SETTLED: (),
}
"""The states that may follow each state."""

UNSENT = (State.QUEUED, State.READY, State.WAITING_FOR_RETRY)
"""The states in which no request is under way."""


class Job:
    """An operation or request to deliver. Times are of the clock that the workspace goes by, in seconds."""

    __slots__ = (
        "_state",
        "alone",
        "answered_at",
        "arrival",
        "attempts",
        "deadline",
        "destination_ref",
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
        "submitted_at",
        "task",
        "unfinished",
    )

    def __init__(
        self,
        request: Request | SharedItem,
        keys: Collection[str],
        deadline: float,
        owner: "Owner",
        position: int,
        fingerprint: int = 0,
        *,
        size: int = 0,
        alone: bool = False,
        prepared: bool = False,
        destination_ref: str = "",
    ) -> None:
        """Begin as a queued job.

        Args:
            request: the request to send, or the item to send in a shared request.
            keys: the ordering keys. A job waits for every earlier job that shares a key.
            deadline: when the job is answered at the latest.
            owner: the message that the job came in.
            position: of the item in its message.
            fingerprint: hash of what the caller sent, by which an event that is sent again is recognised.
            size: outstanding bytes that the job counts for.
            alone: whether its request must cover no other job.
            prepared: whether the request is a whole one that may carry items of its own.
            destination_ref: the caller's name of the destination, for logs and metrics.
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
        self.destination_ref = destination_ref
        self.arrival = 0
        """The number of the event among those of its caller; an event that is sent again keeps its number."""
        self._state = State.QUEUED
        self.attempts = 0
        """The number of requests sent that cover the job."""
        self.submitted_at = 0.0
        self.first_sent_at = 0.0
        self.answered_at = 0.0
        self.ready_at = 0.0
        """The time at which the job became ready."""
        self.unfinished = 0
        """The number of earlier jobs that the job waits for."""
        self.followers: list[Job] = []
        """The later jobs that wait for this one."""
        self.task: asyncio.Task[None] | None = None
        """The last attempt, under way or over."""
        self.forgotten = False
        """Whether the owner is not notified any more: it is gone, or was notified. The job is not tried again."""
        self.failure: DeliveryOutcome | None = None
        """The outcome of the last attempt, if another one may follow."""

    @property
    def state(self) -> State:
        """The state of the job. Only `transition` changes it."""
        return self._state

    def transition(self, state: State) -> None:
        """Enter another state, which TRANSITIONS MUST allow."""
        assert state in TRANSITIONS[self._state], (self._state, state)  # noqa: S101 - a defect, not an error
        self._state = state


class Owner(Protocol):
    """The message that a job came in. It is notified of what became of the job."""

    @property
    def submitting(self) -> bool:
        """Whether more jobs of the same message are about to be submitted: requests wait for them."""

    @property
    def trace(self) -> MessageTrace:
        """The trace of the message."""

    def item_ref(self, job: Job) -> ItemRef | None:
        """Return the batch and position of a job, or None if it came from another stream or call."""

    def settled(self, job: Job, outcome: DeliveryOutcome) -> None:
        """Answer the item of a job with its outcome. Called once for every job that is not forgotten."""
