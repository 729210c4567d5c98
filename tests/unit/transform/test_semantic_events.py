"""Track events that do what their name says, where a destination asks for it. Rule 13.2."""

from typing import Any

import pytest
from ciosidecar_transform.rules.semantic import RULES
from ciosidecar_transform.semantic_names import SEMANTIC_NAMES

from tests.unit.transform.support import (
    TIME,
    TIME_S,
    body_of,
    fatal_keys,
    item_of,
    packed,
    refusal_of,
    request_of,
    sent,
    track,
)

ON: dict[str, Any] = {"semanticEvents": True}
V2 = ON | {"apiVersion": "v2"}
DEVICE = {"device": {"token": "t/1", "type": "ios"}}


def call(event: dict[str, Any], **config: Any) -> tuple[str, str, Any]:
    """Method, path and body of what an event becomes in v1."""
    request = request_of(event, **ON, **config)
    return request["method"], request["path"], request["body"]


def named(name: str, **members: object) -> dict[str, Any]:
    """An event of that name of user u."""
    return track(event=name, **members)


def test_13_2_every_name_has_a_rule() -> None:
    """The names that settings know are those that do something."""
    assert RULES.keys() == SEMANTIC_NAMES


@pytest.mark.parametrize("name", sorted(SEMANTIC_NAMES))
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_13_2_by_default_they_are_ordinary_events(name: str, version: str) -> None:
    """Nobody's event deletes anybody unless the destination says so."""
    event = named(name, properties={"objectId": "o", "deliveryId": "d", "metric": "opened"})
    event["context"] = DEVICE
    body = body_of(event, apiVersion=version)
    assert (body if version == "v1" else body["batch"][0])["name"] == name
    assert body == body_of(event, apiVersion=version, semanticEvents=False)


@pytest.mark.parametrize(
    "name", ["user deleted", "User Deleted ", "UserDeleted", "User  Deleted", "Deleted"]
)
def test_13_2_names_count_exactly_so_written(name: str) -> None:
    """What is spelled otherwise is an ordinary event."""
    warnings = ["WHITE_SPACE_REMOVED"] if name != name.strip() else []
    body = body_of(named(name), *warnings, **ON)
    assert (body["name"], body["type"]) == (name.strip(), "event")


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_13_2_only_tracks_count(kind: str) -> None:
    """A page of that name is a page."""
    event = {"type": kind, "userId": "u", "name": "User Deleted", "event": "User Deleted"}
    assert request_of(event, **ON)["path"] == "/api/v1/customers/u/events"


@pytest.mark.parametrize("event", [["User Deleted"], {"User Deleted": 1}, 5, None, True])
def test_13_2_a_name_that_is_no_text_is_no_name(event: object) -> None:
    """As without the setting."""
    assert refusal_of(track(event=event), **ON) == "MISSING_EVENT_NAME"


@pytest.mark.parametrize(
    ("name", "expected", "action"),
    [
        ("User Deleted", ("DELETE", "/api/v1/customers/a%2Fb"), "delete"),
        ("User Suppressed", ("POST", "/api/v1/customers/a%2Fb/suppress"), "suppress"),
        ("User Unsuppressed", ("POST", "/api/v1/customers/a%2Fb/unsuppress"), "unsuppress"),
    ],
)
def test_13_2_people(name: str, expected: tuple[str, str], action: str) -> None:
    """Deleted, suppressed, unsuppressed: no body in v1, identifiers alone in v2."""
    event = named(name, userId="a/b", properties={"why": "asked"})
    assert call(event) == (*expected, None)
    of_router = "v1/customers" if action == "delete" else f"v1/customers/{action}"
    assert request_of(event, **ON)["endpoint_path"] == of_router
    assert list(request_of(event, **ON)["headers"]) == ["Authorization"]
    assert item_of(event, **V2) == {
        "type": "person",
        "action": action,
        "identifiers": {"id": "a/b"},
    }
    by_email = {"type": "track", "event": name, "traits": {"email": "a@b.co"}}
    assert item_of(by_email, **V2)["identifiers"] == {"email": "a@b.co"}


@pytest.mark.parametrize("name", ["User Deleted", "User Suppressed", "User Unsuppressed"])
@pytest.mark.parametrize("config", [ON, V2], ids=["v1", "v2"])
def test_13_2_an_anonymous_profile_cannot_be_deleted(name: str, config: dict[str, Any]) -> None:
    """Without user id and email nobody is named; ids keep their limits."""
    event = {"type": "track", "event": name, "anonymousId": "an"}
    assert refusal_of(event, **config) == "MISSING_IDENTITY"
    assert refusal_of(named(name, userId="u" * 151), **config) == "ID_TOO_LONG"
    assert refusal_of(named(name, userId=["u"]), **config) == "INVALID_ID"


def test_13_2_a_dot_segment_deletes_nobody() -> None:
    """3.6 holds for the new paths."""
    for name in ("User Deleted", "User Suppressed", "User Unsuppressed"):
        assert refusal_of(named(name, userId=".."), **ON) == "INVALID_ID"


@pytest.mark.parametrize("config", [ON, V2], ids=["v1", "v2"])
def test_13_2_objects_and_relationships(config: dict[str, Any]) -> None:
    """objectId and objectTypeId name the object; these go to v2/batch in both API versions."""
    event = named("Object Deleted", properties={"objectId": 7, "objectTypeId": 2})
    assert item_of(event, **config) == {
        "type": "object",
        "action": "delete",
        "identifiers": {"object_type_id": "2", "object_id": "7"},
        "attributes": {},
        "cio_relationships": [],
    }
    anonymous = {"type": "track", "event": "Object Deleted", "properties": {"objectId": "o"}}
    assert item_of(anonymous, **config)["identifiers"] == {"object_type_id": "1", "object_id": "o"}
    event = named("Relationship Deleted", properties={"objectId": "o"})
    assert item_of(event, **config) == {
        "type": "object",
        "action": "delete_relationships",
        "identifiers": {"object_type_id": "1", "object_id": "o"},
        "attributes": {},
        "cio_relationships": [{"identifiers": {"id": "u"}}],
    }


@pytest.mark.parametrize("name", ["Object Deleted", "Relationship Deleted"])
@pytest.mark.parametrize("object_id", [None, "", " ", 0, {}, [], True])
def test_13_2_an_object_needs_an_id(name: str, object_id: object) -> None:
    """MISSING_PROPERTY, and the text says which."""
    outcome, _ = sent(named(name, properties={"objectId": object_id}), **ON)
    assert outcome.error is not None
    assert outcome.error.code == "MISSING_PROPERTY"
    assert outcome.error.text == f"{name} needs properties.objectId (rule 13.2)"
    assert (outcome.error.type, outcome.status) == ("INSTRUMENTATION", 400)
    assert refusal_of(named(name), **ON) == "MISSING_PROPERTY"
    assert refusal_of(named(name, properties=[]), **ON) == "MISSING_PROPERTY"
    assert refusal_of(named(name, properties={"objectId": "o" * 151}), **ON) == "ID_TOO_LONG"


def test_13_2_a_relationship_needs_a_person() -> None:
    """An anonymous id is none."""
    event = {"type": "track", "event": "Relationship Deleted", "anonymousId": "an"}
    event["properties"] = {"objectId": "o"}  # type: ignore[assignment]
    assert refusal_of(event, **ON) == "MISSING_IDENTITY"


def test_13_2_a_device_is_registered() -> None:
    """By the context, as 6.1; properties are its attributes."""
    event = named("Device Created or Updated", context=DEVICE, timestamp=TIME)
    event["properties"] = {"push_enabled": True}
    device = {"platform": "ios", "last_used": TIME_S, "attributes": {"push_enabled": "true"}}
    path = "/api/v1/customers/u/devices"
    assert call(event) == ("PUT", path, {"device": {"id": "t/1"} | device})
    item = item_of(event, **V2)
    assert (item["action"], item["device"]) == ("add_device", {"token": "t/1"} | device)


def test_13_2_a_device_may_stand_in_the_properties() -> None:
    """Where older senders put it; it is no attribute of itself. The context comes first."""
    properties = {"device": {"token": "p", "type": "Android"}, "app": "shop"}
    event = named("Device Created or Updated", properties=properties)
    expected = {"id": "p", "platform": "android", "attributes": {"app": "shop"}}
    assert call(event)[2] == {"device": expected}
    assert call(event | {"context": DEVICE})[2]["device"]["id"] == "t/1"
    deleted = named("Device Deleted", properties=properties)
    assert call(deleted) == ("DELETE", "/api/v1/customers/u/devices/p", None)


def test_13_2_a_device_is_deleted() -> None:
    """Like Application Uninstalled."""
    event = named("Device Deleted", context=DEVICE)
    assert call(event) == ("DELETE", "/api/v1/customers/u/devices/t%2F1", None)
    assert item_of(event, **V2)["device"] == {"token": "t/1"}


@pytest.mark.parametrize("name", ["Device Created or Updated", "Device Deleted"])
def test_13_2_a_device_needs_a_person_and_a_token(name: str) -> None:
    """It does not become an ordinary event: that is not what was asked for."""
    assert refusal_of(named(name), **ON) == "MISSING_DEVICE_TOKEN"
    token: Any
    for token in (None, "", {}, 0):
        event = named(name, context={"device": {"token": token, "type": "ios"}})
        assert refusal_of(event, **ON) == "MISSING_DEVICE_TOKEN"
    anonymous = {"type": "track", "event": name, "anonymousId": "an", "context": DEVICE}
    assert refusal_of(anonymous, **ON) == "MISSING_IDENTITY"


def test_13_2_a_device_needs_a_platform() -> None:
    """Customer.io takes none without."""
    event = named("Device Created or Updated", context={"device": {"token": "t"}})
    assert refusal_of(event, **ON) == "MISSING_PROPERTY"


@pytest.mark.parametrize("config", [ON, V2], ids=["v1", "v2"])
def test_13_2_a_delivery_is_reported(config: dict[str, Any]) -> None:
    """The one call without credentials, in both API versions: v2 has no word for mail."""
    properties = {
        "deliveryId": "RPIL",
        "metric": "clicked",
        "recipient": "jane@example.com",
        "reason": "r",
        "href": "https://example.com",
        "actionName": "n",
        "actionValue": "v",
    }
    event = named("Report Delivery Event", properties=properties, timestamp=TIME)
    request = request_of(event, **config)
    assert (request["method"], request["path"]) == ("POST", "/api/v1/metrics")
    assert request["endpoint_path"] == "v1/metrics"
    assert request["headers"] == {"Content-Type": "application/json"}
    assert request["body"] == {
        "delivery_id": "RPIL",
        "metric": "clicked",
        "timestamp": TIME_S,
        "recipient": "jane@example.com",
        "reason": "r",
        "href": "https://example.com",
        "metadata": {"action_name": "n", "action_value": "v"},
    }
    del event["userId"], event["timestamp"]
    event["properties"] = {"deliveryId": 5, "metric": "bounced", "reason": 1, "actionName": "n"}
    assert request_of(event, **config)["body"] == {
        "delivery_id": "5",
        "metric": "bounced",
        "metadata": {"action_name": "n"},
    }


def test_13_2_a_push_is_reported_to_v2() -> None:
    """Where the device that got it is known, and there is nothing else to say."""
    properties = {"deliveryId": "RPIL", "metric": "opened"}
    event = named("Report Delivery Event", properties=properties, context=DEVICE, timestamp=TIME)
    expected = {
        "type": "delivery",
        "action": "event",
        "identifiers": {"id": "RPIL"},
        "name": "opened",
        "attributes": {"device_token": "t/1"},
        "timestamp": TIME_S,
    }
    assert item_of(event, **V2) == expected
    properties["recipient"] = "t/1"
    assert item_of(event, **V2) == expected
    assert call(event)[2]["recipient"] == "t/1"
    for more in ({"recipient": "other"}, {"metric": "clicked"}, {"href": "x"}):
        other = event | {"properties": properties | more}
        assert request_of(other, **V2)["path"] == "/api/v1/metrics"


@pytest.mark.parametrize(
    ("properties", "what"),
    [
        ({"metric": "opened"}, "deliveryId"),
        ({"deliveryId": "", "metric": "opened"}, "deliveryId"),
        ({"deliveryId": {}, "metric": "opened"}, "deliveryId"),
        ({"deliveryId": "d"}, "metric"),
        ({"deliveryId": "d", "metric": "Opened"}, "metric"),
        ({"deliveryId": "d", "metric": ["opened"]}, "metric"),
        ({"deliveryId": "d", "metric": "SECRET"}, "metric"),
    ],
)
def test_13_2_a_report_needs_a_delivery_and_a_metric(properties: dict[str, Any], what: str) -> None:
    """The text says which is missing and what it may be, and quotes nothing."""
    outcome, _ = sent(named("Report Delivery Event", properties=properties), **ON)
    assert outcome.error is not None
    assert outcome.error.code == "MISSING_PROPERTY"
    assert f"properties.{what}" in outcome.error.text
    assert "SECRET" not in outcome.error.text


def test_13_2_order_holds_for_people_and_objects() -> None:
    """A deletion waits for what concerns the same person or object, and is waited for."""
    events = [
        {"type": "group", "groupId": "g", "userId": "u"},
        named("Object Deleted", userId="v", properties={"objectId": "g"}),
        named("User Deleted"),
    ]
    requests = packed(events, **ON)
    assert [(request["endpoint_path"], positions) for request, positions in requests] == [
        ("v2/batch", [0, 1]),
        ("v1/customers", [2]),
    ]
    actions = [item["action"] for item in requests[0][0]["body"]["batch"]]
    assert actions == ["identify", "delete"]


def test_13_2_a_device_event_of_ones_own_must_not_be_one_of_them() -> None:
    """The two would contradict each other."""
    assert fatal_keys(deviceTokenEventName="User Deleted", **ON) == ["deviceTokenEventName"]
    assert fatal_keys(deviceTokenEventName="User Deleted") == []
