"""After a failure that may be tried again: the person's later events wait for the caller."""

from collections.abc import Collection, Hashable
from heapq import heappop, heappush
from typing import NamedTuple

from ..delivery.outcomes import Place

MAX_HELD = 100_000


class _Failed(NamedTuple):
    """An event that is expected to come again."""

    arrival: int
    failure: int
    """Counts failures. One that has come again since has another number, or none."""
    place: Place
    event: tuple[Hashable, int]
    """Workspace and fingerprint."""
    keys: Collection[str]


class ResendGate:
    """Of one stream: whose events are held back, and which are welcome again, by workspace.

    A caller sends on before it hears of a failure. What it sent in the meantime must not overtake
    the event that failed, which it will send again: such an event is held back, with the place of
    the failed one, and so comes to the caller's queue as well.

    An event that comes again says that the caller knows of every failure up to the event's own.
    What failed before that, and has not come before it, the caller has given up. What failed since
    the caller may not have heard of: if it first came before this event, this one is held back once
    more.
    """

    def __init__(self) -> None:
        self._failed: dict[tuple[Hashable, int], _Failed] = {}
        """By workspace and fingerprint, in the order of their failures."""
        self._by_key: dict[tuple[Hashable, str], list[_Failed]] = {}
        """Heaps by arrival. What has come again, or is given up, may still be among them."""
        self._arrivals = 0
        self._failures = 0

    def add(
        self,
        workspace: Hashable,
        keys: Collection[str],
        fingerprint: int,
        arrival: int,
        place: Place,
    ) -> None:
        """An event failed and may be tried again.

        fingerprint: of its bytes. arrival: as `admit` said. place: where it came from this time.
        """
        event = workspace, fingerprint
        self._failures += 1
        failed = _Failed(arrival, self._failures, place, event, keys)
        self._failed.pop(event, None)
        self._failed[event] = failed
        for key in keys:
            heappush(self._by_key.setdefault((workspace, key), []), failed)
        if len(self._failed) > MAX_HELD:
            self._forget(next(iter(self._failed.values())))

    def admit(
        self, workspace: Hashable, keys: Collection[str], fingerprint: int, *, again: bool
    ) -> tuple[int, Place | None]:
        """The number of an event's first arrival, and what it must wait for; None if it may go.

        again: whether the caller says that it has tried it before.
        """
        self._arrivals += 1
        if not self._failed:
            return self._arrivals, None
        own = self._failed.get((workspace, fingerprint))
        arrival = self._arrivals if own is None else own.arrival
        known = own.failure if own is not None else self._failures if again else 0
        cause: _Failed | None = None
        for key in keys:
            first = self._first_unheard((workspace, key), known, arrival)
            if first is not None and (cause is None or first < cause):
                cause = first
        if own is not None:
            self._forget(own)
        return arrival, None if cause is None else cause.place

    def _first_unheard(self, key: tuple[Hashable, str], known: int, arrival: int) -> _Failed | None:
        """The first of those that arrived before, and failed when the caller may not have heard of it.

        known: the last failure that the caller knows of.
        """
        heap = self._by_key.get(key, [])
        while heap:
            first = heap[0]
            if self._failed.get(first.event) is not first:
                heappop(heap)
            elif first.arrival >= arrival:
                return None
            elif first.failure > known:
                return first
            else:
                self._forget(first)
        self._by_key.pop(key, None)
        return None

    def _forget(self, failed: _Failed) -> None:
        """It has come again, or does not come any more."""
        if self._failed.get(failed.event) is failed:
            del self._failed[failed.event]
        for key in failed.keys:
            heap = self._by_key.get((failed.event[0], key), [])
            while heap and self._failed.get(heap[0].event) is not heap[0]:
                heappop(heap)
            if not heap:
                self._by_key.pop((failed.event[0], key), None)
