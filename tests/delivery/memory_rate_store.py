"""A rate store in memory, by the rules of the script, on the test's clock. Sidecars of one test share its workspaces."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from ciosidecar_server.delivery.rate_limiter import (
    BETWEEN_LOWERINGS_S,
    BURST_S,
    LOWERING,
    MOST_BETWEEN_SUCCESSES_S,
    RAISING_PER_S,
)
from ciosidecar_server.delivery.rate_store import Lease, LeaseRequest, RateStoreError

from tests.delivery.moved_clock import MovedClock

_LATELY_S = 2.0


@dataclass
class Workspace:
    """What is known of one workspace."""

    until: float
    fraction: float
    lowered_at: float
    succeeded_at: float
    raised_at: float
    askers: dict[int, float] = field(default_factory=dict)


class MemoryRates:
    """What all sidecars see."""

    def __init__(self, clock: MovedClock) -> None:
        self.clock = clock
        self.workspaces: dict[str, Workspace] = {}
        self.sidecars: set[int] = set()
        self.asked: defaultdict[int, list[LeaseRequest]] = defaultdict(list)
        self.registrations: list[float] = []


class MemoryRateStore:
    """The store of one sidecar. `failure`: what every call ends with while it is set."""

    def __init__(self, rates: MemoryRates, number: int) -> None:
        self._rates = rates
        self._number = number
        self.failure: RateStoreError | None = None
        self.closed = False

    async def lease(self, request: LeaseRequest) -> Lease:
        """Take tokens."""
        self._rates.asked[self._number].append(request)
        if self.failure is not None:
            raise self.failure
        now = self._rates.clock.time()
        workspace = self._rates.workspaces.setdefault(
            request.workspace,
            Workspace(now, request.fraction, now - BETWEEN_LOWERINGS_S, 0.0, now),
        )
        _take_news(workspace, request, now)
        rate = request.rate_per_s * workspace.fraction
        workspace.until -= request.returned / rate
        tokens, start = 0, now
        if request.wanted:
            workspace.askers[self._number] = now
        sharers = max(1, sum(now - at < _LATELY_S for at in workspace.askers.values()))
        if request.wanted:
            tokens = min(request.wanted, max(1, math.floor(request.span_s * rate / sharers)))
            start = max(workspace.until, now - max(BURST_S, 1.0 / rate))
            workspace.until = start + tokens / rate
        return Lease(
            tokens,
            max(0.0, start - now),
            workspace.fraction,
            now - workspace.lowered_at,
            sharers,
        )

    async def register(self) -> int:
        """Note the sidecar."""
        self._rates.registrations.append(self._rates.clock.time())
        if self.failure is not None:
            raise self.failure
        self._rates.sidecars.add(self._number)
        return len(self._rates.sidecars)

    async def aclose(self) -> None:
        """Forget the sidecar."""
        self.closed = True
        self._rates.sidecars.discard(self._number)


def _take_news(workspace: Workspace, request: LeaseRequest, now: float) -> None:
    if request.success_age_s is not None:
        workspace.succeeded_at = max(workspace.succeeded_at, now - request.success_age_s)
        since_s = min(now - workspace.raised_at, MOST_BETWEEN_SUCCESSES_S)
        workspace.fraction = min(1.0, workspace.fraction + RAISING_PER_S * since_s)
        workspace.raised_at = now
    if request.throttled_age_s is None or now - request.throttled_age_s < workspace.lowered_at:
        return
    mixed = workspace.succeeded_at > workspace.lowered_at
    if not (mixed and now - workspace.lowered_at < BETWEEN_LOWERINGS_S):
        workspace.fraction = max(request.least_fraction, workspace.fraction * LOWERING)
        workspace.lowered_at = workspace.raised_at = now
