"""Track API v2: each event as an item of a call to /api/v2/batch. Rules 10.1, 10.2."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    NOW,
    TIME,
    TIME_S,
    body_of,
    group,
    identify,
    item_of,
    of_type,
    packed,
    refusal_of,
    request_of,
    text_of_bytes,
    track,
)

ENVELOPE = len('{"batch":[]}')
PHONE = {"device": {"token": "t/1", "type": "ios", "model": "m"}}


def item(event: dict[str, Any] | bytes, *warnings: str, **config: Any) -> Any:
    """The one item that v2 makes of a good event."""
    return item_of(event, *warnings, apiVersion="v2", **config)


@pytest.mark.parametrize(("datacenter", "host"), [("US", "track"), ("EU", "track-eu")])
@pytest.mark.parametrize(
    "event",
    [identify(), track(), of_type("page", anonymousId="a"), of_type("alias", userId="u"), group()],
    ids=lambda event: event["type"],
)
def test_10_1_everything_goes_to_v2_batch(
    event: dict[str, Any], datacenter: str, host: str
) -> None:
    """A batch of one is a batch too."""
    request = request_of(event, apiVersion="v2", datacenter=datacenter)
    assert (request["method"], request["path"]) == ("POST", "/api/v2/batch")
    assert request["url"] == f"https://{host}.customer.io/api/v2/batch"
    assert request["endpoint_path"] == "v2/batch"
    assert request["headers"]["Content-Type"] == "application/json"


def test_10_1_identify() -> None:
    """`timestamp` stands in for `_timestamp`; the rest is what v1 has."""
    event = identify(
        traits={"email": "a@b.co", "a.b": 1.0}, timestamp=TIME, anonymousId="a", messageId="m"
    )
    assert item(event) == {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": "u"},
        "attributes": {
            "email": "a@b.co",
            "a.b": 1.0,
            "created_at": TIME_S,
            "anonymous_id": "a",
        },
        "timestamp": TIME_S,
    }


def test_10_1_identify_without_a_time() -> None:
    """Nothing stands in for a time that is not there, and an object without members is one."""
    assert item(identify(), createdAtFallback="none") == {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": "u"},
        "attributes": {},
    }
    assert item(identify())["attributes"] == {"created_at": NOW}


@pytest.mark.parametrize(
    ("own", "timestamp", "warnings"),
    [
        (TIME_S, TIME_S, ()),
        (TIME, TIME_S, ()),
        ("garbage", None, ("UNUSABLE_TIME",)),
        (0, None, ("UNUSABLE_TIME",)),
    ],
)
def test_10_1_a_trait_named_timestamp_is_the_time_where_the_event_has_none(
    own: object, timestamp: int | None, warnings: tuple[str, ...]
) -> None:
    """v1 takes it as an attribute, v2 has no such attribute."""
    event = identify(traits={"_timestamp": own, "a": 1})
    sent_item = item(event, *warnings, createdAtFallback="none")
    assert (sent_item["attributes"], sent_item.get("timestamp")) == ({"a": 1}, timestamp)
    assert item(event | {"timestamp": "2025-01-01"})["timestamp"] == 1735689600


RELATED = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]


@pytest.mark.parametrize(
    "given", [RELATED, {"action": "add_relationships", "relationships": RELATED}], ids=type
)
def test_10_1_relationships_are_lifted_beside_the_attributes(given: object) -> None:
    """An array, or an object's `relationships`; v1 takes the object."""
    event = identify(traits={"cio_relationships": given, "a": 1})
    sent_item = item(event, createdAtFallback="none")
    assert (sent_item["attributes"], sent_item["cio_relationships"]) == ({"a": 1}, RELATED)
    attributes = body_of(event, createdAtFallback="none")
    written = {"action": "add_relationships", "relationships": RELATED}
    assert attributes == {"cio_relationships": written, "a": 1}


@pytest.mark.parametrize(
    "odd", [None, "acme", 5, True, {}, {"relationships": "acme"}, {"relationships": {"a": 1}}]
)
def test_10_1_what_is_no_list_of_relationships_is_left_out(odd: object) -> None:
    """With a warning; the rest of the person is sent."""
    event = identify(traits={"cio_relationships": odd, "a": 1})
    sent_item = item(event, "WRONG_TYPE", createdAtFallback="none")
    assert sent_item["attributes"] == {"a": 1}
    assert "cio_relationships" not in sent_item


def test_10_1_what_is_lifted_does_not_count_towards_the_300() -> None:
    """300 attributes beside a time and relationships are within the limit; v1 has 302."""
    traits = {f"a{number}": number for number in range(300)} | {"cio_relationships": RELATED}
    event = identify(traits=traits, timestamp=TIME)
    sent_item = item(event, createdAtFallback="none")
    assert len(sent_item["attributes"]) == 300
    of_v1 = body_of(event, "TOO_MANY_ATTRIBUTES", createdAtFallback="none")
    assert len(of_v1) == 300
    assert {"_timestamp", "cio_relationships"} <= of_v1.keys()
    event["traits"]["one_more"] = 1
    over = item(event, "TOO_MANY_ATTRIBUTES", createdAtFallback="none")
    assert "one_more" not in over["attributes"]


@pytest.mark.parametrize(
    ("event", "action", "name"),
    [
        (track(), "event", "e"),
        (of_type("page", userId="u"), "page", "e"),
        (of_type("screen", userId="u", event="s"), "screen", "Viewed s Screen"),
    ],
    ids=["track", "page", "screen"],
)
@pytest.mark.parametrize(
    ("who", "identifiers"),
    [
        ({"userId": "u"}, {"id": "u"}),
        ({"userId": "cio_0a"}, {"cio_id": "0a"}),
        ({"userId": "A@b.co"}, {"email": "A@b.co"}),
        ({"userId": None, "anonymousId": "a@b.co"}, {"anonymous_id": "a@b.co"}),
        ({"userId": None, "anonymousId": "cio_0a"}, {"anonymous_id": "cio_0a"}),
    ],
    ids=str,
)
def test_10_1_events(
    event: dict[str, Any],
    action: str,
    name: str,
    who: dict[str, Any],
    identifiers: dict[str, str],
) -> None:
    """Attributes are the properties; the id and the time are those of v1."""
    event = event | who | {"messageId": "m", "timestamp": TIME, "properties": {"a": 1.0}}
    sent_item = item(event)
    assert sent_item == {
        "type": "person",
        "action": action,
        "identifiers": identifiers,
        "name": name,
        "id": body_of(event)["id"],
        "timestamp": TIME_S,
        "attributes": {"a": 1.0},
    }


def test_10_1_properties_arrive_as_they_were_written() -> None:
    """Digits, escapes and spaces are not touched (1.3)."""
    event = b'{"type":"track","event":"e","userId":"u","properties":{ "n":1.0,"\\u00e9":[1e400] }}'
    raw = request_of(event, apiVersion="v2")["raw"]
    assert b'"attributes":{ "n":1.0,"\\u00e9":[1e400] }' in raw


def test_10_1_devices() -> None:
    """`device.token` stands in for `device.id`; a deletion has nothing but the token."""
    known = {"userId": "u", "context": PHONE}
    added = item(of_type("track", event="Application Opened", timestamp=TIME, **known))
    assert added == {
        "type": "person",
        "action": "add_device",
        "identifiers": {"id": "u"},
        "device": {
            "token": "t/1",
            "platform": "ios",
            "last_used": TIME_S,
            "attributes": {"device_model": "m"},
        },
    }
    deleted = item(of_type("track", event="Application Uninstalled", timestamp=TIME, **known))
    assert deleted == {
        "type": "person",
        "action": "delete_device",
        "identifiers": {"id": "u"},
        "device": {"token": "t/1"},
    }


@pytest.mark.parametrize(
    ("previous", "secondary"),
    [("old", {"id": "old"}), ("a@b.co", {"email": "a@b.co"}), ("cio_0a", {"cio_id": "0a"})],
)
def test_10_1_merge(previous: str, secondary: dict[str, str]) -> None:
    """Kinds of identifiers by 3.7, as in v1."""
    event = of_type("alias", userId="u", previousId=previous)
    assert item(event) == {
        "type": "person",
        "action": "merge",
        "primary": {"id": "u"},
        "secondary": secondary,
    }


def test_10_1_a_group_is_the_same_in_both_api_versions() -> None:
    """v1 has no call of its own for objects."""
    event = group(traits={"a": 1.0, "action": "delete"})
    raw = request_of(event, apiVersion="v2")["raw"]
    assert raw == request_of(event)["raw"]


@pytest.mark.parametrize("person", [".", "..", "a/b c", "ü"])
def test_10_1_nothing_is_encoded_where_there_is_no_path(person: str) -> None:
    """An id stands in the body as it is: a dot segment climbs nowhere (3.6)."""
    assert item(track(userId=person))["identifiers"] == {"id": person}


def test_10_1_an_email_of_over_150_bytes_is_refused_as_in_v1() -> None:
    """2.2 holds in both API versions."""
    long = text_of_bytes(151)
    for event in (track(userId=long), identify(userId=long), group(groupId=long)):
        assert refusal_of(event, apiVersion="v2") == "ID_TOO_LONG"


def sized(event: dict[str, Any], size: int, letter: str) -> dict[str, Any]:
    """The event with properties that make its item of so many bytes."""
    event = event | {"properties": {"p": ""}}
    raw = request_of(event, apiVersion="v2")["raw"]
    return event | {"properties": {"p": text_of_bytes(size - (len(raw) - ENVELOPE), letter)}}


EVENTS = {
    "track": (track(), "/api/v1/customers/u/events"),
    "page": (of_type("page", userId="u"), "/api/v1/customers/u/events"),
    "screen": (of_type("screen", userId="u"), "/api/v1/customers/u/events"),
    "anonymous": (of_type("track", anonymousId="a"), "/api/v1/events"),
}


@pytest.mark.parametrize("letter", ["x", "é", "日", "😀"])
@pytest.mark.parametrize(("event", "path"), EVENTS.values(), ids=EVENTS)
def test_10_2_an_event_of_more_than_32_768_bytes_goes_out_by_v1(
    event: dict[str, Any], path: str, letter: str
) -> None:
    """The item alone is measured, as sent, in UTF-8; v1 has room for 100,000 bytes of data."""
    fits = request_of(sized(event, 32_768, letter), apiVersion="v2")
    assert (fits["path"], len(fits["raw"])) == ("/api/v2/batch", 32_768 + ENVELOPE)
    large = sized(event, 32_769, letter)
    over = request_of(large, apiVersion="v2")
    assert over["path"] == path
    assert over["raw"] == request_of(large)["raw"]


def test_10_2_a_dot_segment_is_refused_where_v1_has_it_in_a_path() -> None:
    """3.6 comes back with the path."""
    assert refusal_of(sized(track(userId=".."), 32_769, "x"), apiVersion="v2") == "INVALID_ID"


@pytest.mark.parametrize("letter", ["x", "é", "日", "😀"])
def test_10_2_a_person_of_more_than_32_768_bytes_goes_out_by_v1(letter: str) -> None:
    """v1 takes more, so that no person is lost."""
    wide = {f"k{number:02}": letter * (1000 // len(letter.encode())) for number in range(31)}
    event = identify(traits=wide | {"phone": ""})
    config = {"createdAtFallback": "none"}
    rest = 32_768 + ENVELOPE - len(request_of(event, apiVersion="v2", **config)["raw"])
    event["traits"]["phone"] = text_of_bytes(rest, letter)
    assert len(request_of(event, apiVersion="v2", **config)["raw"]) == 32_768 + ENVELOPE
    event["traits"]["phone"] += "x"
    by_v1 = request_of(event, apiVersion="v2", **config)
    assert by_v1["path"] == "/api/v1/customers/u"
    assert by_v1["raw"] == request_of(event, **config)["raw"]


def test_10_2_a_device_and_a_group_that_are_too_large_are_refused() -> None:
    """Only events have another way."""
    wide = {f"k{number:02}": "x" * 1000 for number in range(40)}
    phone = of_type("track", event="Application Opened", userId="u", context=PHONE, properties=wide)
    assert refusal_of(phone, apiVersion="v2") == "TOO_LARGE"
    assert refusal_of(group(traits=wide), apiVersion="v2") == "TOO_LARGE"


def test_10_2_a_token_that_is_too_large_is_refused() -> None:
    """A token has no limit of its own (2.2)."""
    for name in ("Application Opened", "Application Uninstalled"):
        context = {"device": {"token": "t" * 33_000, "type": "ios"}}
        event = of_type("track", event=name, userId="u", context=context)
        assert refusal_of(event, apiVersion="v2") == "TOO_LARGE"


def test_10_2_a_large_event_closes_the_batch_before_it() -> None:
    """What came before it is sent before it, what came after it after it."""
    large = sized(track(userId="v"), 40_000, "x")
    events = [track(), large, track(userId="w")]
    requests = packed(events, apiVersion="v2")
    assert [positions for _, positions in requests] == [[0], [1], [2]]
    assert [request["endpoint_path"] for request, _ in requests] == [
        "v2/batch",
        "v1/customers/events",
        "v2/batch",
    ]
