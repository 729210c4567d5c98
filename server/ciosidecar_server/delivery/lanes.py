"""Who waits for whom: no operation overtakes another that concerns the same person or object."""

from .job import Job, State


class Lanes:
    """The jobs of one workspace that are not done, by what they concern."""

    def __init__(self) -> None:
        self._last: dict[str, Job] = {}

    def enter(self, job: Job) -> bool:
        """Puts a job behind every earlier one that shares a key with it; whether there is none."""
        last = self._last
        for key in job.keys:
            before = last.get(key)
            if before is not None:
                before.followers.append(job)
                job.unfinished += 1
            last[key] = job
        return job.unfinished == 0

    def leave(self, job: Job) -> None:
        """Takes a job that is done out of the way."""
        last = self._last
        for key in job.keys:
            if last.get(key) is job:
                del last[key]


def released(job: Job) -> list[Job]:
    """The jobs that waited for this one alone, in the order in which they came."""
    found = []
    for follower in job.followers:
        follower.unfinished -= 1
        if follower.unfinished == 0 and follower.state is State.WAITING:
            found.append(follower)
    job.followers = []
    return found
