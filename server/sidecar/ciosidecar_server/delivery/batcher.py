"""The queue of ready jobs, from which jobs are gathered into requests."""

from collections import deque
from collections.abc import Sequence

from ciosidecar_transform.batching import OpenRequest
from ciosidecar_transform.requests import Request, RequestTemplate, SharedItem

from .job import Job, State, transition
from .request_batch import RequestBatch

MAX_LINGER_S = 1.0
"""The bound of the linger while a message is being submitted: 10,000 events take half of it on a busy machine."""

_Share = tuple[str, str]
"""Endpoint and path: within one workspace, items of the same may share a request."""


class Batcher:
    """The ready jobs of one workspace, oldest first."""

    def __init__(self, linger_s: float) -> None:
        """Begin without jobs.

        Args:
            linger_s: how long a job waits for others to share its request with. A job whose message is still being
                submitted waits until all of the message is submitted: at most MAX_LINGER_S and a quarter of its
                time limit, and no longer than linger_s once a job of another message has joined it.
        """
        self._linger_s = linger_s
        self._singles: deque[Job] = deque()
        self._shared: dict[_Share, _SharedQueue] = {}

    def add(self, jobs: Sequence[Job], now: float) -> None:
        """Make queued jobs ready, behind the others."""
        transition(jobs, State.READY)
        # The queue of the job before, which most jobs go to as well.
        template: RequestTemplate | None = None
        path = ""
        append = self._singles.append
        for job in jobs:
            job.ready_at = now
            request = job.request
            if job.alone or type(request) is Request:
                self._singles.append(job)
                continue
            if request.template is not template or request.path != path:
                template, path = request.template, request.path
                append = self._queue((template.endpoint_path, path)).append
            append(job)

    def _queue(self, share: _Share) -> "_SharedQueue":
        queue = self._shared.get(share)
        if queue is None:
            queue = self._shared[share] = _SharedQueue()
        return queue

    def wait_s(self, now: float) -> float | None:
        """Return how long until there is a request to send: 0 if there is one, None if there is no job.

        Settled jobs count, unless they were dropped before.
        """
        if self._singles:
            return 0.0
        return min((self._due_in_s(queue, now) for queue in self._shared.values()), default=None)

    def next_batch(self, now: float) -> RequestBatch:
        """Remove and return the oldest request that may go. `wait_s` MUST have returned 0 for the same time."""
        oldest = self._singles[0] if self._singles else None
        oldest_share: _Share | None = None
        for share, queue in self._shared.items():
            head = queue.jobs[0]
            if self._due_in_s(queue, now) == 0.0 and (
                oldest is None or head.ready_at < oldest.ready_at
            ):
                oldest, oldest_share = head, share
        if oldest_share is None:
            return RequestBatch([self._singles.popleft()])
        queue = self._shared[oldest_share]
        batch = _gathered(queue)
        if not queue.jobs:
            del self._shared[oldest_share]
        return batch

    def drop_settled(self) -> None:
        """Remove settled jobs, so that every queue begins with a job that is still to be sent."""
        while self._singles and self._singles[0].state is not State.READY:
            self._singles.popleft()
        for share, queue in list(self._shared.items()):
            while queue.jobs and queue.jobs[0].state is not State.READY:
                queue.popleft()
            if not queue.jobs:
                del self._shared[share]

    def _due_in_s(self, queue: "_SharedQueue", now: float) -> float:
        if queue.full:
            return 0.0
        head = queue.jobs[0]
        due_at = head.ready_at + self._linger_s
        if head.owner.submitting:
            quarter_s = (head.deadline - head.ready_at) / 4
            due_at = max(due_at, head.ready_at + min(MAX_LINGER_S, quarter_s))
            if queue.joined_at is not None:
                due_at = min(due_at, max(queue.joined_at, head.ready_at) + self._linger_s)
        return max(0.0, due_at - now)


class _SharedQueue:
    """Jobs that may share a request, and the bytes of their bodies."""

    __slots__ = ("_bytes", "jobs", "joined_at")

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self._bytes = 0
        self.joined_at: float | None = None
        """Since when there are jobs of several messages; None if there are none."""

    @property
    def full(self) -> bool:
        """Whether the jobs fill a request."""
        item = self.jobs[0].request
        return isinstance(item, SharedItem) and (
            len(self.jobs) >= item.template.max_items or self._bytes >= item.template.max_bytes
        )

    def append(self, job: Job) -> None:
        """Put a job at the end."""
        if self.joined_at is None and self.jobs and self.jobs[0].owner is not job.owner:
            self.joined_at = job.ready_at
        self.jobs.append(job)
        self._bytes += len(job.request.body)

    def popleft(self) -> None:
        """Remove the oldest job."""
        self._bytes -= len(self.jobs.popleft().request.body)

    def removed(self, size: int) -> None:
        """Note that the oldest jobs were taken. size: the bytes of their bodies."""
        self._bytes -= size


def _share(job: Job) -> _Share | None:
    request = job.request
    if job.alone or type(request) is Request:
        return None
    return request.template.endpoint_path, request.path


def _gathered(queue: _SharedQueue) -> RequestBatch:
    """Return as many jobs as one request takes, and with them the jobs that wait for no others."""
    gathering = _Gathering(queue.jobs[0])
    fits, size = gathering.take(queue.jobs)
    queue.removed(size)
    if fits:
        gathering.take(gathering.followers)
    return RequestBatch(gathering.jobs, gathering.request.request())


class _Gathering:
    """The jobs of a request that still takes others."""

    def __init__(self, first: Job) -> None:
        """Begin without jobs. first: a job whose requests may be shared; the others go to the same endpoint and path."""
        item, self._share = first.request, _share(first)
        assert isinstance(item, SharedItem)  # noqa: S101 - requests of their own are not gathered
        self.request = OpenRequest(item.template, item.path)
        self.jobs: list[Job] = []
        self.followers: deque[Job] = deque()
        """The jobs that wait for none but these."""
        self._gathered_before: dict[Job, int] = {}

    def take(self, jobs: deque[Job]) -> tuple[bool, int]:
        """Move jobs from a queue. Return whether all of them fit, and the bytes of the bodies of those that did."""
        size = 0
        while jobs:
            job = jobs[0]
            item = job.request
            if job.state is not State.SETTLED:
                if not (type(item) is SharedItem and self.request.add_if_it_fits(item)):
                    return False, size
                self.jobs.append(job)
                if job.followers:
                    self._note_followers(job)
            size += len(item.body)
            jobs.popleft()
        return True, size

    def _note_followers(self, job: Job) -> None:
        gathered_before = self._gathered_before
        for follower in job.followers:
            before = gathered_before[follower] = gathered_before.get(follower, 0) + 1
            if before == follower.unfinished and _share(follower) == self._share:
                self.followers.append(follower)
