"""Flow control of a delivering stream: its outstanding events and bytes, by workspace."""

import sys
from collections.abc import Collection, Iterable, Sequence

from ..delivery.workspace_queue import WorkspaceQueue
from .item_job import ItemJob

_FEW_WORKSPACES = 5


class FlowControl:
    """The outstanding events and bytes of a stream, and the jobs of each workspace among them.

    Workspaces in trouble share half of what the stream may have outstanding. Each may hold an equal part of
    that half, at most a tenth of the whole.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events = 0
        self._bytes = 0
        self._outstanding: dict[WorkspaceQueue, Outstanding] = {}

    @classmethod
    def unlimited(cls) -> "FlowControl":
        """Return the flow control of a unary call: the limits of a batch and of a message bound the call."""
        return cls(sys.maxsize, sys.maxsize)

    @property
    def available(self) -> bool:
        """Return whether another message may be read."""
        return self._events < self._max_events and self._bytes < self._max_bytes

    @property
    def workspaces(self) -> Collection[WorkspaceQueue]:
        """Return the workspaces that have jobs of this stream."""
        return self._outstanding.keys()

    def over_share(self) -> list[WorkspaceQueue]:
        """Return the workspaces with jobs beyond the share that they have while they are in trouble."""
        # Most workspaces of a stream with thousands of them have one job, which is never beyond a share.
        return [
            workspace
            for workspace, outstanding in self._outstanding.items()
            if len(outstanding.jobs) > 1 and self._over(len(outstanding.jobs), outstanding.size)
        ]

    def add(self, events: int, size: int) -> None:
        """Add outstanding events and bytes."""
        self._events += events
        self._bytes += size

    def remove(self, events: int, size: int) -> None:
        """Remove events and bytes whose results were written."""
        self.add(-events, -size)

    def count(self, workspace: WorkspaceQueue, jobs: Sequence[ItemJob]) -> None:
        """Count jobs of a workspace."""
        outstanding = self._outstanding.get(workspace)
        if outstanding is None:
            outstanding = self._outstanding[workspace] = Outstanding(workspace)
        outstanding.jobs.update(dict.fromkeys(jobs))
        for job in jobs:
            job.outstanding = outstanding
            outstanding.size += job.size

    def release(self, jobs: Iterable[ItemJob]) -> None:
        """Stop counting jobs that were answered. A job that was never counted changes nothing."""
        for job in jobs:
            outstanding = job.outstanding
            if outstanding is None:
                continue
            job.outstanding = None
            del outstanding.jobs[job]
            outstanding.size -= job.size
            if not outstanding.jobs:
                del self._outstanding[outstanding.workspace]

    def within_share(self, workspace: WorkspaceQueue, jobs: int, size: int) -> bool:
        """Return whether more jobs of a workspace are surely within the share that it has while it is in trouble."""
        outstanding = self._outstanding.get(workspace)
        if outstanding is None:
            return not self._over(jobs, size, len(self._outstanding) + 1)
        return not self._over(len(outstanding.jobs) + jobs, outstanding.size + size)

    def share_used(self, workspace: WorkspaceQueue) -> bool:
        """Return whether a workspace has used up the share that it has while it is in trouble."""
        outstanding = self._outstanding.get(workspace)
        return outstanding is not None and self._over(len(outstanding.jobs) + 1, outstanding.size)

    def excess(self, workspace: WorkspaceQueue) -> Iterable[ItemJob]:
        """Return the latest jobs of a workspace that are beyond its share."""
        outstanding = self._outstanding.get(workspace)
        if outstanding is None:
            return ()
        excess = []
        jobs, size = len(outstanding.jobs), outstanding.size
        for job in reversed(outstanding.jobs):
            if jobs <= 1 or not self._over(jobs, size):
                break
            excess.append(job)
            jobs -= 1
            size -= job.size
        return excess

    def _over(self, events: int, size: int, workspaces: int = 0) -> bool:
        """Return whether a workspace is beyond its share. workspaces: those of the stream; 0: as many as there are."""
        part = 2 * max(_FEW_WORKSPACES, workspaces or len(self._outstanding))
        return events * part > self._max_events or size * part > self._max_bytes


class Outstanding:
    """The jobs of one workspace in the order of their arrival, and their bytes."""

    __slots__ = ("jobs", "size", "workspace")

    def __init__(self, workspace: WorkspaceQueue) -> None:
        self.workspace = workspace
        self.jobs: dict[ItemJob, None] = {}
        self.size = 0
