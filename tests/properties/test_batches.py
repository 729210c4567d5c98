"""Batches of any size, in any interleaving, hold what single events become, in each person's order."""

from typing import Any

from ciosidecar_transform import ErrorCode, Outcome, Request
from ciosidecar_transform.requests import BatchTemplate
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct
from msgspec.json import Decoder

from .examples import examples
from .settings import CONNECTIONS, usable_configs
from .strategies import EVENTS, Member, as_json, event_members
from .transformed import batched, destination_of, transformed, wire

CONFIGS = usable_configs()
Item = tuple[Any, ...]


class _Shared(Struct):
    batch: list[Raw] = []
    ids: list[Raw] = []


_shared = Decoder(_Shared).decode


def unshared(requests: list[tuple[Request, list[int]]]) -> list[tuple[int, Item]]:
    """Return each event's own part of the requests with its position, in the order of sending."""
    found = []
    for request, positions in requests:
        method, url, path, headers, body = wire(request)
        if not isinstance(request.template, BatchTemplate):
            (position,) = positions
            found.append((position, (method, url, path, headers, body)))
            continue
        shared = _shared(body)
        items = shared.batch or shared.ids
        assert 1 <= len(items) == len(positions) <= 1000
        assert len(body) <= 500_000
        assert positions == sorted(positions)
        found += [
            (position, (method, url, path, headers, bytes(item)))
            for position, item in zip(positions, items, strict=True)
        ]
    return found


def _singly(
    events: list[bytes], destination: Any, connection: bytes
) -> tuple[list[Outcome], dict[int, Item]]:
    outcomes, items = [], {}
    for position, event in enumerate(events):
        outcome, requests = transformed(event, destination, connection)
        outcomes.append(outcome)
        for _, item in unshared([(request, [0]) for request in requests]):
            assert position not in items
            items[position] = item
    return outcomes, items


@examples(80)
@given(
    events=st.lists(EVENTS, min_size=1, max_size=6),
    copies=st.sampled_from([1, 1, 2, 17, 200]),
    config=CONFIGS,
    connection=CONNECTIONS,
    alone=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_10_3_batches_give_what_single_events_give(
    events: list[bytes], copies: int, config: bytes, connection: bytes, alone: list[bool]
) -> None:
    """Each event once, in requests within the limits; one person's events stay in order."""
    destination = destination_of(config)
    if destination is None:
        return
    outcomes, items = _singly(events, destination, connection)
    many = events * copies
    marks = [alone[position % len(events)] for position in range(len(many))]
    all_outcomes, requests = batched(many, [destination], connection, marks)
    assert all_outcomes == outcomes * copies
    found = unshared(requests)
    wanted = {
        position: items[position % len(events)]
        for position in range(len(many))
        if position % len(events) in items
    }
    assert dict(found) == wanted
    assert len(found) == len(wanted)
    # The same event is of the same person: its copies stay in order.
    for number in range(len(events)):
        copies_of_it = [position for position, _ in found if position % len(events) == number]
        assert copies_of_it == sorted(copies_of_it)


def _of(user: str, members: list[Member]) -> bytes:
    """Return an event of a user: nothing in it names the user otherwise."""
    kept = [member for member in members if member.name not in ("userId", "type", "context")]
    kind = next(member for member in members if member.name == "type")
    if kind.value.strip('"').lower() == "record":
        kind = Member("type", '"identify"')
    return as_json([kind, *kept, Member("userId", f'"{user}"')])


@examples(100)
@given(
    mine=st.lists(event_members(), min_size=3, max_size=6),
    others=st.lists(event_members(), min_size=1, max_size=3),
    order=st.lists(st.booleans(), min_size=8, max_size=8),
    config=CONFIGS,
    connection=CONNECTIONS,
)
def test_other_people_do_not_change_a_persons_requests(
    mine: list[list[Member]],
    others: list[list[Member]],
    order: list[bool],
    config: bytes,
    connection: bytes,
) -> None:
    """In any interleaving a person's requests are the same, in the same order, as without the others."""
    destination = destination_of(config)
    if destination is None:
        return
    own, foreign = [_of("u-1", members) for members in mine], [as_json(one) for one in others]
    outcomes, alone = batched(own, [destination], connection)
    assert all(
        outcome.error is None or outcome.error.code is not ErrorCode.INTERNAL
        for outcome in outcomes
    )
    events: list[bytes] = []
    positions: list[int] = []
    for is_mine in order:
        source = own if is_mine else foreign
        done = len(positions) if is_mine else len(events) - len(positions)
        if done < len(source):
            if is_mine:
                positions.append(len(events))
            events.append(source[done])
    for event in own[len(positions) :]:
        positions.append(len(events))
        events.append(event)
    together, requests = batched(events, [destination], connection)
    assert [together[position] for position in positions] == outcomes
    numbers = {position: number for number, position in enumerate(positions)}
    found = [
        (numbers[position], item) for position, item in unshared(requests) if position in numbers
    ]
    assert found == unshared(alone)
    assert [number for number, _ in found] == sorted(number for number, _ in found)
