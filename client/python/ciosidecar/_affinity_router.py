"""The routing of events by person: which lane of a stream an event joins, without I/O, clock or lock."""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto

from ciosidecar._answer_queue import Entry
from ciosidecar._outstanding import OutstandingEvents
from ciosidecar.affinity import address_order


class _Phase(Enum):
    """The progress of a lane's connection."""

    CONNECTING = auto()
    """No attempt has ended yet."""
    UP = auto()
    DRAINING = auto()
    """The sidecar answers what it has, and takes nothing more."""
    DOWN = auto()


class _Slot:
    """The unanswered events of one slot. All that are not parked are on one lane."""

    __slots__ = ("count", "lane", "parked")

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.count = 1
        self.parked: list[Entry] = []


class AffinityRouter:
    """Routes events to the lanes of a stream, so that no event overtakes another of its slot.

    An event joins the first lane in the order of its slot that is up. If unanswered events of the slot
    are on another lane, the event is parked until those are answered. While no lane is up, or the lanes
    have only begun to connect, events wait outside of the lanes.

    Args:
        addresses: The addresses of the lanes.
        lanes: The outstanding events of the lanes.
        on_enqueue: Called with the index of a lane that got an event.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        lanes: Sequence[OutstandingEvents],
        on_enqueue: Callable[[int], None],
    ) -> None:
        self._addresses = addresses
        self._lanes = lanes
        self._on_enqueue = on_enqueue
        self._phases = [_Phase.CONNECTING] * len(addresses)
        self._orders: dict[int, tuple[int, ...]] = {}
        self._slots: dict[int, _Slot] = {}
        self._outside: deque[Entry] = deque()
        self._settled = False

    @property
    def holds_events(self) -> bool:
        """Return whether events wait outside of the lanes, parked ones aside: those wait for a lane's events."""
        return bool(self._outside)

    @property
    def is_connected(self) -> bool:
        """Return whether a lane has a connection, also to a sidecar that drains, or its first attempt goes on."""
        return any(phase is not _Phase.DOWN for phase in self._phases)

    @property
    def settled(self) -> bool:
        """Return whether the router waits for no first attempt to connect."""
        return self._settled

    def place(self, entry: Entry) -> None:
        """Put an event onto its lane, behind all earlier events of its slot."""
        target = self._target(entry.slot)
        slot = self._slots.get(entry.slot)
        if slot is None and target is None:
            self._outside.append(entry)
        elif slot is not None and (slot.parked or slot.lane != target):
            slot.parked.append(entry)
        elif target is not None:
            if slot is None:
                self._slots[entry.slot] = _Slot(target)
            else:
                slot.count += 1
            self._lanes[target].enqueue(entry)
            self._on_enqueue(target)

    def answered(self, entries: Iterable[Entry]) -> None:
        """Note that events are answered. Release those that were parked behind them."""
        for entry in entries:
            slot = self._slots[entry.slot]
            slot.count -= 1
            if not slot.count:
                self._release(entry.slot)

    def returned(self, lane: int, entries: Iterable[Entry]) -> None:
        """Move events that a draining sidecar did not send, behind older ones that it still has."""
        if self._phases[lane] is _Phase.UP:
            self.draining(lane)
        for entry in entries:
            slot = self._slots[entry.slot]
            slot.count -= 1
            insort(slot.parked, entry, key=lambda parked: parked.position)
            if not slot.count:
                self._release(entry.slot)

    def opened(self, lane: int) -> None:
        """Note that a lane takes events."""
        self._phases[lane] = _Phase.UP
        self._settle_if_known()

    def settle(self) -> None:
        """Stop to wait for first attempts to connect."""
        self._settled = True
        self._enter()

    def draining(self, lane: int) -> None:
        """Move the events of a lane that are not sent. Those behind sent ones are parked."""
        self._phases[lane] = _Phase.DRAINING
        moved: dict[int, list[Entry]] = {}
        for entry in self._lanes[lane].take_waiting():
            moved.setdefault(entry.slot, []).append(entry)
        for number, entries in moved.items():
            slot = self._slots[number]
            slot.count -= len(entries)
            slot.parked[:0] = entries
            if not slot.count:
                self._release(number)

    def lost(self, lane: int) -> None:
        """Move all unanswered events of a lane whose connection has ended, in order."""
        self._phases[lane] = _Phase.DOWN
        entries = self._lanes[lane].take_unanswered()
        parked: list[Entry] = []
        for entry in entries:
            if slot := self._slots.pop(entry.slot, None):
                parked += slot.parked
        # An event that the sidecar returned is parked, and may be older than one that it still had.
        for entry in sorted(entries + parked, key=lambda unplaced: unplaced.position):
            self.place(entry)
        self._settle_if_known()

    def drop(self) -> None:
        """Forget the events that are not sent. They get no answer."""
        self._outside.clear()
        for lane in self._lanes:
            for entry in lane.take_waiting():
                self._slots[entry.slot].count -= 1
        self._slots = {number: slot for number, slot in self._slots.items() if slot.count}
        for slot in self._slots.values():
            slot.parked.clear()

    def _settle_if_known(self) -> None:
        if _Phase.CONNECTING not in self._phases:
            self._settled = True
        self._enter()

    def _enter(self) -> None:
        """Place the events that wait outside, if a lane may take them."""
        if self._settled and _Phase.UP in self._phases:
            entries, self._outside = self._outside, deque()
            for entry in entries:
                self.place(entry)

    def _release(self, number: int) -> None:
        for entry in self._slots.pop(number).parked:
            self.place(entry)

    def _target(self, slot: int) -> int | None:
        """Return the first lane in a slot's order that is up; None if there is none, or too early."""
        if not self._settled:
            return None
        order = self._orders.get(slot)
        if order is None:
            order = self._orders[slot] = address_order(slot, self._addresses)
        phases = self._phases
        for lane in order:
            if phases[lane] is _Phase.UP:
                return lane
        return None
