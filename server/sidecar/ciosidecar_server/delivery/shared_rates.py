"""The rate store as all workspaces of a process see it: whether it is up, and who shares it."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from .clock import Clock, Timer
from .observer import DeliveryObserver
from .rate_store import Lease, LeaseRequest, RateStore, RateStoreError, RateStoreSnapshot

BEAT_S = 2.0
"""The time between two registrations."""
_FIRST_PROBE_S = 0.25
_MOST_BETWEEN_PROBES_S = 2.0
_REMEMBERED_S = 15.0
"""How long the greatest number of sidecars counts: a store that lost its data counts from one again."""


class SharedRates:
    """The rate store with its state. While the store is away, each sidecar keeps to its share of the rate."""

    def __init__(
        self, store: RateStore, clock: Clock, observer: DeliveryObserver, replicas: int | None
    ) -> None:
        """Begin in the belief that the store is up.

        Args:
            store: the store.
            clock: the time of registrations and of probes.
            observer: hears when the store goes away, and when it is back.
            replicas: the number of sidecars; None if it is known only by the store.
        """
        self._store = store
        self._clock = clock
        self._observer = observer
        self._replicas = replicas or 1
        self._seen = 1
        self._seen_at = clock.time()
        self._up = True
        self._down_at = 0.0
        self._fallback_s = 0.0
        self._probes = 0
        self._exchanges = 0
        self._tokens = 0
        self._errors: Counter[str] = Counter()
        self._last_error = ""
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def up(self) -> bool:
        """Return whether the store answers."""
        return self._up

    @property
    def sidecars(self) -> int:
        """Return how many sidecars share a rate while the store is away: as configured, or as last seen if more."""
        return max(self._replicas, self._seen)

    def snapshot(self) -> RateStoreSnapshot:
        """Return the state of the store."""
        away_s = 0.0 if self._up else self._clock.time() - self._down_at
        return RateStoreSnapshot(
            self._up,
            self.sidecars,
            self._exchanges,
            self._tokens,
            self._errors,
            self._last_error,
            self._fallback_s + away_s,
        )

    def start(self) -> None:
        """Register this sidecar, now and again and again."""
        self.run(self._beat())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the requests. After the end, do not: timers of limits may still come."""
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._observer.internal_fault(fault)

    async def lease(self, request: LeaseRequest, then: Callable[[Lease | None], None]) -> None:
        """Exchange news of a workspace. then: called with the lease, or with None if there is none."""
        try:
            lease = await self._store.lease(request)
        except RateStoreError as error:
            self._on_error(error)
            then(None)
            return
        except BaseException:
            then(None)
            raise
        self._exchanges += 1
        self._tokens += lease.tokens
        then(lease)

    async def _beat(self) -> None:
        delay_s = BEAT_S
        try:
            seen = await self._store.register()
        except RateStoreError as error:
            self._on_error(error)
            delay_s = min(_MOST_BETWEEN_PROBES_S, _FIRST_PROBE_S * 2.0**self._probes)
            self._probes = min(self._probes + 1, 8)
        else:
            self._on_seen(seen)
        finally:
            if not self._closed:
                # With jitter, so that many sidecars do not come at once.
                at = self._clock.time() + delay_s * random.uniform(0.5, 1.0)  # noqa: S311
                self._plan_beat(at)

    def _plan_beat(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_at(at, self.start)

    def _on_seen(self, seen: int) -> None:
        now = self._clock.time()
        if seen >= self._seen or now - self._seen_at > _REMEMBERED_S:
            self._seen, self._seen_at = seen, now
        self._probes = 0
        if not self._up:
            self._up = True
            self._fallback_s += now - self._down_at
            self._observer.rate_store_changed(self.snapshot())

    def _on_error(self, error: RateStoreError) -> None:
        self._errors[error.kind] += 1
        self._last_error = error.kind
        if error.workspace_only or not self._up:
            return
        now = self._clock.time()
        self._up = False
        self._down_at = now
        self._probes = 0
        self._plan_beat(now + _FIRST_PROBE_S * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self._observer.rate_store_changed(self.snapshot())

    async def aclose(self) -> None:
        """End everything, and tell the store that this sidecar ends."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.aclose()
