"""Routing by person, without I/O: whatever happens to the sidecars, no event overtakes another of its slot."""

import random
from typing import NamedTuple

import pytest
from ciosidecar import Destination, v1
from ciosidecar._affinity_router import AffinityRouter
from ciosidecar._answer_queue import AnswerQueue, Entry
from ciosidecar._outstanding import OutstandingEvents, _compact
from ciosidecar.affinity import SLOTS, address_order
from ciosidecar.events import outgoing_of

ADDRESSES = ["10.0.0.1:50550", "10.0.0.2:50550", "10.0.0.3:50550"]
EVENT = outgoing_of(b"{}", Destination(b"{}"))


class Flight(NamedTuple):
    """A batch that a sidecar has, and the positions that are not answered yet."""

    batch_id: int
    entries: list[Entry]
    unanswered: list[int]


class Fleet:
    """Sidecars as a stream sees them, moved by a test."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.chance = chance or random.Random(0)
        self.answers = AnswerQueue()
        self.lanes = [
            OutstandingEvents(
                self.answers, max_batch_events=3, max_batch_bytes=1 << 20, moves_events=True
            )
            for _ in ADDRESSES
        ]
        self.router = AffinityRouter(ADDRESSES, self.lanes, lambda _lane: None)
        self.up: set[int] = set()
        self.tried: set[int] = set()
        self.flights: list[list[Flight]] = [[] for _ in ADDRESSES]
        # By slot, an event that the sidecar returned since the lane's call began.
        self.returned: list[dict[int, v1.ItemRef]] = [{} for _ in ADDRESSES]
        self.unanswered: dict[int, list[Entry]] = {}
        self.sent: list[list[Entry]] = [[] for _ in ADDRESSES]

    def add(self, slot: int) -> Entry:
        """Send an event of a slot."""
        entry = self.answers.add(EVENT, None, slot)
        self.unanswered.setdefault(slot, []).append(entry)
        self.router.place(entry)
        return entry

    def open(self, lane: int) -> None:
        """Connect a lane."""
        if lane in self.tried:
            self.lose(lane)
        self.tried.add(lane)
        self.up.add(lane)
        self.lanes[lane].connect(v1.Limits(max_batch_events=3, max_destinations=9))
        self.router.opened(lane)

    def drain(self, lane: int) -> None:
        """Let a sidecar take no more."""
        self.up.discard(lane)
        self.router.draining(lane)

    def lose(self, lane: int) -> None:
        """End the connection of a lane."""
        self.up.discard(lane)
        self.tried.add(lane)
        self.flights[lane], self.sent[lane], self.returned[lane] = [], [], {}
        self.router.lost(lane)

    def send(self, lane: int) -> None:
        """Send the next batch of a lane, and check that nothing in it overtakes an older event."""
        taken = self.lanes[lane].take_messages()
        if not taken:
            return
        number = taken[-1].batch.batch_id
        entries = self.lanes[lane]._sent[number]
        for entry in entries:
            for older in self.unanswered[entry.slot]:
                if older is entry:
                    break
                assert older in self.sent[lane], "an event overtakes an older one of its slot"
            self.sent[lane].append(entry)
        self.flights[lane].append(Flight(number, entries, list(range(len(entries)))))

    def answer(self, lane: int, *, drains: bool = False, whole: bool = False) -> None:
        """Answer some events of the oldest batch, or all. A sidecar that drains returns some of them."""
        if not self.flights[lane]:
            return
        batch_id, entries, unanswered = self.flights[lane][0]
        count = len(unanswered) if whole else self.chance.randint(1, len(unanswered))
        results = v1.Results(batch_id=batch_id, positions=unanswered[:count])
        del unanswered[:count]
        for position in results.positions:
            entry = entries[position]
            self.sent[lane].remove(entry)
            blocked_by = self.returned[lane].get(entry.slot)
            if blocked_by is None and not (drains and self.chance.random() < 0.5):
                self.unanswered[entry.slot].remove(entry)
                results.statuses.append(200)
                continue
            results.statuses.append(503)
            error = results.details.add(position=position).error
            error.code = v1.ErrorCode.ERROR_CODE_BLOCKED
            if blocked_by is not None:
                error.blocked_by.CopyFrom(blocked_by)
            else:
                error.code = v1.ErrorCode.ERROR_CODE_DRAINING
                self.up.discard(lane)
                self.returned[lane][entry.slot] = v1.ItemRef(batch_id=batch_id, position=position)
        if not unanswered:
            results.batch_complete = True
            del self.flights[lane][0]
        answered, returned = self.lanes[lane].answer(results)
        self.router.answered(answered)
        if returned:
            self.router.returned(lane, returned)


@pytest.mark.parametrize("seed", range(300))
def test_no_event_overtakes_another_and_none_is_lost(seed: int) -> None:
    """Sidecars open, drain and die at random; then each event was answered once, in the order of its slot."""
    chance = random.Random(seed)
    fleet = Fleet(chance)
    for _ in range(400):
        lane = chance.randrange(len(ADDRESSES))
        step = chance.choices("asrodltb", weights=(12, 8, 8, 2, 0.5, 0.7, 0.1, 0.5))[0]
        if step == "a":
            fleet.add(chance.randrange(6))
        elif step == "s" and lane in fleet.up:
            fleet.send(lane)
        elif step == "r":
            fleet.answer(lane)
        elif step == "o" and lane not in fleet.up:
            fleet.open(lane)
        elif step == "d" and lane in fleet.up:
            fleet.drain(lane)
        elif step == "b":
            fleet.answer(lane, drains=True)
        elif step == "l":
            fleet.lose(lane)
        elif step == "t":
            fleet.router.settle()
    for lane in range(len(ADDRESSES)):
        fleet.lose(lane)
    fleet.open(1)
    while any(fleet.unanswered.values()):
        fleet.send(1)
        assert fleet.flights[1], "an event is never sent"
        fleet.answer(1)
    assert not fleet.router._slots
    assert not fleet.router.holds_events
    results = [answer.result for answer in fleet.answers.take()]
    assert [result.position for result in results] == list(range(fleet.answers._next_position))
    assert {result.status for result in results} == {200}


def test_only_the_slots_of_a_lost_sidecar_move() -> None:
    """About a third of the slots, and each to the next in its order; back again when it returns."""
    fleet = Fleet()
    for lane in range(3):
        fleet.open(lane)
    before = [fleet.router._target(slot) for slot in range(SLOTS)]
    fleet.lose(0)
    while_lost = [fleet.router._target(slot) for slot in range(SLOTS)]
    moved = [slot for slot in range(SLOTS) if before[slot] != while_lost[slot]]
    assert moved == [slot for slot in range(SLOTS) if before[slot] == 0]
    assert 0.31 < len(moved) / SLOTS < 0.36
    assert all(while_lost[slot] == address_order(slot, ADDRESSES)[1] for slot in moved)
    assert 0.45 < sum(while_lost[slot] == 1 for slot in moved) / len(moved) < 0.55
    fleet.open(0)
    assert [fleet.router._target(slot) for slot in range(SLOTS)] == before


def test_a_person_returns_once_the_substitute_has_answered() -> None:
    """Newer events wait for those on the substitute, and nobody else's do."""
    fleet = Fleet()
    for lane in range(3):
        fleet.open(lane)
    home = address_order(0, ADDRESSES)[0]
    substitute = address_order(0, ADDRESSES)[1]
    other = next(
        slot for slot in range(SLOTS) if address_order(slot, ADDRESSES)[0] == home and slot
    )
    fleet.lose(home)
    fleet.add(0)
    fleet.send(substitute)
    fleet.open(home)
    fleet.add(0)
    fleet.add(other)
    fleet.send(home)
    assert [entry.slot for entry in fleet.sent[home]] == [other]
    fleet.answer(substitute, whole=True)
    fleet.send(home)
    assert [entry.slot for entry in fleet.sent[home]] == [other, 0]


def test_behind_a_drain_only_the_persons_with_sent_events_wait() -> None:
    """A draining sidecar still answers what it has. Others of its persons move at once."""
    fleet = Fleet()
    for lane in range(3):
        fleet.open(lane)
    home = address_order(0, ADDRESSES)[0]
    other = next(slot for slot in range(1, SLOTS) if address_order(slot, ADDRESSES)[0] == home)
    fleet.add(0)
    fleet.send(home)
    fleet.add(0)
    fleet.add(other)
    fleet.drain(home)
    assert not fleet.lanes[home].waiting
    waiting = [entry.slot for lane in fleet.lanes for entry in lane._waiting]
    assert waiting == [other]
    fleet.answer(home, whole=True)
    waiting = [entry.slot for lane in fleet.lanes for entry in lane._waiting]
    assert sorted(waiting) == [0, other]


@pytest.mark.parametrize("positions", [[1, 7, 3], [4, 5, 6], [4, 6, 5, 7], [3, 1], [9], []])
def test_a_batch_knows_the_position_of_each_event(positions: list[int]) -> None:
    """The last position may be right by chance: events of other lanes join a lane in any order."""
    assert list(_compact(positions)) == positions
