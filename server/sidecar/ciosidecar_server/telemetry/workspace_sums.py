"""The workspaces of a process, added up by destination in portions that do not hold up the event loop."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..delivery.observer import LastFailure, WorkspaceSnapshot
from .destination_names import DestinationNames

_TURN_S = 0.001
_KEPT_S = 0.5
_STALE_S = 60.0
"""How old sums may be that are returned while newer ones are read. 100,000 workspaces take seconds beside other work."""
_MAX_URLS = 3


@dataclass(slots=True)
class WorkspaceSum:
    """The workspaces of one destination."""

    states: Counter[str] = field(default_factory=Counter)
    """The number of workspaces by state."""
    more_destinations: int = 0
    other_region: int = 0
    """The number of workspaces that Customer.io redirected to its other region."""
    urls: set[str] = field(default_factory=set)
    rate_per_s: float = float("inf")
    full_rate_per_s: float = 0.0
    pause_s: float = 0.0
    latency_s: float | None = None
    last_failure: LastFailure | None = None
    waiting: int = 0
    """Jobs, as the following: a workspace's are counted for the first of its destinations, and only there."""
    paused: int = 0
    in_flight: int = 0
    requests_in_flight: int = 0

    @property
    def workspaces(self) -> int:
        """Return the number of workspaces."""
        return self.states.total()

    def add_state(self, workspace: WorkspaceSnapshot) -> None:
        """Add what holds for every destination of a workspace."""
        self.states[workspace.state] += 1
        self.more_destinations += workspace.label.more_destinations
        self.other_region += workspace.other_region
        if len(self.urls) < _MAX_URLS:
            self.urls.add(workspace.label.base_url)
        self.rate_per_s = min(self.rate_per_s, workspace.rate_per_s)
        self.full_rate_per_s = max(self.full_rate_per_s, workspace.full_rate_per_s)
        self.pause_s = max(self.pause_s, workspace.pause_s)
        if workspace.latency_s is not None:
            self.latency_s = max(self.latency_s or 0.0, workspace.latency_s)
        failure = workspace.last_failure
        if failure is not None and (self.last_failure is None or failure.at > self.last_failure.at):
            self.last_failure = failure

    def add_jobs(self, workspace: WorkspaceSnapshot) -> None:
        """Add what must not be counted twice."""
        self.waiting += workspace.waiting
        self.paused += workspace.waiting if workspace.pause_s > 0.0 else 0
        self.in_flight += workspace.jobs_in_flight
        self.requests_in_flight += workspace.requests_in_flight


Sums = dict[str, WorkspaceSum]
"""By the label of the destination."""


class WorkspaceReader:
    """Adds workspaces up, once for all who ask at the same time."""

    def __init__(
        self, names: DestinationNames, workspaces: Callable[[], Iterable[WorkspaceSnapshot]]
    ) -> None:
        """Prepare.

        Args:
            names: the labels of the destinations.
            workspaces: returns the workspaces. They are taken one by one, while they may change.
        """
        self.names = names
        self._workspaces = workspaces
        self._reading: asyncio.Task[Sums] | None = None
        self._kept: Sums = {}
        self._kept_at = float("-inf")

    async def read(self) -> Sums:
        """Return the sums. If there are many workspaces, they may be those of the reading before, up to a minute old."""
        age_s = time.monotonic() - self._kept_at
        if age_s < _KEPT_S:
            return self._kept
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        if age_s < _STALE_S:
            return self._kept
        # A reader that goes away must not end the reading of the others.
        return await asyncio.shield(self._reading)

    async def _read(self) -> Sums:
        sums: Sums = {}
        turns = 0
        turn_ends_at = time.perf_counter() + _TURN_S
        for workspace in self._workspaces():
            self._add(sums, workspace)
            if time.perf_counter() >= turn_ends_at:
                await asyncio.sleep(0)
                turns += 1
                turn_ends_at = time.perf_counter() + _TURN_S
        # Of few workspaces the sums are read anew each time.
        self._kept, self._kept_at = sums, time.monotonic() if turns else float("-inf")
        return sums

    def _add(self, sums: Sums, workspace: WorkspaceSnapshot) -> None:
        refs = workspace.destination_refs or ("",)
        labels = dict.fromkeys(map(self.names.label, refs))
        for number, label in enumerate(labels):
            destination = sums.get(label)
            if destination is None:
                destination = sums[label] = WorkspaceSum()
            destination.add_state(workspace)
            if number == 0:
                destination.add_jobs(workspace)
