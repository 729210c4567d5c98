"""Who waits for whom: no operation overtakes another that concerns the same person or object."""

from collections import deque
from collections.abc import Iterator

from .job import Job, State


class OrderingGraph:
    """The jobs of one workspace, by what they concern.

    A job that is settled before those it waits for are (its time is over, say) keeps its place until
    they are: whoever comes behind it must not overtake them.
    """

    def __init__(self) -> None:
        self._last: dict[str, Job] = {}

    def enqueue(self, job: Job) -> bool:
        """Puts a job behind every earlier one that shares a key with it; whether there is none."""
        last = self._last
        for key in job.keys:
            before = last.get(key)
            if before is not None:
                before.followers.append(job)
                job.unfinished += 1
            last[key] = job
        return job.unfinished == 0

    def complete(self, job: Job) -> list[Job]:
        """Takes a settled job out of the way; the jobs that need wait no longer, as they came."""
        found: list[Job] = []
        gone = deque([job] if job.unfinished == 0 else ())
        while gone:
            one = gone.popleft()
            for key in one.keys:
                if self._last.get(key) is one:
                    del self._last[key]
            for follower in one.followers:
                follower.unfinished -= 1
                if follower.unfinished == 0:
                    if follower.state is State.DONE:
                        gone.append(follower)
                    elif follower.state is State.WAITING:
                        found.append(follower)
            one.followers = []
        return found


def dependents(job: Job) -> Iterator[Job]:
    """All jobs that wait for this one, directly or not, as they came; settled ones among them."""
    seen = {job}
    pending = deque([job])
    while pending:
        for follower in pending.popleft().followers:
            if follower not in seen:
                seen.add(follower)
                pending.append(follower)
                yield follower
