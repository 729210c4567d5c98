"""Group events of one batch that share requests. Rules 8.1, 10.3."""

import json
from itertools import pairwise
from typing import Any

import pytest
from ciosidecar_transform import BatchTransform, RequestList

from tests.unit.transform.support import (
    NOW,
    as_json,
    destination,
    group,
    identify,
    of_type,
    packed,
    request_of,
    track,
)

ENVELOPE = len('{"batch":[]}')


def covered(*events: dict[str, Any], **options: Any) -> list[list[int]]:
    """The positions of each request in order."""
    return [positions for _, positions in packed(events, **options)]


def sized(size: int, number: int = 0, letter: str = "x") -> bytes:
    """A group whose item has so many bytes as sent."""
    event = group(groupId=f"g{number:04}", userId=f"u{number:04}", traits={})
    left = size - (len(request_of(event)["raw"]) - ENVELOPE)
    traits: dict[str, str] = {}
    while left > 0:
        around = len('"k00":""') + bool(traits)
        room = min(left, 1000) - around if left >= 1100 or left <= 1000 else left // 2 - around
        count = len(letter.encode())
        traits[f"k{len(traits):02}"] = "a" * (room % count) + letter * (room // count)
        left -= room + around
    return as_json(event | {"traits": traits})


def test_10_3_groups_of_one_batch_share_a_request() -> None:
    """Items stand in input order in one request that covers all their events."""
    events = [group(groupId=f"g{number}", userId=f"u{number}") for number in range(3)]
    ((request, positions),) = packed(events)
    assert positions == [0, 1, 2]
    ids = [item["identifiers"]["object_id"] for item in request["body"]["batch"]]
    assert ids == ["g0", "g1", "g2"]
    assert request["endpoint_path"] == "v2/batch"


def test_10_3_a_shared_request_holds_what_each_would_be_alone() -> None:
    """Sharing changes nothing about an item's bytes."""
    events = [group(traits={"é": 1.0}), group(groupId="h", traits={"b": [1]})]
    ((request, _),) = packed(events)
    items = [request_of(event)["raw"][len(b'{"batch":[') : -len(b"]}")] for event in events]
    assert request["raw"] == b'{"batch":[' + b",".join(items) + b"]}"


def test_10_3_a_batch_without_groups_makes_no_shared_request() -> None:
    """There is never an empty batch, and flushing twice sends nothing twice."""
    assert packed([]) == []
    writer = RequestList()
    batch = BatchTransform(NOW, writer)
    batch.flush()
    batch.add(0, as_json(group()), destination())
    batch.flush()
    batch.flush()
    assert len(writer.requests) == 1


@pytest.mark.parametrize("letter", ["x", "é", "日"])
@pytest.mark.parametrize(("more", "counts"), [(0, [20]), (1, [19, 1])], ids=["500000", "500001"])
def test_10_3_a_body_has_500_000_bytes_at_most(more: int, counts: list[int], letter: str) -> None:
    """Bytes are counted exactly as sent, envelope and commas included."""
    sizes = [25_000] * 19 + [500_000 - ENVELOPE - 19 - 19 * 25_000 + more]
    events = [sized(size, number, letter) for number, size in enumerate(sizes)]
    requests = packed(events)
    assert [len(positions) for _, positions in requests] == counts
    bodies = [len(request["raw"]) for request, _ in requests]
    assert max(bodies) == (500_000 if not more else bodies[0])
    assert sum(bodies) == 500_000 + more + (len(bodies) - 1) * (ENVELOPE - 1)


def test_10_3_every_body_of_a_long_batch_is_within_the_limit() -> None:
    """The item that did not fit counts in the next request."""
    events = [sized(20_000 + number * 97 % 12_000, number) for number in range(100)]
    requests = packed(events)
    assert [position for _, positions in requests for position in positions] == list(range(100))
    for (request, positions), (_, following) in pairwise(requests):
        assert len(request["raw"]) <= 500_000
        next_item = len(request_of(events[following[0]])["raw"]) - ENVELOPE
        assert len(request["raw"]) + 1 + next_item > 500_000, positions


@pytest.mark.parametrize(
    ("number", "requests"), [(1000, [1000]), (1001, [1000, 1]), (2001, [1000, 1000, 1])]
)
def test_10_3_a_request_has_1000_items_at_most(number: int, requests: list[int]) -> None:
    """The 1,001st item begins another request."""
    events = [group(groupId=f"g{n}", userId=f"u{n}") for n in range(number)]
    assert [len(positions) for positions in covered(*events)] == requests


def test_10_3_destinations_do_not_share() -> None:
    """Each destination has its own request, whatever the order of the events."""
    us, eu = destination(), destination(datacenter="EU")
    requests = packed([group()] * 4, on=[us, eu, us, eu])
    assert sorted(positions for _, positions in requests) == [[0, 2], [1, 3]]
    for request, positions in requests:
        host = "track.customer.io" if 0 in positions else "track-eu.customer.io"
        assert request["url"] == f"https://{host}/api/v2/batch"


def test_10_3_a_refused_group_is_not_in_the_request() -> None:
    """A bad neighbour leaves no trace (1.4)."""
    writer = RequestList()
    batch = BatchTransform(NOW, writer)
    events: list[Any] = [group(), group(groupId=None), b"{", group(groupId="h")]
    outcomes = [
        batch.add(position, as_json(event), destination_)
        for destination_ in [destination()]
        for position, event in enumerate(events)
    ]
    batch.flush()
    assert [outcome.status for outcome in outcomes] == [200, 400, 400, 200]
    assert [positions for _, positions in writer.requests] == [[0, 3]]


def test_10_3_an_event_alone_shares_with_nobody() -> None:
    """An event that must be alone has a request of its own; the others still share."""
    events = [group(groupId=f"g{number}", userId=f"u{number}") for number in range(4)]
    assert sorted(covered(*events, alone=[1])) == [[0, 2, 3], [1]]
    assert covered(*events, alone=range(4)) == [[0], [1], [2], [3]]


def test_10_3_an_event_alone_keeps_its_persons_order() -> None:
    """What the person did before comes before it, what comes after comes after."""
    assert covered(group(), group(groupId="h"), group(), alone=[1]) == [[0], [1], [2]]


EMAIL = {"traits": {"email": "a@b.co"}}
FOLLOWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "track": (group(), track()),
    "page": (group(), of_type("page", userId="u")),
    "identify": (group(), identify()),
    "device": (
        group(),
        track(event="Application Opened", context={"device": {"token": "t", "type": "ios"}}),
    ),
    "device-delete": (
        group(),
        track(event="Application Uninstalled", context={"device": {"token": "t"}}),
    ),
    "number-and-text": (group(userId=5), track(userId="5")),
    "user-in-traits": (group(), of_type("track", traits={"id": "u"})),
    "person-in-context": (of_type("group", context={"traits": {"id": "u"}}), track()),
    "merge-primary": (group(), of_type("alias", userId="u")),
    "merge-secondary": (group(userId="old"), of_type("alias", userId="u")),
    "email": (of_type("group", context=EMAIL), of_type("track", **EMAIL)),
    "email-property": (
        of_type("group", properties={"email": "a@b.co"}),
        of_type("identify", **EMAIL),
    ),
    "email-then-its-user": (of_type("group", context=EMAIL), identify(**EMAIL)),
    "user-then-his-email": (group(context=EMAIL), of_type("track", **EMAIL)),
    "user-then-his-anonymous-id": (group(anonymousId="a"), of_type("track", anonymousId="a")),
    "anonymous-then-its-user": (
        of_type("group", anonymousId="a"),
        identify(anonymousId="a"),
    ),
    "email-in-another-case": (
        of_type("group", properties={"email": "A@B.co"}),
        of_type("track", **EMAIL),
    ),
    "own-id-beside-person": (
        of_type("group", traits={"id": "acme"}, context={"traits": {"id": "u"}}),
        track(),
    ),
    "own-id-beside-email": (
        of_type("group", traits={"id": "acme"}, context=EMAIL),
        identify(**EMAIL),
    ),
    "own-email-beside-email": (
        of_type("group", traits={"email": "acme@b.co"}, context=EMAIL),
        of_type("track", **EMAIL),
    ),
}


@pytest.mark.parametrize(("first", "then"), FOLLOWERS.values(), ids=FOLLOWERS)
def test_10_3_one_persons_events_stay_in_order(first: dict[str, Any], then: dict[str, Any]) -> None:
    """A waiting group goes out before whatever its person does next, under whichever name."""
    other = group(groupId="other", userId="somebody")
    requests = covered(first, other, then)
    order = [positions for positions in requests if set(positions) & {0, 2}]
    assert [0 in order[0], 2 in order[1]] == [True, True], requests


def test_10_3_a_group_after_an_event_comes_after_it() -> None:
    """The other way round nothing can overtake."""
    assert covered(track(), group(), group(groupId="h")) == [[0], [1, 2]]
    assert covered(group(), track(), group(groupId="h")) == [[0], [1], [2]]


def test_10_3_other_people_do_not_close_a_request() -> None:
    """Somebody else's events between two groups do not keep them apart."""
    between = [track(userId=f"v{number}") for number in range(3)]
    positions_by_request = covered(group(), *between, group(groupId="h"))
    assert max(positions_by_request, key=len) == [0, 4]


def test_10_3_items_are_json_of_their_own() -> None:
    """A shared body is one JSON object with all items, texts of any script included."""
    events = [group(groupId=f"g{n}", traits={"é\u2028": "日😀"}) for n in range(5)]
    ((request, _),) = packed(events)
    assert len(json.loads(request["raw"])["batch"]) == 5
