"""What one delivering stream may have unanswered, and how much of that one workspace may hold."""

import sys
from collections.abc import Iterable

from ..delivery.job import Job
from ..delivery.workspace_queue import WorkspaceQueue

_FEW_WORKSPACES = 5


class Credit:
    """The outstanding events and bytes of a stream, and the jobs of each workspace among them.

    The half of the credit is for workspaces in trouble, whatever it is: each may hold an equal part of that half, a
    tenth of the credit at most.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events = 0
        self._bytes = 0
        self._held: dict[WorkspaceQueue, _Held] = {}

    @classmethod
    def unlimited(cls) -> "Credit":
        """Return the credit of a unary call: the limits of a batch and of a message bound the call."""
        return cls(sys.maxsize, sys.maxsize)

    @property
    def available(self) -> bool:
        """Whether another message may be read."""
        return self._events < self._max_events and self._bytes < self._max_bytes

    @property
    def workspaces(self) -> list[WorkspaceQueue]:
        """The workspaces that have jobs of this stream."""
        return list(self._held)

    def charge(self, events: int, size: int) -> None:
        """Take credit. size: in bytes."""
        self._events += events
        self._bytes += size

    def give_back(self, events: int, size: int) -> None:
        """Give credit back, because results were written."""
        self.charge(-events, -size)

    def hold(self, workspace: WorkspaceQueue, job: Job) -> None:
        """Note that a workspace has a job."""
        held = self._held.get(workspace)
        if held is None:
            held = self._held[workspace] = _Held()
        held.jobs[job] = None
        held.size += job.size

    def release(self, workspace: WorkspaceQueue, job: Job) -> None:
        """Note that a job was answered, if the workspace had it."""
        held = self._held.get(workspace)
        if held is None or job not in held.jobs:
            return
        del held.jobs[job]
        held.size -= job.size
        if not held.jobs:
            del self._held[workspace]

    def share_used(self, workspace: WorkspaceQueue) -> bool:
        """Return whether a workspace, if it is in trouble, has all that it may hold."""
        held = self._held.get(workspace)
        return held is not None and self._over(len(held.jobs) + 1, held.size)

    def excess(self, workspace: WorkspaceQueue) -> Iterable[Job]:
        """Return the latest jobs of a workspace, without which it would hold no more than its share."""
        held = self._held.get(workspace)
        if held is None:
            return ()
        found = []
        number, size = len(held.jobs), held.size
        for job in reversed(held.jobs):
            if number <= 1 or not self._over(number, size):
                break
            found.append(job)
            number -= 1
            size -= job.size
        return found

    def _over(self, events: int, size: int) -> bool:
        part = 2 * max(_FEW_WORKSPACES, len(self._held))
        return events * part > self._max_events or size * part > self._max_bytes


class _Held:
    """The jobs of one workspace, as they came, and their bytes."""

    __slots__ = ("jobs", "size")

    def __init__(self) -> None:
        self.jobs: dict[Job, None] = {}
        self.size = 0
