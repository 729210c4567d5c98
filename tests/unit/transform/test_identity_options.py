"""People addressed by phone number, and identifies that create nobody. Rules 13.4, 13.5."""

from typing import Any

import pytest
from ciosidecar_transform import transform_event
from ciosidecar_transform.operations import Identify, SendEvent
from ciosidecar_transform.ordering import operation_keys

from tests.unit.transform.support import (
    NOW,
    as_json,
    attributes_of,
    body_of,
    destination,
    fatal_keys,
    identify,
    item_of,
    of_type,
    refusal_of,
    request_of,
    track,
)

PHONE: dict[str, Any] = {"phoneAsIdentifier": True, "apiVersion": "v2"}
NUMBER = "+15551234567"


def by_phone(kind: str = "identify", **members: object) -> dict[str, Any]:
    """An event of someone of whom nothing is known but a phone number."""
    return of_type(kind, traits={"phone": NUMBER}, **members)


@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen"])
def test_13_4_someone_without_id_and_email_goes_by_phone(kind: str) -> None:
    """From traits, else context.traits."""
    assert item_of(by_phone(kind), **PHONE)["identifiers"] == {"phone": NUMBER}
    event = of_type(kind, traits={"phone": "0555"}, context={"traits": {"phone": NUMBER}})
    assert item_of(event, **PHONE)["identifiers"] == {"phone": NUMBER}


@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen"])
def test_13_4_by_default_a_phone_number_names_nobody(kind: str) -> None:
    """In both API versions."""
    for version in ("v1", "v2"):
        assert refusal_of(by_phone(kind), apiVersion=version) == "MISSING_IDENTITY"


def test_13_4_devices_go_by_phone_too() -> None:
    """Registered and deleted."""
    context = {"device": {"token": "t", "type": "ios"}}
    for name in ("Application Opened", "Application Uninstalled"):
        event = by_phone("track", context=context) | {"event": name}
        assert item_of(event, **PHONE)["identifiers"] == {"phone": NUMBER}
    semantic = by_phone("track") | {"event": "User Deleted"}
    item = item_of(semantic, semanticEvents=True, **PHONE)
    assert (item["action"], item["identifiers"]) == ("delete", {"phone": NUMBER})


def test_13_4_everything_else_comes_first() -> None:
    """User id, email, and for an identify the anonymous id unless identifyFallback is email."""
    event = by_phone(userId="u", anonymousId="an")
    assert item_of(event, **PHONE)["identifiers"] == {"id": "u"}
    del event["userId"]
    assert item_of(event, **PHONE)["identifiers"] == {"id": "an"}
    assert item_of(event, identifyFallback="email", **PHONE)["identifiers"] == {"phone": NUMBER}
    event["traits"]["email"] = "a@b.co"
    assert item_of(event, identifyFallback="email", **PHONE)["identifiers"] == {"email": "a@b.co"}
    anonymous = by_phone("track", anonymousId="an")
    assert item_of(anonymous, **PHONE)["identifiers"] == {"phone": NUMBER}


@pytest.mark.parametrize(
    "phone",
    [
        "15551234567",
        "+0551234567",
        "+1 555 123 4567",
        "+1-555-1234567",
        "+123456",
        "+1234567890123456",
        "+\uff11\uff15\uff15\uff15\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
        " +15551234567",
        "",
        15551234567,
        ["+15551234567"],
        None,
    ],
)
def test_13_4_only_numbers_in_e_164_form_count(phone: object) -> None:
    """A plus and 7 to 15 digits, no 0 in front; otherwise the event names nobody."""
    event = {"type": "identify", "traits": {"phone": phone}}
    assert refusal_of(event, **PHONE) == "MISSING_IDENTITY"


def test_13_4_a_user_id_that_looks_like_a_number_stays_one() -> None:
    """Only the trait is a phone number."""
    assert item_of(identify(userId=NUMBER), **PHONE)["identifiers"] == {"id": NUMBER}


def test_13_4_needs_v2() -> None:
    """v1 would read the number in the path as a user id, of somebody else or of nobody."""
    assert fatal_keys(phoneAsIdentifier=True) == ["phoneAsIdentifier"]
    assert fatal_keys(phoneAsIdentifier=True, apiVersion="v1") == ["phoneAsIdentifier"]
    assert fatal_keys(**PHONE) == []


def test_13_4_an_event_too_large_for_v2_is_refused() -> None:
    """10.2 sends others by v1, where this person has no address."""
    event = by_phone("track", properties={"a": "x" * 40_000})
    assert refusal_of(event, **PHONE) == "TOO_LARGE"
    known = track(properties={"a": "x" * 40_000})
    assert request_of(known, **PHONE)["path"] == "/api/v1/customers/u/events"


def keys_of(event: dict[str, Any], *, by_phone: bool) -> set[str]:
    """What must keep an event in order with others."""
    transformed = transform_event(as_json(event), destination(**PHONE), source_type="", now=NOW)
    assert isinstance(transformed.operation, (Identify, SendEvent))
    assert transformed.event is not None
    return set(operation_keys(transformed.operation, transformed.event, by_phone=by_phone))


def test_13_4_order_holds_under_either_name() -> None:
    """Who goes by phone is the same as who goes by user id and has that phone number."""
    with_id = identify(userId="u", traits={"phone": NUMBER})
    first, second = (keys_of(event, by_phone=True) for event in (with_id, by_phone("track")))
    assert (first, second) == ({"u", NUMBER}, {NUMBER})
    assert keys_of(with_id, by_phone=False) == {"u"}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_13_5_an_identify_creates_nobody(version: str) -> None:
    """_update is an attribute in both API versions; what else is sent is the same."""
    event = identify(traits={"a": 1})
    body = body_of(event, apiVersion=version, updateOnly=True, createdAtFallback="none")
    attributes = body if version == "v1" else body["batch"][0]["attributes"]
    assert attributes == {"_update": True, "a": 1}
    assert attributes_of(event) == {"a": 1}
    assert attributes_of(event, updateOnly=False) == {"a": 1}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_13_5_a_trait_of_that_name_does_not_undo_it(version: str) -> None:
    """Nor does the limit on the number of attributes."""
    traits = {f"a{number}": number for number in range(400)} | {"_update": False}
    body = body_of(
        identify(traits=traits), "TOO_MANY_ATTRIBUTES", apiVersion=version, updateOnly=True
    )
    attributes = body if version == "v1" else body["batch"][0]["attributes"]
    assert attributes["_update"] is True
    assert len(attributes) == 300


def test_13_5_rows_of_people_create_nobody_either() -> None:
    """A record is an identify too."""
    row = {"type": "record", "action": "insert", "identifiers": {"id": "u", "a": 1}}
    attributes = body_of(row, connection={"object": "person"}, updateOnly=True)
    assert attributes == {"_update": True, "a": 1}


def test_13_5_other_events_are_not_concerned() -> None:
    """Customer.io has no such thing for them."""
    for kind in ("track", "page", "screen"):
        event = of_type(kind, userId="u")
        assert body_of(event, updateOnly=True) == body_of(event)
