"""Compare what the sandbox takes and answers with the description of the Track API."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.sandbox.support import Track
from tests.track_api.endpoints import ENDPOINTS, REGION, endpoint, is_valid

CUSTOMER = "/api/v1/customers/{identifier}"
SEGMENT = "/api/v1/segments/{segment_id}/add_customers"
FORM = "/api/v1/forms/{form_id}/submit"
ENTITY = "/api/v2/entity"
VALUES = {
    "identifier": "u1",
    "segment_id": "7",
    "form_id": "signup",
    "delivery_id": "d1",
    "device_id": "t",
}
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

# Well-formed as its documentation has it, in words or in the answers it gives.
AGREED += [
    ("PUT", CUSTOMER, {"a": 1.5}),
    ("PUT", CUSTOMER, {"a": [1]}),
    ("PUT", CUSTOMER, {"a": None}),
    ("PUT", CUSTOMER, {"unsubscribed": "true"}),
    ("POST", CUSTOMER + "/events", {"name": "Home", "type": "screen"}),
    ("POST", CUSTOMER + "/events", {"name": " "}),
    ("POST", "/api/v1/events", {"name": "/", "type": "page", "anonymous_id": "a"}),
    ("POST", "/api/v1/metrics", {"delivery_id": "d", "metric": "opened"}),
    ("POST", "/api/v1/merge_customers", {"primary": {"id": "a"}, "secondary": {"id": "b"}}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {"id": 42}}),
    ("POST", ENTITY, WHO | {"action": "identify", "identifiers": {"phone": "030"}}),
    ("POST", ENTITY, WHO | {"action": "event", "name": "A", "identifiers": {"anonymous_id": "a"}}),
    ("POST", ENTITY, ACME | {"action": "add_relationships", "cio_relationships": PEOPLE}),
    (
        "POST",
        ENTITY,
        {
            "type": "delivery",
            "action": "event",
            "identifiers": {},
            "name": "opened",
            "attributes": {"device_token": "t"},
        },
    ),
    ("POST", "/api/v2/batch", {}),
]

# What is not well-formed and is taken all the same, on purpose: the reason, and the request.
TAKEN_ANYWAY: list[tuple[str, str, str, Any]] = [
    ("an unusable time is documented to become now", "PUT", CUSTOMER, {"_timestamp": "soon"}),
    ("the same", "POST", CUSTOMER + "/events", {"name": "Order", "timestamp": "soon"}),
    (
        "any other type is documented to become event",
        "POST",
        CUSTOMER + "/events",
        {"name": "Order", "type": "sing"},
    ),
    ("values that are no id are documented to be ignored", "POST", SEGMENT, {"ids": ["a", 5]}),
]


def shortened(value: object) -> str:
    return str(value)[:60]


def send(track: Track, method: str, path: str, body: Any) -> httpx.Response:
    return track.http.request(method, path.format(**VALUES), json=body)


def check_answer(method: str, path: str, answer: httpx.Response) -> None:
    """Check that the answer's status is documented and that its body fits."""
    answers = endpoint(method, path).answers
    if answer.status_code == 400 and 400 not in answers:
        assert path in ("/api/v1/metrics", "/api/v1/push/events"), path
        return
    body = answer.json() if answer.content else {}
    Draft202012Validator(answers[answer.status_code]).validate(body)


@pytest.mark.parametrize(("method", "path", "body"), AGREED, ids=shortened)
def test_the_sandbox_and_the_schema_agree(track: Track, method: str, path: str, body: Any) -> None:
    """What one takes the other takes, and the answer is as documented."""
    answer = send(track, method, path, body)
    assert (answer.status_code < 300) is is_valid(method, path, body)
    check_answer(method, path, answer)


@pytest.mark.parametrize(("reason", "method", "path", "body"), TAKEN_ANYWAY, ids=shortened)
def test_the_sandbox_takes_more_where_it_says(
    track: Track, reason: str, method: str, path: str, body: Any
) -> None:
    """And nowhere that the description has caught up with."""
    assert send(track, method, path, body).status_code < 300, reason
    assert not is_valid(method, path, body), reason


def test_every_endpoint_is_there(track: Track) -> None:
    """Each path and method of the description is something else than 404 and 405."""
    for call in ENDPOINTS:
        answer = track.http.request(call.method, call.path.format(**VALUES))
        assert answer.status_code not in (404, 405), call


def test_the_rest_of_the_answers(track: Track) -> None:
    """207 of a batch, and the region but for its URL, which is the sandbox's own."""
    answer = track.post("/api/v2/batch", {"batch": [WHO]})
    assert answer.status_code == 207
    check_answer("POST", "/api/v2/batch", answer)
    region = track.http.get("/api/v1/accounts/region").json()
    problems = Draft202012Validator(REGION).iter_errors(region)
    assert [problem.json_path for problem in problems] == ["$.url"]
