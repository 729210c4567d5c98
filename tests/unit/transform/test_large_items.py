"""Items of more than 32,768 bytes in v2. Rules 10.1, 10.2."""

import json
from typing import Any

import pytest

from .api_versions import PERSON
from .support import identify, of_type, packed, refusal_of, request_of, row, sent, track

V2: dict[str, Any] = {"apiVersion": "v2", "createdAtFallback": "none"}
MAX = 32_768
LETTERS = ["x", "é", "日", "😀"]
ACME = {"identifiers": {"object_type_id": "1", "object_id": "acme"}}


def traits_of(size: int, letter: str = "x") -> dict[str, str]:
    """Attributes of about so many bytes, none of them over 1,000."""
    width = len(letter.encode())
    each = 990 // width * width
    count = size // (each + 10)
    return {f"t{n:03}": letter * (each // width) for n in range(count)}


def item_bytes(request: dict[str, Any]) -> int:
    """Bytes of the one item of a batch."""
    return len(request["raw"]) - len(b'{"batch":[]}')


def filled(
    event: dict[str, Any], place: str, size: int, letter: str, **config: Any
) -> dict[str, Any]:
    """The event, with texts in a member so that its item of a batch has exactly so many bytes."""
    traits = traits_of(size - 1500, letter) | {"z1": "", "z2": ""}
    event = event | {place: event.get(place, {}) | traits}
    missing = size - item_bytes(request_of(event, **V2 | config))
    event[place] |= {"z1": "y" * (missing // 2), "z2": "y" * (missing - missing // 2)}
    return event


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize(
    ("event", "place", "config", "method", "path"),
    [
        (identify(), "traits", {}, "PUT", "/api/v1/customers/u"),
        (identify(userId="cio_abc"), "traits", {}, "PUT", "/api/v1/customers/cio_abc"),
        (identify(userId="a@b.co"), "user_properties", {}, "PUT", "/api/v1/customers/a%40b.co"),
        (row(id="u"), "identifiers", {"connection": PERSON}, "PUT", "/api/v1/customers/u"),
        (
            row(cio_id="abc"),
            "identifiers",
            {"connection": PERSON},
            "PUT",
            "/api/v1/customers/cio_abc",
        ),
        (
            row(email="a@b.co"),
            "identifiers",
            {"connection": PERSON},
            "PUT",
            "/api/v1/customers/a%40b.co",
        ),
        (track(), "properties", {}, "POST", "/api/v1/customers/u/events"),
        (track(userId="cio_abc"), "properties", {}, "POST", "/api/v1/customers/cio_abc/events"),
        (of_type("page", userId="u"), "properties", {}, "POST", "/api/v1/customers/u/events"),
        (of_type("screen", userId="u"), "properties", {}, "POST", "/api/v1/customers/u/events"),
        (of_type("track", anonymousId="a"), "properties", {}, "POST", "/api/v1/events"),
        (
            row(id="u", name="Paid"),
            "identifiers",
            {"connection": {"object": "event"}},
            "POST",
            "/api/v1/customers/u/events",
        ),
    ],
)
def test_10_2_over_32_768_bytes_it_goes_out_by_its_v1_endpoint(
    event: dict[str, Any], place: str, config: dict[str, Any], method: str, path: str, letter: str
) -> None:
    """As v1 would send it, byte for byte; at 32,768 it is an item."""
    fitting = filled(event, place, MAX, letter, **config)
    request = request_of(fitting, **V2 | config)
    assert item_bytes(request) == MAX
    fitting[place]["z1"] += "y"
    request = request_of(fitting, **V2 | config)
    assert (request["method"], request["path"]) == (method, path)
    assert request == request_of(fitting, **V2 | config | {"apiVersion": "v1"})


def test_10_2_the_item_alone_is_measured() -> None:
    """Neither the batch around it nor its neighbours."""
    large = filled(identify(), "traits", MAX, "x")
    ((request, covered),) = packed([track(), large, track()], **V2)
    assert covered == [0, 1, 2]
    assert len(request["raw"]) > MAX


def test_10_2_lifted_relationships_are_bytes_of_the_item() -> None:
    """As sent: beside the attributes they count too, and in v1 they go along."""
    listed = [
        {"identifiers": {"object_type_id": "1", "object_id": f"{n:0100}"}} for n in range(300)
    ]
    event = identify(traits={"cio_relationships": listed, "plan": "pro"})
    request = request_of(event, **V2)
    assert request["path"] == "/api/v1/customers/u"
    added = {"action": "add_relationships", "relationships": listed}
    assert request["body"] == {"plan": "pro", "cio_relationships": added}


def test_10_1_the_time_is_an_attribute_again_in_v1() -> None:
    """`_timestamp` in place of the item's `timestamp`, whatever it came from."""
    event = identify(timestamp="2024-01-02", traits=traits_of(40_000))
    assert request_of(event, **V2)["body"]["_timestamp"] == 1704153600
    event = identify(traits=traits_of(40_000) | {"_timestamp": 1704153600})
    assert request_of(event, **V2)["body"]["_timestamp"] == 1704153600


@pytest.mark.parametrize(
    ("config", "event"),
    [
        ({"userIdIdentifierType": "id"}, {"userId": "a@b.co"}),
        ({"userIdIdentifierType": "id"}, {"userId": "cio_abc"}),
        ({"userIdIdentifierType": "phone"}, {"userId": "+15551234567"}),
        ({"phoneAsIdentifier": True}, {"context": {"traits": {"phone": "+15551234567"}}}),
        (
            {"userIdIdentifierType": "cio_id", "identifyFallback": "anonymousId"},
            {"anonymousId": "cio_abc"},
        ),
    ],
)
@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen"])
def test_10_2_where_v1_would_reach_somebody_else_it_is_too_large(
    kind: str, config: dict[str, Any], event: dict[str, Any]
) -> None:
    """A phone number; an id that looks like an email or a cio_id. At 32,768 it is an item."""
    if kind != "identify" and "anonymousId" in event:
        return  # an anonymous event is addressed by a member of its body
    place = "user_properties" if kind == "identify" else "properties"
    fitting = filled(of_type(kind, **event), place, MAX, "x", **config)
    assert item_bytes(request_of(fitting, **V2 | config)) == MAX
    fitting[place]["z1"] += "y"
    assert refusal_of(fitting, **V2 | config) == "TOO_LARGE"


@pytest.mark.parametrize(
    ("kind", "user_id", "path"),
    [("id", "u", "u"), ("email", "a@b.co", "a%40b.co"), ("cio_id", "abc", "cio_abc")],
)
def test_10_2_a_kind_that_the_path_shows_goes_out_by_v1(kind: str, user_id: str, path: str) -> None:
    """Rule 3.8: a cio_id is written `cio_…`."""
    event = identify(userId=user_id, traits=traits_of(40_000))
    request = request_of(event, userIdIdentifierType=kind, **V2)
    assert request["path"] == f"/api/v1/customers/{path}"


def test_10_2_an_anonymous_event_needs_no_path() -> None:
    """Whatever its anonymous id looks like."""
    properties = {"long": "x" * 40_000}
    for anonymous_id in ("cio_abc", "a@b.co", "+15551234567"):
        event = of_type("track", anonymousId=anonymous_id, properties=properties)
        body = request_of(event, userIdIdentifierType="id", **V2)["body"]
        assert body["anonymous_id"] == anonymous_id


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_10_2_anything_else_is_too_large(api_version: str) -> None:
    """An object in both API versions (8.4); a device in v2."""
    group = of_type("group", userId="u", traits=traits_of(40_000))
    assert refusal_of(group, apiVersion=api_version) == "TOO_LARGE"
    device = {"device": {"token": "t", "type": "ios"}}
    event = track(event="Application Opened", context=device, properties=traits_of(40_000))
    outcome, _ = sent(event, apiVersion=api_version)
    assert outcome.status == (200 if api_version == "v1" else 400)


def test_3_6_an_id_that_no_path_can_have_has_no_v1_endpoint() -> None:
    """A dot segment would reach somebody else."""
    for user_id in (".", ".."):
        assert refusal_of(identify(userId=user_id, traits=traits_of(40_000)), **V2) == "INVALID_ID"
        assert request_of(identify(userId=user_id), **V2)["path"] == "/api/v2/batch"


def test_5_7_an_event_of_over_100_000_bytes_is_too_large_in_both() -> None:
    """v1 takes no more either."""
    for api_version in ("v1", "v2"):
        event = track(properties={"long": "x" * 100_001})
        assert refusal_of(event, apiVersion=api_version) == "TOO_LARGE"


def test_4_9_a_warning_is_given_once_when_an_identify_leaves_the_batch() -> None:
    """Too many attributes, counted in the API version that sends them."""
    traits = {f"t{n:03}": "x" * 150 for n in range(310)}
    request = request_of(identify(traits=traits), "TOO_MANY_ATTRIBUTES", **V2)
    assert request["path"] == "/api/v1/customers/u"
    assert len(request["body"]) == 300


def test_4_9_attributes_that_v1_has_no_room_for_warn_there() -> None:
    """300 beside the item's `timestamp` are 301 with `_timestamp`; reserved names stay."""
    traits = {f"t{n:03}": "x" * 150 for n in range(300)}
    event = identify(traits=traits, timestamp="2024-01-02")
    request = request_of(event, "TOO_MANY_ATTRIBUTES", **V2)
    assert len(request["body"]) == 300
    assert request["body"]["_timestamp"] == 1704153600


def test_10_2_it_closes_the_batch_before_it() -> None:
    """Everybody's: input order is kept (10.3), and what follows is in the next one."""
    large = identify(userId="v", traits=traits_of(40_000))
    events = [track(), identify(userId="v"), large, track(userId="v"), track()]
    requests = packed(events, **V2)
    assert [covered for _, covered in requests] == [[0, 1], [2], [3, 4]]
    assert [request["endpoint_path"] for request, _ in requests] == [
        "v2/batch",
        "v1/customers",
        "v2/batch",
    ]


@pytest.mark.parametrize(
    "leaving",
    [
        identify(userId="v", traits=traits_of(40_000)),
        identify(
            userId="v",
            traits={
                "cio_relationships": {"action": "delete_relationships", "relationships": [ACME]}
            },
        ),
        track(userId="v", properties={"long": "x" * 40_000}),
        of_type("track", anonymousId="a", properties={"long": "x" * 40_000}),
    ],
)
def test_10_2_whatever_leaves_the_batch_closes_it(leaving: dict[str, Any]) -> None:
    """First in a batch of events, last, and twice in a row."""
    covered = [
        positions for _, positions in packed([leaving, track(), leaving, leaving, track()], **V2)
    ]
    assert covered == [[0], [1], [2], [3], [4]]


def test_10_2_a_large_row_closes_the_batch_too() -> None:
    """A person's row."""
    rows = [row(id="v"), row(id="v", **traits_of(40_000)), row("delete", id="v")]
    requests = packed(rows, connection=PERSON, apiVersion="v2")
    assert [covered for _, covered in requests] == [[0], [1], [2]]
    assert [request["endpoint_path"] for request, _ in requests] == [
        "v2/batch",
        "v1/customers",
        "v2/batch",
    ]


def test_10_3_a_batch_of_many_people_in_which_one_is_large_keeps_everyone_s_order() -> None:
    """Every person's events stand in the requests in the order in which they came."""
    people = [f"p{n}" for n in range(7)]
    events = []
    for turn in range(30):
        person = people[turn % 7]
        size = 40_000 if turn % 11 == 5 else 100
        events.append(identify(userId=person, traits={"turn": turn} | traits_of(size)))
        events.append(track(userId=person, properties={"turn": turn}))
    order = [position for _, covered in packed(events, **V2) for position in covered]
    assert sorted(order) == list(range(60))
    for person in people:
        positions = [position for position in order if events[position]["userId"] == person]
        assert positions == sorted(positions)


def test_10_2_what_is_sent_by_v1_is_json_as_ever() -> None:
    """Digits and escapes stay (1.3)."""
    raw = b'{"type":"identify","userId":"u","traits":{"n":12345678901234567890,"f":1.0,'
    raw += json.dumps(traits_of(40_000)).encode()[1:-1] + b"}}"
    assert b'"n":12345678901234567890,"f":1.0,' in request_of(raw, **V2)["raw"]
