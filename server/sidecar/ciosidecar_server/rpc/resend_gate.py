"""After a retryable failure, later events of the person wait until the caller sends the event again."""

from collections.abc import Collection, Hashable
from heapq import heappop, heappush
from typing import NamedTuple

from ..delivery.outcomes import ItemRef

MAX_FAILURES = 100_000


class _Failed(NamedTuple):
    """A failed event that the caller is expected to send again."""

    arrival: int
    failure: int
    """The number of the failure. An event that fails again gets another number."""
    item_ref: ItemRef
    event: tuple[Hashable, int]
    """Workspace and fingerprint."""
    keys: Collection[str]


class ResendGate:
    """Decides which events of one stream may pass after a failure.

    A caller goes on sending before it learns of a failure. The events that it sent in the meantime
    must not overtake the failed event, which the caller will send again. They are blocked: each is
    answered as retryable, with the batch and position of the failed event.

    An event that is sent again shows that the caller knows of every failure up to that event's own.
    Earlier failures that were not sent again before it are given up and block nothing more. The
    caller may not know of later failures yet: if their events first arrived before this event, this
    event is blocked once more.
    """

    def __init__(self) -> None:
        self._failed: dict[tuple[Hashable, int], _Failed] = {}
        """By workspace and fingerprint, in the order of their failures."""
        self._by_key: dict[tuple[Hashable, str], list[_Failed]] = {}
        """Heaps by arrival. They may still contain events that were sent again or given up."""
        self._arrivals = 0
        self._failures = 0

    def add(
        self,
        workspace: Hashable,
        keys: Collection[str],
        fingerprint: int,
        arrival: int,
        item_ref: ItemRef,
    ) -> None:
        """Remember a retryable failure, which blocks later events that share a key.

        Args:
            workspace: the workspace of the event.
            keys: the ordering keys of the event.
            fingerprint: the hash of the event's bytes.
            arrival: the number that `admit` returned.
            item_ref: the batch and position of the event this time.
        """
        event = workspace, fingerprint
        self._failures += 1
        failed = _Failed(arrival, self._failures, item_ref, event, keys)
        self._failed.pop(event, None)
        self._failed[event] = failed
        for key in keys:
            heappush(self._by_key.setdefault((workspace, key), []), failed)
        if len(self._failed) > MAX_FAILURES:
            self._forget(next(iter(self._failed.values())))

    @property
    def admits_all(self) -> bool:
        """Return whether `admit` lets every event pass."""
        return not self._failed

    def number(self, events: int) -> int:
        """Return the number of the first of some events that pass. The others have the next numbers."""
        first = self._arrivals + 1
        self._arrivals += events
        return first

    def admit(
        self, workspace: Hashable, keys: Collection[str], fingerprint: int, *, again: bool
    ) -> tuple[int, ItemRef | None]:
        """Return the number of an event's first arrival, and the failed event that blocks it.

        Args:
            workspace: the workspace of the event.
            keys: the ordering keys of the event.
            fingerprint: the hash of the event's bytes.
            again: whether the caller says that it has sent the event before.
        """
        self._arrivals += 1
        if not self._failed:
            return self._arrivals, None
        failed_before = self._failed.get((workspace, fingerprint))
        arrival = self._arrivals if failed_before is None else failed_before.arrival
        if failed_before is not None:
            known = failed_before.failure
        else:
            known = self._failures if again else 0
        cause: _Failed | None = None
        for key in keys:
            first = self._first_unheard((workspace, key), known, arrival)
            if first is not None and (cause is None or first < cause):
                cause = first
        if failed_before is not None:
            self._forget(failed_before)
        return arrival, None if cause is None else cause.item_ref

    def _first_unheard(self, key: tuple[Hashable, str], known: int, arrival: int) -> _Failed | None:
        """Return the earliest event of a key that failed without the caller's knowledge.

        Args:
            key: workspace and ordering key.
            known: the number of the last failure that the caller knows of.
            arrival: only events that arrived before this number count.
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
        """Remove an event that was sent again or is given up."""
        if self._failed.get(failed.event) is failed:
            del self._failed[failed.event]
        for key in failed.keys:
            heap = self._by_key.get((failed.event[0], key), [])
            while heap and self._failed.get(heap[0].event) is not heap[0]:
                heappop(heap)
            if not heap:
                self._by_key.pop((failed.event[0], key), None)
