"""The order of jobs: no operation overtakes another that concerns the same person or object."""

from collections import deque
from collections.abc import Iterable, Iterator

from .job import Job, State


class OrderingGraph:
    """The jobs of one workspace, by their ordering keys.

    A job may be settled before the jobs it waits for, because its time is over. It then keeps its place until they are
    settled: the jobs behind it must not overtake them.
    """

    def __init__(self) -> None:
        self._last: dict[str, Job] = {}

    def enqueue(self, jobs: Iterable[Job]) -> list[Job]:
        """Put jobs, in their order, behind every earlier job that shares a key. Return those that wait for none."""
        last = self._last
        free = []
        for job in jobs:
            for key in job.keys:
                before = last.get(key)
                if before is not None:
                    job.follow(before)
                last[key] = job
            if not job.unfinished:
                free.append(job)
        return free

    def complete(self, jobs: Iterable[Job]) -> list[Job]:
        """Remove settled jobs. Return the jobs that wait for no other job from now on, in their order."""
        last = self._last
        freed: list[Job] = []
        removable = [job for job in jobs if not job.unfinished]
        for settled in removable:  # which grows
            for key in settled.keys:
                if last.get(key) is settled:
                    del last[key]
            if settled.followers:
                for follower in settled.followers:
                    follower.unfinished -= 1
                    if follower.unfinished == 0:
                        if follower.state is State.SETTLED:
                            removable.append(follower)
                        elif follower.state is State.QUEUED:
                            freed.append(follower)
                settled.followers = ()
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
