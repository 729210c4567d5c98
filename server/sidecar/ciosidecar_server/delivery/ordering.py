"""The order of jobs: no operation overtakes another that concerns the same person or object."""

from collections import deque
from collections.abc import Iterator

from .job import Job, State


class OrderingGraph:
    """The jobs of one workspace, by their ordering keys.

    A job may be settled before the jobs it waits for, because its time is over. It then keeps its place until they are
    settled: the jobs behind it must not overtake them.
    """

    def __init__(self) -> None:
        self._last: dict[str, Job] = {}

    def enqueue(self, job: Job) -> bool:
        """Put a job behind every earlier job that shares a key. Return whether there is none."""
        last = self._last
        for key in job.keys:
            before = last.get(key)
            if before is not None:
                before.followers.append(job)
                job.unfinished += 1
            last[key] = job
        return job.unfinished == 0

    def complete(self, job: Job) -> list[Job]:
        """Remove a settled job. Return the jobs that wait for no other job from now on, in their order."""
        freed: list[Job] = []
        removable = deque([job] if job.unfinished == 0 else ())
        while removable:
            settled = removable.popleft()
            for key in settled.keys:
                if self._last.get(key) is settled:
                    del self._last[key]
            for follower in settled.followers:
                follower.unfinished -= 1
                if follower.unfinished == 0:
                    if follower.state is State.SETTLED:
                        removable.append(follower)
                    elif follower.state is State.QUEUED:
                        freed.append(follower)
            settled.followers = []
        return freed


def dependents(job: Job) -> Iterator[Job]:
    """Yield all jobs that wait for a job, directly or not, in their order; settled jobs are among them."""
    seen = {job}
    pending = deque([job])
    while pending:
        for follower in pending.popleft().followers:
            if follower not in seen:
                seen.add(follower)
                pending.append(follower)
                yield follower
