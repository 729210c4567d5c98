"""What the sandbox takes and answers, held against Customer.io's own schemas where they are at hand."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.sandbox.support import Track

DOCUMENT = Path(__file__).parents[3] / "shared" / "reference" / "track-openapi.json"
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="Customer.io's OpenAPI document is not on this machine"
)

CUSTOMER = "/api/v1/customers/{identifier}"
SEGMENT = "/api/v1/segments/{segment_id}/add_customers"
FORM = "/api/v1/forms/{form_id}/submit"
ENTITY = "/api/v2/entity"
VALUES = {"identifier": "u1", "segment_id": "7", "form_id": "signup", "delivery_id": "d1"}
WHO = {"type": "person", "identifiers": {"id": "u1"}}
ACME = {"type": "object", "identifiers": {"object_type_id": "1", "object_id": "acme"}}
RELATED = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]
PEOPLE = [{"identifiers": {"id": "u1"}, "relationship_attributes": {"role": "admin"}}]
DEVICE = {"id": "t", "platform": "ios", "last_used": 1, "attributes": {"push_enabled": "true"}}
TOKEN = {"token": "t", "platform": "android"}

# Method, path and body. Both must take it, or both refuse it.
AGREED: list[tuple[str, str, Any]] = [
    ("PUT", CUSTOMER, {}),
    ("PUT", CUSTOMER, {"email": "a@b.co", "plan": "pro", "seats": 3, "vip": True, "created_at": 1}),
    ("PUT", CUSTOMER, {"_update": True, "_timestamp": 1, "anonymous_id": "a"}),
    ("PUT", CUSTOMER, {"cio_subscription_preferences": {"topics": {"topic_1": True}}}),
    (
        "PUT",
        CUSTOMER,
        {"cio_relationships": {"action": "add_relationships", "relationships": RELATED}},
    ),
    ("PUT", CUSTOMER, {"cio_relationships": {"action": "sing", "relationships": RELATED}}),
    ("PUT", CUSTOMER, {"cio_relationships": {"relationships": [{"identifiers": {"a": 1}}]}}),
    ("PUT", CUSTOMER, {"id": 5}),
    ("PUT", CUSTOMER, []),
    ("PUT", CUSTOMER + "/devices", {"device": DEVICE}),
    ("PUT", CUSTOMER + "/devices", {"device": {"id": "t", "platform": "android"}}),
    ("PUT", CUSTOMER + "/devices", {}),
    ("PUT", CUSTOMER + "/devices", {"device": {"id": "t"}}),
    ("PUT", CUSTOMER + "/devices", {"device": {"platform": "ios"}}),
    ("PUT", CUSTOMER + "/devices", {"device": {"id": "t", "platform": "web"}}),
    ("PUT", CUSTOMER + "/devices", {"device": {"id": 5, "platform": "ios"}}),
    ("PUT", CUSTOMER + "/devices", {"device": DEVICE | {"attributes": {"n": 5}}}),
    ("POST", CUSTOMER + "/events", {"name": "Order"}),
    (
        "POST",
        CUSTOMER + "/events",
        {"name": "Order", "type": "event", "data": {"a": [1]}, "id": "x"},
    ),
    ("POST", CUSTOMER + "/events", {"name": "/", "type": "page", "timestamp": 1}),
    ("POST", CUSTOMER + "/events", {}),
    ("POST", CUSTOMER + "/events", {"name": 5}),
    ("POST", CUSTOMER + "/events", {"name": "Order", "data": "x"}),
    ("POST", CUSTOMER + "/events", {"name": "Order", "data": None}),
    ("POST", "/api/v1/events", {"name": "Order", "anonymous_id": "a", "type": "event"}),
    ("POST", "/api/v1/events", {"name": "Invite", "data": {"recipient": "a@b.co"}}),
    ("POST", "/api/v1/events", {"name": "Invite"}),
    ("POST", "/api/v1/events", {"anonymous_id": "a"}),
    ("POST", "/api/v1/events", {"name": "Order", "anonymous_id": 5}),
    ("POST", "/api/v1/merge_customers", {}),
    ("POST", "/api/v1/merge_customers", {"primary": {"id": "a"}}),
    (
        "POST",
        "/api/v1/merge_customers",
        {"primary": {"id": "a", "email": "b"}, "secondary": {"id": "c"}},
    ),
    ("POST", SEGMENT, {"ids": ["a"]}),
    ("POST", SEGMENT, {"ids": ["a"] * 1000}),
    ("POST", SEGMENT, {"ids": ["a"] * 1001}),
    ("POST", SEGMENT, {"ids": []}),
    ("POST", SEGMENT, {}),
    ("POST", FORM, {"data": {"email": "a@b.co", "name": "x"}}),
    ("POST", FORM, {"data": {"id": "u1", "name": "x"}}),
    ("POST", FORM, {"data": {"id": "u1", "email": "a@b.co"}}),
    ("POST", FORM, {"data": {"id": "u1", "age": 5}}),
    ("POST", FORM, {"data": {"name": "x"}}),
    ("POST", FORM, {}),
    ("POST", "/api/v1/metrics", {"delivery_id": "d", "metric": "sung"}),
    ("POST", "/api/v1/metrics", {"metric": "opened"}),
    ("POST", "/api/v1/push/events", {"delivery_id": "d", "event": "opened", "device_id": "t"}),
    ("POST", "/api/v1/push/events", {"delivery_id": "d", "event": "sung"}),
    ("POST", "/unsubscribe/{delivery_id}", {"unsubscribe": True}),
    ("POST", "/unsubscribe/{delivery_id}", {"unsubscribe": "yes"}),
    ("POST", ENTITY, WHO | {"action": "identify", "attributes": {"a": [1.5, None, {"b": 1}]}}),
    ("POST", ENTITY, WHO | {"action": "identify", "timestamp": 1, "cio_relationships": RELATED}),
    ("POST", ENTITY, WHO | {"action": "identify", "attributes": []}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {"phone": "+4930"}}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {"cio_id": "03"}}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {"id": "a", "email": "b@c.de"}}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {}}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {"id": None}}),
    ("POST", ENTITY, WHO | {"action": "delete"}),
    ("POST", ENTITY, WHO | {"action": "suppress"}),
    ("POST", ENTITY, WHO | {"action": "unsuppress"}),
    ("POST", ENTITY, WHO | {"action": "event", "name": "Order", "id": "x", "attributes": {}}),
    ("POST", ENTITY, WHO | {"action": "page", "name": "/", "attributes": {"url": "/"}}),
    ("POST", ENTITY, WHO | {"action": "screen", "name": "Home", "timestamp": 1}),
    ("POST", ENTITY, WHO | {"action": "event"}),
    ("POST", ENTITY, WHO | {"action": "event", "name": 5}),
    ("POST", ENTITY, WHO | {"action": "event", "name": "Order", "attributes": "x"}),
    ("POST", ENTITY, WHO | {"action": "add_relationships", "cio_relationships": RELATED}),
    ("POST", ENTITY, WHO | {"action": "delete_relationships", "cio_relationships": RELATED}),
    ("POST", ENTITY, WHO | {"action": "add_relationships"}),
    ("POST", ENTITY, WHO | {"action": "add_device", "device": TOKEN}),
    ("POST", ENTITY, WHO | {"action": "add_device", "device": TOKEN | {"platform": "web"}}),
    ("POST", ENTITY, WHO | {"action": "add_device"}),
    ("POST", ENTITY, WHO | {"action": "delete_device", "device": {"token": "t"}}),
    ("POST", ENTITY, WHO | {"action": "delete_device", "device": {}}),
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
    ("POST", ENTITY, {"type": "person", "action": "merge", "primary": {"id": "a"}}),
    ("POST", ENTITY, WHO | {"action": "sing"}),
    ("POST", ENTITY, {"type": "planet", "action": "identify", "identifiers": {"id": "a"}}),
    (
        "POST",
        ENTITY,
        ACME | {"action": "identify", "attributes": {"a": None}, "cio_relationships": []},
    ),
    ("POST", ENTITY, ACME | {"action": "identify", "identifiers": {"cio_object_id": "x"}}),
    ("POST", ENTITY, ACME | {"action": "identify", "identifiers": {"object_id": "x"}}),
    (
        "POST",
        ENTITY,
        ACME
        | {
            "action": "identify_anonymous",
            "cio_relationships": [{"identifiers": {"anonymous_id": "a"}}],
        },
    ),
    ("POST", ENTITY, ACME | {"action": "delete"}),
    ("POST", ENTITY, ACME | {"action": "add_relationships", "cio_relationships": []}),
    ("POST", ENTITY, ACME | {"action": "delete_relationships", "cio_relationships": []}),
    ("POST", ENTITY, ACME | {"action": "add_relationships"}),
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
    (
        "POST",
        ENTITY,
        {
            "type": "delivery",
            "action": "event",
            "identifiers": {"id": "d"},
            "name": "sung",
            "attributes": {"device_token": "t"},
        },
    ),
    (
        "POST",
        ENTITY,
        {"type": "delivery", "action": "event", "identifiers": {"id": "d"}, "name": "opened"},
    ),
    ("POST", "/api/v2/batch", {"batch": []}),
    (
        "POST",
        "/api/v2/batch",
        {"batch": [WHO | {"action": "identify"}, ACME | {"action": "delete"}]},
    ),
    ("POST", "/api/v2/batch", {"batch": 5}),
]

# Where the sandbox differs from a schema, on purpose: the reason, whether it takes the body, and the body.
EXCEPTIONS: list[tuple[str, bool, str, str, Any]] = [
    ("people send floats, arrays, objects, and null to remove", True, "PUT", CUSTOMER, {"a": 1.5}),
    ("the same", True, "PUT", CUSTOMER, {"a": [1]}),
    ("the same", True, "PUT", CUSTOMER, {"a": None}),
    ("the documented rule on unsubscribed is about texts and numbers", True, "PUT", CUSTOMER, {"unsubscribed": "true"}),
    ("an unusable time is documented to become now", True, "PUT", CUSTOMER, {"_timestamp": "soon"}),
    ("the same", True, "POST", CUSTOMER + "/events", {"name": "Order", "timestamp": "soon"}),
    ("any other type is documented to become event", True, "POST", CUSTOMER + "/events", {"name": "Order", "type": "sing"}),
    ("the schema wants anonymous_id of a known person's screen", True, "POST", CUSTOMER + "/events", {"name": "Home", "type": "screen"}),
    ("the schema's two ways to say page exclude each other", True, "POST", "/api/v1/events", {"name": "/", "type": "page", "anonymous_id": "a"}),
    ("the schema has several channels for one metric, and wants just one", True, "POST", "/api/v1/metrics", {"delivery_id": "d", "metric": "opened"}),
    ("the schema lets every kind be absent, so that any object is all three", True, "POST", "/api/v1/merge_customers", {"primary": {"id": "a"}, "secondary": {"id": "b"}}),
    ("values that are no id are documented to be ignored", True, "POST", SEGMENT, {"ids": ["a", 5]}),
    ("a blank name is documented to be refused", False, "POST", CUSTOMER + "/events", {"name": " "}),
    ("v2 says of itself that numbers will do", True, "POST", ENTITY, WHO | {"action": "identify", "identifiers": {"id": 42}}),
    ("two widely used senders name anonymous people so", True, "POST", ENTITY, WHO | {"action": "event", "name": "Order", "identifiers": {"anonymous_id": "a"}}),
    ("the schema lets every kind be absent, so that any person is all three", True, "POST", ENTITY, ACME | {"action": "add_relationships", "cio_relationships": PEOPLE}),
    ("phones are in E.164, says the text", False, "POST", ENTITY, WHO | {"action": "identify", "identifiers": {"phone": "030"}}),
    ("a delivery without id reports nothing", False, "POST", ENTITY, {"type": "delivery", "action": "event", "identifiers": {}, "name": "opened", "attributes": {"device_token": "t"}}),
    ("a batch without batch is a mistake to be told of", False, "POST", "/api/v2/batch", {}),
]  # fmt: skip


def shortened(value: object) -> str:
    return str(value)[:60]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return found


def validator(document: dict[str, Any], *path: str) -> Draft202012Validator:
    """Of the schema at that place in the document."""
    registry = Registry().with_resource("urn:track", DRAFT202012.create_resource(document))
    pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
    return Draft202012Validator({"$ref": f"urn:track#/{pointer}"}, registry=registry)


def request_is_valid(document: dict[str, Any], method: str, path: str, body: Any) -> bool:
    place = ("paths", path, method.lower(), "requestBody", "content", "application/json", "schema")
    return bool(validator(document, *place).is_valid(body))


def send(track: Track, method: str, path: str, body: Any) -> httpx.Response:
    return track.http.request(method, path.format(**VALUES), json=body)


def check_answer(document: dict[str, Any], method: str, path: str, answer: httpx.Response) -> None:
    """The status is declared, and the body as its schema says; {} where there is none."""
    responses = document["paths"][path][method.lower()]["responses"]
    status = str(answer.status_code)
    if status == "400" and status not in responses:
        assert path in (CUSTOMER, "/api/v1/metrics", "/api/v1/push/events"), path
        return
    place = ["paths", path, method.lower(), "responses", status]
    declared = responses[status]
    if "$ref" in declared:
        place = declared["$ref"].removeprefix("#/").split("/")
        declared = document["components"]["responses"][place[-1]]
    schema = declared.get("content", {}).get("application/json", {}).get("schema")
    if schema is not None:
        validator(document, *place, "content", "application/json", "schema").validate(answer.json())
    elif answer.status_code == 200:
        assert answer.json() == {}


@pytest.mark.parametrize(("method", "path", "body"), AGREED, ids=shortened)
def test_the_sandbox_and_the_schema_agree(
    track: Track, document: dict[str, Any], method: str, path: str, body: Any
) -> None:
    """What one takes the other takes, and the answer is as declared."""
    answer = send(track, method, path, body)
    assert (answer.status_code < 300) is request_is_valid(document, method, path, body)
    check_answer(document, method, path, answer)


@pytest.mark.parametrize(("reason", "taken", "method", "path", "body"), EXCEPTIONS, ids=shortened)
def test_the_sandbox_differs_where_it_says(
    track: Track,
    document: dict[str, Any],
    reason: str,
    taken: bool,
    method: str,
    path: str,
    body: Any,
) -> None:
    """And nowhere that the schema has caught up with."""
    answer = send(track, method, path, body)
    assert (answer.status_code < 300) is taken, reason
    assert request_is_valid(document, method, path, body) is not taken, reason


def test_every_endpoint_and_operation_is_there(track: Track, document: dict[str, Any]) -> None:
    """Each path and method of the document is something else than 404 and 405."""
    values = {**VALUES, "device_id": "t"}
    for path, methods in document["paths"].items():
        for method in methods.keys() & {"get", "put", "post", "delete"}:
            answer = track.http.request(method.upper(), path.format(**values))
            assert answer.status_code not in (404, 405), (method, path)


def test_the_rest_of_the_answers(track: Track, document: dict[str, Any]) -> None:
    """207 of a batch, and the region but for its URL, which is the sandbox's own."""
    answer = track.post("/api/v2/batch", {"batch": [WHO]})
    assert answer.status_code == 207
    check_answer(document, "POST", "/api/v2/batch", answer)
    region = track.http.get("/api/v1/accounts/region").json()
    place = ("paths", "/api/v1/accounts/region", "get", "responses", "200")
    schema = validator(document, *place, "content", "application/json", "schema")
    assert [error.json_path for error in schema.iter_errors(region)] == ["$.url"]
