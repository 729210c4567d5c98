"""Defects of today's transform, by their row in the list of them: none is reproduced here."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    NOW,
    TIME,
    attributes_of,
    body_of,
    group,
    identify,
    item_of,
    of_type,
    packed,
    refusal_of,
    request_of,
    sent,
    track,
)


def test_row_1_groups_of_eu_workspaces_stay_in_the_eu() -> None:
    """A group's batch goes to the region's own host (8.1)."""
    url = request_of(group(), datacenter="EU")["url"]
    assert url == "https://track-eu.customer.io/api/v2/batch"


def test_row_3_a_large_first_group_makes_no_empty_batch() -> None:
    """There is no request without items (10.3), and half a megabyte in one trait is cut (4.9)."""
    large = group(traits={"k": "x" * 500_000})
    request = request_of(large, "TEXT_CUT")
    assert len(request["body"]["batch"]) == 1
    many = group(traits={f"k{number}": "x" * 1000 for number in range(290)})
    assert refusal_of(many) == "TOO_LARGE"


def test_row_4_the_item_that_did_not_fit_is_counted() -> None:
    """No request of a long batch has more than 500,000 bytes (10.3)."""
    traits = {f"k{number}": "x" * 1000 for number in range(30)}
    requests = packed([group(groupId=f"g{n}", userId=f"u{n}", traits=traits) for n in range(100)])
    assert [len(positions) for _, positions in requests] == [16] * 6 + [4]
    assert max(len(request["raw"]) for request, _ in requests) <= 500_000


def test_row_3_a_large_first_event_makes_no_empty_batch_in_v2() -> None:
    """It goes out by v1, alone, and nothing else is sent before it (10.2)."""
    requests = packed([track(properties={"p": "x" * 90_000}), track()], apiVersion="v2")
    assert [request["endpoint_path"] for request, _ in requests] == [
        "v1/customers/events",
        "v2/batch",
    ]
    assert [positions for _, positions in requests] == [[0], [1]]


def test_row_4_the_event_that_did_not_fit_is_counted_in_v2() -> None:
    """No request of a long batch has more than 500,000 bytes (10.3)."""
    events = [track(userId=f"u{n}", properties={"p": "x" * 30_000}) for n in range(100)]
    requests = packed(events, apiVersion="v2")
    assert [len(positions) for _, positions in requests] == [16] * 6 + [4]
    assert max(len(request["raw"]) for request, _ in requests) <= 500_000


@pytest.mark.parametrize("kind", ["page", "screen", "track"])
def test_row_5_an_event_without_a_name_is_no_device_event(kind: str) -> None:
    """An absent name does not equal an absent setting (5.5, 6.1)."""
    context = {"device": {"token": "t", "type": "ios"}}
    event = {"type": kind, "userId": "u", "properties": {"a": 1}, "context": context}
    assert refusal_of(event) == "MISSING_EVENT_NAME"
    assert refusal_of(event, deviceTokenEventName=None) == "MISSING_EVENT_NAME"


def test_row_7_a_device_without_a_time_has_no_last_used() -> None:
    """last_used is left out, not null (6.3)."""
    context = {"device": {"token": "t", "type": "ios"}}
    body = body_of(track(event="Application Opened", context=context))
    assert "last_used" not in body["device"]


def test_row_8_an_unparseable_date_is_no_null() -> None:
    """A createdAt that cannot be read is left out with a warning (2.4, 4.5)."""
    assert body_of(identify(traits={"createdAt": "garbage"}), "UNUSABLE_TIME") == {}


def test_row_9_epoch_seconds_are_seconds() -> None:
    """The unit of a number follows from its size (2.4)."""
    assert body_of(identify(traits={"createdAt": 1400687660})) == {"created_at": 1400687660}


def test_row_10_epoch_seconds_as_text_are_seconds() -> None:
    """Digits are a number, and a short number is no year (2.4)."""
    event = identify(traits={"createdAt": "1400687660"}, timestamp="1")
    assert body_of(event, "UNUSABLE_TIME") == {"created_at": 1400687660}


def test_row_2_an_error_of_one_item_is_charged_to_its_own_event() -> None:
    """Positions are in the order of the items, whatever the order of anything else (10.3)."""
    events = [track(event=name, messageId=f"m{9 - n}") for n, name in enumerate(("a", "b", "c"))]
    ((request, positions),) = packed(events, apiVersion="v2")
    assert [item["name"] for item in request["body"]["batch"]] == ["a", "b", "c"]
    assert positions == [0, 1, 2]


@pytest.mark.parametrize("config", [{}, {"deviceTokenEventName": None}], ids=str)
def test_row_6_a_device_event_has_a_name_in_v2_too(config: dict[str, Any]) -> None:
    """A track without one is refused, whatever device it comes from (5.5, 6.1)."""
    event = {"type": "track", "userId": "u", "context": {"device": {"token": "t", "type": "ios"}}}
    assert refusal_of(event, apiVersion="v2", **config) == "MISSING_EVENT_NAME"


NAMES: dict[str, dict[str, Any]] = {
    "row-11-deep-dots": {"a.b.c": "V"},
    "row-12-numeric-piece": {"a.b.3": "V", "a.b.1000000": 1},
    "row-13-integers": {"007": "a", "1e3": "b", "0x10": "c", "1.0": "d", " 5 ": "e"},
    "row-14-backslashes": {"a\\b": 1, "c\\": 2, "d\\.e": 3},
    "row-15-slash-and-dot": {"x.y/z": 1},
    "row-16-unsafe-names": {"constructor": 1, "prototype": 2, "__proto__": 3},
    "row-17-nested-beside-dotted": {"a": {"b": 1}, "a.b": 2, "x.y": 5, "x.y.z": 6},
}


@pytest.mark.parametrize("traits", NAMES.values(), ids=NAMES)
def test_rows_11_to_17_trait_names_are_kept(traits: dict[str, Any]) -> None:
    """Every trait is an attribute under its own name (4.2)."""
    assert attributes_of(identify(traits=traits)) == traits
    assert attributes_of(identify(context={"traits": traits})) == traits


@pytest.mark.parametrize("odd", [False, 0])
def test_row_18_odd_traits_give_way_as_a_whole(odd: object) -> None:
    """All of context.traits is in use then, with a warning (4.1)."""
    event = identify(traits=odd, context={"traits": {"b": 2, "address": {"city": "C"}}})
    assert attributes_of(event, "WRONG_TYPE") == {"b": 2, "city": "C"}


def test_row_19_numeric_alias_ids_are_ids() -> None:
    """A number is a usable id (2.1)."""
    body = body_of({"type": "alias", "userId": 5, "previousId": "p"})
    assert body == {"primary": {"id": "5"}, "secondary": {"id": "p"}}


def test_row_20_a_lone_surrogate_in_an_id_is_repaired() -> None:
    """It becomes U+FFFD with a warning (1.1)."""
    event = b'{"type":"track","event":"E","userId":"\\ud800"}'
    request = request_of(event, "LONE_SURROGATE")
    assert request["path"] == "/api/v1/customers/%EF%BF%BD/events"


@pytest.mark.parametrize(
    "who", [{"anonymousId": "an"}, {"userId": "u"}], ids=["anonymous", "known"]
)
def test_row_21_a_screen_with_a_number_for_a_name_is_refused(who: dict[str, str]) -> None:
    """A name is a text, for everybody (5.5)."""
    assert refusal_of({"type": "screen", "event": 5, **who}) == "MISSING_EVENT_NAME"


def test_row_22_a_screen_is_never_undefined() -> None:
    """A screen's name is looked for in all three places (5.4)."""
    assert body_of({"type": "screen", "userId": "u", "name": "N"})["name"] == "Viewed N Screen"
    assert refusal_of({"type": "screen", "userId": "u"}) == "MISSING_EVENT_NAME"


def test_row_23_a_page_is_never_null() -> None:
    """A url of null is no name (5.3, 5.5)."""
    event = {"type": "page", "userId": "u", "properties": {"url": None}}
    assert refusal_of(event) == "MISSING_EVENT_NAME"


@pytest.mark.parametrize("odd", [["a/b c"], {"a": 1}, True], ids=repr)
def test_row_24_ids_of_another_type_are_refused(odd: object) -> None:
    """No array ends up in a URL (2.1)."""
    assert refusal_of({"type": "track", "event": "E", "userId": odd}) == "INVALID_ID"


def test_row_25_a_foreign_external_id_is_nobody() -> None:
    """Only an external id that is an email names a person (3.2); else the anonymous profile is meant."""
    external = [{"type": "someOtherTool", "id": "X9"}]
    event = of_type("track", anonymousId="an", context={"externalId": external})
    assert body_of(event)["anonymous_id"] == "an"


def test_row_26_a_foreign_external_id_is_no_email() -> None:
    """The anonymous profile is meant in v2 as in v1 (3.2)."""
    external = [{"type": "someOtherTool", "id": "X9"}]
    event = of_type("track", anonymousId="an", context={"externalId": external})
    assert item_of(event, apiVersion="v2")["identifiers"] == {"anonymous_id": "an"}


@pytest.mark.parametrize("name", ["userId", "id"])
def test_row_27_a_user_id_in_the_traits_is_one(name: str) -> None:
    """Both API versions look for people in the same places (3.1)."""
    event = of_type("track", traits={name: "tu"})
    assert item_of(event, apiVersion="v2")["identifiers"] == {"id": "tu"}


@pytest.mark.parametrize("kind", ["Identify", "IDENTIFY"])
def test_row_28_the_type_is_read_in_any_case(kind: str) -> None:
    """In v2 as in v1 (1.2)."""
    event = identify() | {"type": kind}
    assert item_of(event, apiVersion="v2")["action"] == "identify"


def test_row_29_a_datacenter_of_null_is_not_given() -> None:
    """It means US in both API versions (11.1)."""
    url = request_of(track(), apiVersion="v2", datacenter=None)["url"]
    assert url == "https://track.customer.io/api/v2/batch"


def test_row_30_names_of_anonymous_events_are_cut() -> None:
    """For everybody and in both API versions, to 100 bytes (5.5)."""
    event = of_type("track", anonymousId="an", event="x" * 105)
    assert item_of(event, "EVENT_NAME_CUT", apiVersion="v2")["name"] == "x" * 100


def test_row_31_an_alias_without_previous_id_is_told_so() -> None:
    """The text names what is missing (7.1, 12.2)."""
    outcome, _ = sent({"type": "alias", "userId": "u"}, apiVersion="v2")
    assert outcome.error is not None
    assert (outcome.error.code, "previousId" in outcome.error.text) == ("MISSING_IDENTITY", True)


def test_row_32_a_row_without_created_at_is_not_of_1970() -> None:
    """A created_at of null is no time (2.4, 9.4)."""
    row = {"type": "record", "action": "insert", "identifiers": {"id": "u", "created_at": None}}
    item = item_of(row, connection={"object": "person"}, apiVersion="v2")
    assert "timestamp" not in item


def test_beside_the_rows_a_number_in_a_trait_name_makes_no_large_body() -> None:
    """A trait name such as a.b.1000000 is nothing but a name."""
    raw = request_of(identify(traits={"a.b.1000000": 1}, timestamp=TIME))["raw"]
    assert len(raw) < 200
    assert str(NOW).encode() not in raw
