"""The queue that jobs which share a request are gathered from."""

from collections import deque

from ciosidecar_transform.batching import OpenRequest
from ciosidecar_transform.requests import BatchItem, Request

from .job import Job, State
from .request_batch import RequestBatch

_Share = tuple[str, str]
"""Endpoint and path: within one workspace, items of the same may share a request."""


class Batcher:
    """Jobs that wait for nothing but their turn, oldest first."""

    def __init__(self, linger_s: float) -> None:
        """linger_s: how long a job may wait for others to share its request with."""
        self._linger_s = linger_s
        self._singles: deque[Job] = deque()
        self._shared: dict[_Share, deque[Job]] = {}

    def add(self, job: Job, now: float) -> None:
        """Puts a job at the end."""
        job.ready_at = now
        share = _share(job)
        if share is None:
            self._singles.append(job)
        else:
            self._shared.setdefault(share, deque()).append(job)

    def wait_s(self, now: float) -> float | None:
        """How long until there is something to take: 0 if there is now, None if there is nothing."""
        if _head(self._singles) is not None:
            return 0.0
        waits = [
            self._due_in_s(queue, head, now)
            for queue in self._shared.values()
            if (head := _head(queue)) is not None
        ]
        return min(waits, default=None)

    def next_batch(self, now: float) -> RequestBatch:
        """The oldest request that may go. `wait_s` has just said that there is one."""
        oldest = _head(self._singles)
        found: _Share | None = None
        for share, queue in list(self._shared.items()):
            head = _head(queue)
            if head is None:
                del self._shared[share]
            elif self._due_in_s(queue, head, now) == 0.0 and (
                oldest is None or head.ready_at < oldest.ready_at
            ):
                oldest, found = head, share
        return (
            _gathered(self._shared[found]) if found else _request_batch([self._singles.popleft()])
        )

    def _due_in_s(self, queue: deque[Job], head: Job, now: float) -> float:
        if isinstance(head.request, BatchItem) and len(queue) >= head.request.template.max_items:
            return 0.0
        return max(0.0, head.ready_at + self._linger_s - now)


def _share(job: Job) -> _Share | None:
    request = job.request
    if job.alone or type(request) is Request:
        return None
    return request.template.endpoint_path, request.path


def _head(queue: deque[Job]) -> Job | None:
    """The first that is still to be sent."""
    while queue and queue[0].state is not State.WAITING:
        queue.popleft()
    return queue[0] if queue else None


def _gathered(queue: deque[Job]) -> RequestBatch:
    """As many as one request takes, and with them those that wait for nobody else."""
    first, share = queue[0].request, _share(queue[0])
    assert isinstance(first, BatchItem)  # noqa: S101 - requests of their own are not gathered
    request = OpenRequest(first.template, first.path)
    jobs: list[Job] = []
    awaited: dict[Job, int] = {}
    followers: deque[Job] = deque()
    while source := queue or followers:
        job = source[0]
        if job.state is State.WAITING:
            item = job.request
            if not (type(item) is BatchItem and request.takes(item)):
                break
            request.add(item)
            jobs.append(job)
            for follower in job.followers:
                awaited[follower] = awaited.get(follower, 0) + 1
                if awaited[follower] == follower.unfinished and _share(follower) == share:
                    followers.append(follower)
        source.popleft()
    return _request_batch(jobs, request.request())


def _request_batch(jobs: list[Job], request: Request | None = None) -> RequestBatch:
    for job in jobs:
        job.state = State.SHIPPED
    return RequestBatch(jobs, request)
