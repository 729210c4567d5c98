"""Items of Track API v2 that share requests. Rule 10.3."""

import inspect
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from ciosidecar_transform import BatchTransform, RequestList, read_connection
from ciosidecar_transform.event import decode
from ciosidecar_transform.operations import DeletePerson
from ciosidecar_transform.ordering import operation_keys

from tests.unit.transform.support import (
    NOW,
    as_json,
    destination,
    group,
    identify,
    of_type,
    packed,
    request_of,
    text_of_bytes,
    track,
)

ENVELOPE = len('{"batch":[]}')
# Everything that v2 can say, by as many people under several names.
EVENTS: list[dict[str, Any]] = [
    identify(traits={"email": "a@b.co"}),
    track(),
    of_type("page", anonymousId="a"),
    of_type("screen", userId="v"),
    of_type("alias", userId="v", previousId="u"),
    group(),
    of_type(
        "track",
        event="Application Opened",
        userId="u",
        context={"device": {"token": "t", "type": "ios"}},
    ),
    of_type("track", traits={"email": "A@b.co"}),
]


def covered(*events: Any, **options: Any) -> list[list[int]]:
    """The positions of each request of v2, in order."""
    return [positions for _, positions in packed(events, apiVersion="v2", **options)]


def item_bytes(event: dict[str, Any]) -> bytes:
    """The item of an event by itself."""
    raw: bytes = request_of(event, apiVersion="v2")["raw"]
    return raw[len('{"batch":[') : -len("]}")]


def sized(size: int, number: int, letter: str = "x") -> dict[str, Any]:
    """A track of its own person whose item has so many bytes."""
    event = track(userId=f"u{number:05}", properties={"p": ""})
    room = size - len(item_bytes(event))
    return event | {"properties": {"p": text_of_bytes(room, letter)}}


def test_10_3_all_operations_share_one_request_in_input_order() -> None:
    """The n-th item is that of the n-th position: a 207 is charged to the right event."""
    ((request, positions),) = packed(EVENTS * 3, apiVersion="v2")
    assert positions == list(range(len(EVENTS) * 3))
    items = b",".join(map(item_bytes, EVENTS * 3))
    assert request["raw"] == b'{"batch":[' + items + b"]}"


def test_10_3_a_refused_event_has_no_item() -> None:
    """Positions and items stay together around it."""
    writer = RequestList()
    batch = BatchTransform(NOW, writer)
    to = destination(apiVersion="v2")
    events: list[Any] = [track(event="a"), b"{", track(event=""), track(event="b"), identify()]
    statuses = [batch.add(n, as_json(event), to).status for n, event in enumerate(events)]
    batch.flush()
    assert statuses == [200, 400, 400, 200, 200]
    ((request, positions),) = writer.requests
    assert positions == [0, 3, 4]
    names = [item.get("name") for item in json.loads(request.body)["batch"]]
    assert names == ["a", "b", None]


def test_10_3_no_event_makes_no_request() -> None:
    """There is never an empty batch."""
    assert covered() == []
    large = sized(40_000, 0)
    assert covered(large) == [[0]]
    assert covered(large, large) == [[0], [1]]


@pytest.mark.parametrize("letter", ["x", "é", "日", "😀"])
@pytest.mark.parametrize(("more", "counts"), [(0, [20]), (1, [19, 1])], ids=["500000", "500001"])
def test_10_3_a_body_has_500_000_bytes_at_most(more: int, counts: list[int], letter: str) -> None:
    """Bytes are counted exactly as sent, envelope and commas included."""
    sizes = [25_000] * 19 + [500_000 - ENVELOPE - 19 - 19 * 25_000 + more]
    events = [sized(size, number, letter) for number, size in enumerate(sizes)]
    requests = packed(events, apiVersion="v2")
    assert [len(positions) for _, positions in requests] == counts
    assert max(len(request["raw"]) for request, _ in requests) <= 500_000
    total = sum(len(request["raw"]) for request, _ in requests)
    assert total == 500_000 + more + (len(requests) - 1) * (ENVELOPE - 1)


@pytest.mark.parametrize(
    ("number", "requests"), [(1000, [1000]), (1001, [1000, 1]), (2001, [1000, 1000, 1])]
)
def test_10_3_a_request_has_1000_items_at_most(number: int, requests: list[int]) -> None:
    """The 1,001st item begins another request."""
    positions_by_request = covered(*[track(userId=f"u{n}") for n in range(number)])
    assert [len(positions) for positions in positions_by_request] == requests
    assert [position for positions in positions_by_request for position in positions] == list(
        range(number)
    )


def test_10_3_requests_are_full_before_another_begins() -> None:
    """The item that did not fit would not have fitted, and counts in the next request."""
    events = [sized(20_000 + number * 97 % 12_000, number) for number in range(100)]
    requests = packed(events, apiVersion="v2")
    assert [position for _, positions in requests for position in positions] == list(range(100))
    for (request, _), (_, following) in pairwise(requests):
        assert len(request["raw"]) <= 500_000
        assert len(request["raw"]) + 1 + len(item_bytes(events[following[0]])) > 500_000


def test_10_3_destinations_do_not_share() -> None:
    """Nor do two that are configured alike: each was declared by itself."""
    first, second = destination(apiVersion="v2"), destination(apiVersion="v2")
    requests = packed([track()] * 4, on=[first, second, first, second])
    assert sorted(positions for _, positions in requests) == [[0, 2], [1, 3]]


def test_10_3_api_versions_of_one_batch_do_not_meet() -> None:
    """A destination in v1 beside one in v2 is sent what it would be sent alone."""
    v1, v2 = destination(), destination(apiVersion="v2")
    requests = packed([track(), track(), group(), track(), track()], on=[v2, v1, v1, v2, v1])
    in_v1 = [positions for request, positions in requests if 0 not in positions]
    assert in_v1 == [[1], [2], [4]]
    assert [0, 3] in [positions for _, positions in requests]


def test_10_3_an_event_alone_has_a_request_of_its_own() -> None:
    """The others still share, unless it is their person's turn."""
    others = [track(userId=f"u{n}") for n in range(4)]
    assert sorted(covered(*others, alone=[1])) == [[0, 2, 3], [1]]
    assert covered(*others, alone=range(4)) == [[0], [1], [2], [3]]
    assert covered(track(), track(), track(), alone=[1]) == [[0], [1], [2]]


ANONYMOUS = of_type("track", anonymousId="a")
BY_EMAIL = of_type("track", traits={"email": "A@b.co"})
FOLLOWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "anonymous-then-known": (ANONYMOUS, identify(anonymousId="a")),
    "known-then-anonymous": (identify(anonymousId="a"), ANONYMOUS),
    "email-then-user": (BY_EMAIL, identify(traits={"email": "a@b.co"})),
    "user-then-email": (identify(traits={"email": "a@b.co"}), BY_EMAIL),
    "merged": (track(), of_type("alias", userId="v", previousId="u")),
    "merge-then-event": (of_type("alias", userId="v", previousId="u"), track()),
    "object": (group(userId="v"), group()),
}


@pytest.mark.parametrize(("first", "then"), FOLLOWERS.values(), ids=FOLLOWERS)
def test_10_3_an_event_alone_keeps_its_persons_order(
    first: dict[str, Any], then: dict[str, Any]
) -> None:
    """Whichever name the person goes by: what waits about them is sent before."""
    assert covered(first, track(userId="other"), then, alone=[2]) == [[0, 1], [2]]


def test_10_3_rows_of_an_audience_keep_their_persons_order_with_events() -> None:
    """Segments have a call of their own: nobody waits in two requests at once."""
    insert: dict[str, Any] = {"type": "record", "action": "insert", "identifiers": {"id": "u"}}
    other = insert | {"identifiers": {"id": "v"}}
    positions_by_request = covered(
        identify(), insert, track(), other, track(), connection={"audienceId": 7}
    )
    order = {
        position: place
        for place, positions in enumerate(positions_by_request)
        for position in positions
    }
    assert order[0] < order[1] < order[2]
    assert order[2] == order[4]


def test_10_3_looking_for_somebody_never_fails() -> None:
    """What is nested too deeply to be read where others are looked for harms no neighbour (1.4)."""
    traits = b'{"email":' * 300 + b"1" + b"}" * 300
    event, _ = decode(
        b'{"type":"track","userId":"u","traits":%b,"identifiers":%b}' % (traits, traits)
    )

    def with_stack_of(frames: int) -> set[str]:
        return (
            with_stack_of(frames - 1) if frames else set(operation_keys(DeletePerson("u"), event))
        )

    assert with_stack_of(sys.getrecursionlimit() - len(inspect.stack()) - 200) == {"u"}


def test_10_3_packing_grows_linearly() -> None:
    """A hundred times the events take about a hundred times as long."""
    to, row_of = destination(apiVersion="v2"), read_connection(b'{"audienceId": 1}')
    row = b'{"type":"record","action":"%b","identifiers":{"id":"u%d"}}'
    events = [as_json(track(userId=f"u{number}")) for number in range(20_000)]
    rows = [row % ((b"insert", b"delete")[n % 2], n) for n in range(20_000)]
    for lines in (events, rows):
        few, many = (
            min(_cpu_s(lines[:size], to, row_of) for _ in range(3)) for size in (500, 20_000)
        )
        assert many < few * 40 * 4, (few, many)


@pytest.mark.parametrize("identifiers", [b'"id":"u%d"', b'"email":"u%d@b.co"'], ids=["id", "email"])
@pytest.mark.parametrize("alone", [False, True], ids=["shared", "alone"])
def test_10_3_a_row_takes_as_many_steps_however_many_requests_are_open(
    identifiers: bytes, *, alone: bool
) -> None:
    """Each row has an audience of its own, and so an open request; a person by email may be in any of them."""
    to = destination()
    batch = BatchTransform(NOW, RequestList())
    row = b'{"type":"record","action":"insert","identifiers":{%b}}' % identifiers
    audience = (
        b'{"destination":{"audienceId":%d,"object":"audience","identifierMappings":[{"to":"%b"}]}}'
    )
    kind = b"email" if b"email" in identifiers else b"id"
    calls = []
    for number in range(1, 1_001):
        connection = read_connection(audience % (number, kind))
        is_counted = number in (10, 1_000)
        with counted_calls() as counted:
            outcome = batch.add(
                number, row % number, to, connection=connection, alone=alone and is_counted
            )
        assert outcome.status == 200
        calls += [counted[0]] * is_counted
    assert 10 < calls[0] == calls[1]
    batch.flush()


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """Count the calls of functions while the block lasts, also of those in C. They do not depend on the machine."""
    counted = [0]

    def count(_: object, event: str, __: object) -> None:
        counted[0] += event.endswith("call")

    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(None)


def _cpu_s(lines: list[bytes], to: Any, row_of: Any) -> float:
    start = time.process_time()
    batch = BatchTransform(NOW, RequestList())
    for position, line in enumerate(lines):
        assert batch.add(position, line, to, connection=row_of).status == 200
    batch.flush()
    return time.process_time() - start
