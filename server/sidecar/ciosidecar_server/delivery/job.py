"""One operation, or one prepared request, on its way to Customer.io."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from ciosidecar_transform.requests import Request, SharedItem
from msgspec import Struct

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


_BEFORE = {state: tuple(b for b, after in TRANSITIONS.items() if state in after) for state in State}


class Job(Struct, eq=False):
    """An operation or request to deliver. Times are of the clock that the workspace goes by, in seconds.

    A Struct, because an `__init__` that sets so many attributes costs 1.1 µs an event, and this 0.15.
    """

    request: Request | SharedItem
    """The request to send, or the item to send in a shared request."""
    keys: Collection[str]
    """The ordering keys. A job waits for every earlier job that shares a key."""
    deadline: float
    """When the job is answered at the latest."""
    owner: "Owner"
    """The message that the job came in."""
    position: int
    """The position of the item in its message."""
    fingerprint: int = 0
    """The hash of what the caller sent, by which an event that is sent again is recognised."""
    size: int = 0
    """The outstanding bytes that the job counts for."""
    alone: bool = False
    """Whether its request must cover no other job."""
    prepared: bool = False
    """Whether the request is a whole one that may carry items of its own."""
    destination_ref: str = ""
    """The caller's name of the destination, for logs and metrics."""
    arrival: int = 0
    """The number of the event among those of its caller; an event that is sent again keeps its number."""
    state: State = State.QUEUED
    """The state of the job. Only `transition` changes it."""
    attempts: int = 0
    """The number of requests sent that cover the job."""
    submitted_at: float = 0.0
    first_sent_at: float = 0.0
    answered_at: float = 0.0
    ready_at: float = 0.0
    """The time at which the job became ready."""
    unfinished: int = 0
    """The number of earlier jobs that the job waits for."""
    followers: "list[Job] | tuple[()]" = ()
    """The later jobs that wait for this one."""
    task: "asyncio.Task[None] | None" = None
    """The last attempt, under way or over."""
    forgotten: bool = False
    """Whether the owner is not notified any more: it is gone, or was notified. The job is not tried again."""
    failure: DeliveryOutcome | None = None
    """The outcome of the last attempt, if another one may follow."""

    def __repr__(self) -> str:
        """Return the job without its request, so that a traceback shows no personal data."""
        return f"{type(self).__name__}(position={self.position!r}, state={self.state!r})"

    def follow(self, before: "Job") -> None:
        """Wait for an earlier job."""
        self.unfinished += 1
        if before.followers:
            before.followers.append(self)
        else:
            before.followers = [self]


def transition(jobs: Iterable[Job], state: State) -> None:
    """Let jobs enter another state, which TRANSITIONS MUST allow for each."""
    before = _BEFORE[state]
    for job in jobs:
        assert job.state in before, (job.state, state)  # noqa: S101 - a defect, not an error
        job.state = state


def waited_together(jobs: list[Job]) -> Iterator[list[Job]]:
    """Yield the jobs in runs: those of one message that waited for as long until their first request."""
    first = 0
    for last, job in enumerate(jobs):
        head = jobs[first]
        if (
            job.owner is not head.owner
            or job.submitted_at != head.submitted_at
            or job.first_sent_at != head.first_sent_at
        ):
            yield jobs[first:last]
            first = last
    if jobs:
        yield jobs[first:]


class Owner(Protocol):
    """The message that a job came in. It is notified of what became of the job."""

    @property
    def submitting(self) -> bool:
        """Return whether more jobs of the same message are about to be submitted: requests wait for them."""

    @property
    def trace(self) -> MessageTrace:
        """Return the trace of the message."""

    def item_ref(self, job: Job) -> ItemRef | None:
        """Return the batch and position of a job, or None if it came from another stream or call."""

    def settled(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        """Answer the items of jobs with their outcome. Called once for every job that is not forgotten."""
