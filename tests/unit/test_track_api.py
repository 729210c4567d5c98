"""The description of the Track API takes what is well-formed, and refuses it once something is broken."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.track_api.endpoints import ENDPOINTS, endpoint, is_valid

PERSON = {"type": "person", "identifiers": {"id": "u1"}}
OBJECT = {"type": "object", "identifiers": {"object_type_id": "1", "object_id": "acme"}}
OBJECTS = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]
PEOPLE = [{"identifiers": {"email": "jane@example.com"}}]
DEVICE = {"token": "t", "platform": "ios"}
CUSTOMER = "/api/v1/customers/u1"
ENTITY = "/api/v2/entity"

# Requests of which no member may be missing.
MINIMAL: list[tuple[str, str, Any]] = [
    ("PUT", CUSTOMER + "/devices", {"device": {"id": "t", "platform": "android"}}),
    ("POST", CUSTOMER + "/events", {"name": "Order"}),
    ("POST", "/api/v1/events", {"name": "Invite"}),
    ("POST", "/api/v1/merge_customers", {"primary": {"id": "a"}, "secondary": {"cio_id": "b"}}),
    ("POST", "/api/v1/segments/7/add_customers", {"ids": ["a"]}),
    ("POST", "/api/v1/segments/7/remove_customers", {"ids": ["a"]}),
    ("POST", "/api/v1/forms/signup/submit", {"data": {"email": "a@b.co"}}),
    ("POST", "/api/v1/metrics", {"delivery_id": "d", "metric": "opened"}),
    ("POST", ENTITY, PERSON | {"action": "identify"}),
    ("POST", ENTITY, PERSON | {"action": "identify", "identifiers": {"phone": "+493012345"}}),
    ("POST", ENTITY, PERSON | {"action": "delete"}),
    ("POST", ENTITY, PERSON | {"action": "suppress"}),
    ("POST", ENTITY, PERSON | {"action": "unsuppress"}),
    ("POST", ENTITY, PERSON | {"action": "event", "name": "Order"}),
    ("POST", ENTITY, PERSON | {"action": "page", "name": "/"}),
    ("POST", ENTITY, PERSON | {"action": "screen", "name": "Home"}),
    ("POST", ENTITY, PERSON | {"action": "add_relationships", "cio_relationships": OBJECTS}),
    ("POST", ENTITY, PERSON | {"action": "delete_relationships", "cio_relationships": OBJECTS}),
    ("POST", ENTITY, PERSON | {"action": "add_device", "device": DEVICE}),
    ("POST", ENTITY, PERSON | {"action": "delete_device", "device": {"token": "t"}}),
    (
        "POST",
        ENTITY,
        {
            "type": "person",
            "action": "merge",
            "primary": {"id": "a"},
            "secondary": {"email": "b@c.de"},
        },
    ),
    ("POST", ENTITY, OBJECT | {"action": "identify"}),
    ("POST", ENTITY, OBJECT | {"action": "identify", "identifiers": {"cio_object_id": "x"}}),
    (
        "POST",
        ENTITY,
        OBJECT
        | {
            "action": "identify_anonymous",
            "cio_relationships": [{"identifiers": {"anonymous_id": "a"}}],
        },
    ),
    ("POST", ENTITY, OBJECT | {"action": "delete"}),
    ("POST", ENTITY, OBJECT | {"action": "add_relationships", "cio_relationships": PEOPLE}),
    ("POST", ENTITY, OBJECT | {"action": "delete_relationships", "cio_relationships": PEOPLE}),
    (
        "POST",
        ENTITY,
        {
            "type": "delivery",
            "action": "event",
            "identifiers": {"id": "d"},
            "name": "opened",
            "attributes": {"device_token": "t"},
        },
    ),
]
# Requests with all that may be added, of which no member may have another type.
FULL: list[tuple[str, str, Any]] = [
    *MINIMAL,
    ("POST", "/api/v1/events", {"name": "Order", "anonymous_id": "a"}),
    ("POST", "/api/v1/events", {"name": "Invite", "data": {"recipient": "a@b.co"}}),
    (
        "PUT",
        CUSTOMER,
        {
            "id": "u1",
            "email": "a@b.co",
            "anonymous_id": "a",
            "created_at": 1,
            "unsubscribed": True,
            "cio_subscription_preferences": {"topics": {"topic_1": True}},
            "cio_relationships": {"action": "add_relationships", "relationships": OBJECTS},
            "_timestamp": 1,
            "_update": True,
        },
    ),
    (
        "PUT",
        CUSTOMER + "/devices",
        {
            "device": {
                "id": "t",
                "platform": "ios",
                "last_used": 1,
                "attributes": {"push_enabled": "true"},
            }
        },
    ),
    (
        "POST",
        CUSTOMER + "/events",
        {"name": "Order", "type": "page", "id": "x", "timestamp": 1, "data": {}},
    ),
    (
        "POST",
        "/api/v1/metrics",
        {
            "delivery_id": "d",
            "metric": "clicked",
            "timestamp": 1,
            "recipient": "a@b.co",
            "reason": "r",
            "href": "h",
        },
    ),
    (
        "POST",
        "/api/v1/push/events",
        {"delivery_id": "d", "event": "opened", "device_id": "t", "timestamp": 1},
    ),
    ("POST", "/unsubscribe/d1", {"unsubscribe": True}),
    (
        "POST",
        ENTITY,
        PERSON
        | {
            "action": "identify",
            "attributes": {
                "_update": True,
                "cio_subscription_preferences": {"topics": {"topic_1": False}},
            },
            "timestamp": 1,
            "cio_relationships": [OBJECTS[0] | {"relationship_attributes": {}}],
        },
    ),
    (
        "POST",
        ENTITY,
        PERSON | {"action": "event", "name": "Order", "id": "x", "timestamp": 1, "attributes": {}},
    ),
    (
        "POST",
        ENTITY,
        PERSON
        | {
            "action": "add_device",
            "device": DEVICE | {"last_used": 1, "attributes": {"device_os": "17"}},
        },
    ),
    (
        "POST",
        ENTITY,
        OBJECT
        | {
            "action": "identify",
            "attributes": {},
            "cio_relationships": [PEOPLE[0] | {"relationship_attributes": {}}],
        },
    ),
]
Place = tuple[str | int, ...]


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """Yield the path of every member and item below a value."""
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, member in members:
        yield (*above, name)
        yield from places(member, (*above, name))


def changed(body: Any, place: Place, *replacement: Any) -> Any:
    """Return a copy of a body with one member replaced, or removed where there is no replacement."""
    copy = deepcopy(body)
    parent = copy
    for name in place[:-1]:
        parent = parent[name]
    if replacement:
        parent[place[-1]] = replacement[0]
    else:
        del parent[place[-1]]
    return copy


def shortened(value: object) -> str:
    return str(value)[:80]


@pytest.mark.parametrize(("method", "path", "body"), MINIMAL, ids=shortened)
def test_a_missing_member_is_refused(method: str, path: str, body: Any) -> None:
    """Each member of a minimal request is needed, at any depth. Items of lists are not."""
    assert is_valid(method, path, body)
    for place in places(body):
        if isinstance(place[-1], str):
            assert not is_valid(method, path, changed(body, place)), place


@pytest.mark.parametrize(("method", "path", "body"), FULL, ids=shortened)
def test_a_wrong_type_is_refused(method: str, path: str, body: Any) -> None:
    """No member may become an array of numbers, a long way from what any member is."""
    assert is_valid(method, path, body)
    assert not is_valid(method, path, [])
    for place in places(body):
        assert not is_valid(method, path, changed(body, place, [5])), place


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [request for request in FULL if request[1] == ENTITY],
    ids=shortened,
)
@pytest.mark.parametrize("member", ["type", "action"])
def test_an_unknown_action_or_type_is_refused(
    method: str, path: str, body: Any, member: str
) -> None:
    """Neither an invented word, nor another case, nor an action of another type will do."""
    for word in ("sing", body[member].upper(), "", None):
        assert not is_valid(method, path, changed(body, (member,), word)), word


@pytest.mark.parametrize(
    ("action", "kind"),
    [("suppress", "object"), ("add_device", "object"), ("identify_anonymous", "person"),
     ("merge", "object"), ("identify", "delivery"), ("delete", "delivery")],
)  # fmt: skip
def test_an_action_of_another_type_is_refused(action: str, kind: str) -> None:
    """The members that the action needs are all there."""
    everything = {
        "name": "opened",
        "device": DEVICE,
        "cio_relationships": [],
        "primary": {"id": "a"},
        "secondary": {"id": "b"},
        "attributes": {"device_token": "t"},
    }
    whose = OBJECT if kind == "object" else PERSON
    body = everything | whose | {"type": kind, "action": action}
    assert not is_valid("POST", ENTITY, body)


BROKEN: list[tuple[str, str, Any]] = [
    ("POST", ENTITY, PERSON | {"action": "identify", "identifiers": {"id": "a", "email": "b"}}),
    ("POST", ENTITY, PERSON | {"action": "identify", "identifiers": {"anonymous_id": "a"}}),
    ("POST", ENTITY, PERSON | {"action": "identify", "identifiers": {"phone": "030"}}),
    ("POST", ENTITY, PERSON | {"action": "identify", "identifiers": {"id": True}}),
    ("POST", ENTITY, PERSON | {"action": "event", "name": "  "}),
    ("POST", ENTITY, PERSON | {"action": "add_device", "device": DEVICE | {"platform": "web"}}),
    ("POST", ENTITY, PERSON | {"action": "add_relationships", "cio_relationships": PEOPLE}),
    ("POST", ENTITY, OBJECT | {"action": "add_relationships", "cio_relationships": OBJECTS}),
    ("POST", ENTITY, OBJECT | {"action": "identify", "identifiers": {"id": "u1"}}),
    ("POST", ENTITY, PERSON | {"action": "delete", "identifiers": {"object_id": "acme"}}),
    ("POST", ENTITY, PERSON | {"action": "identify", "timestamp": 1.5}),
    ("POST", "/api/v1/events", {"name": "Invite", "data": {}}),
    ("POST", "/api/v1/segments/7/add_customers", {"ids": []}),
    ("POST", "/api/v1/segments/7/add_customers", {"ids": ["a"] * 1001}),
    ("POST", "/api/v1/forms/signup/submit", {"data": {"id": "a", "email": "b"}}),
    ("POST", "/api/v1/forms/signup/submit", {"data": {"id": "a", "age": 5}}),
    ("POST", "/api/v1/merge_customers", {"primary": {"phone": "+4930"}, "secondary": {"id": "b"}}),
    ("POST", "/api/v2/batch", {"batch": {}}),
]


@pytest.mark.parametrize(("method", "path", "body"), BROKEN, ids=shortened)
def test_a_request_that_breaks_a_rule_is_refused(method: str, path: str, body: Any) -> None:
    """Where types alone are not enough: one identifier only, the kind of a relationship, bounds."""
    assert not is_valid(method, path, body)


def test_a_batch_is_as_good_as_its_items() -> None:
    """The batch itself is taken whatever its items are: they are reported by their index."""
    good, bad = PERSON | {"action": "delete"}, PERSON | {"action": "sing"}
    assert is_valid("POST", "/api/v2/batch", {"batch": [good, bad]})
    assert [is_valid("POST", ENTITY, item) for item in (good, bad)] == [True, False]


def test_there_are_examples_of_every_body() -> None:
    """No endpoint with a body is left out, and none is described twice."""
    exercised = {endpoint(method, path).path for method, path, _ in [*FULL, *BROKEN]}
    assert {call.path for call in ENDPOINTS if call.body is not None} == exercised
    assert len({(call.method, call.path) for call in ENDPOINTS}) == len(ENDPOINTS)


VECTORS = Path(__file__).parent.parent / "vectors"


@pytest.mark.parametrize("name", ["track_v1.jsonl", "track_v2.jsonl"])
def test_every_request_of_the_vectors_is_well_formed(name: str) -> None:
    """And so is each operation of their batches. An attribute `email` that is no text stays (rule 4.8b)."""
    checked = 0
    for line in VECTORS.joinpath(name).read_bytes().splitlines():
        case = json.loads(line)
        for request in case["expect"].get("requests", ()):
            path = urlsplit(request["url"]).path
            for target, body in _bodies(path, _without_placeholders(request["body"])):
                assert is_valid(request["method"], target, body), (case["name"], body)
                checked += 1
    assert checked > 500


def _bodies(path: str, body: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a request consists of: its body, and each operation of a batch as an entity."""
    if body is None:
        return
    if not isinstance(body.get("email"), str):
        body.pop("email", None)
    yield path, body
    for operation in body.get("batch", ()):
        yield ENTITY, operation


def _without_placeholders(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_placeholders(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_placeholders(member) for member in value]
    return 1 if value == "NOW" else value
