"""Ordering keys: one person has the same keys in every spelling. Rules 3.7, 3.8, 10.3."""

import json
from typing import Any

import pytest
from ciosidecar_transform import read_connection
from ciosidecar_transform.ordering import operation_keys, request_keys
from ciosidecar_transform.pipeline import transform_event
from ciosidecar_transform.requests import Request, RequestTemplate

from tests.unit.transform.support import NOW, as_json, destination, identify, track

V2 = RequestTemplate("POST", "https://track.customer.io", "v2/batch", {})


def keys_of(event: dict[str, Any], connection: Any = None, **settings: Any) -> set[str]:
    """The keys of what an event becomes."""
    to = destination(**settings)
    rows = read_connection(json.dumps(connection).encode()) if connection else None
    done = transform_event(as_json(event), to, source_type="", now=NOW, connection=rows)
    assert done.operation is not None, done.outcome
    assert done.event is not None
    return set(operation_keys(done.operation, done.event, by_phone=to.by_phone))


def keys_of_request(path: str, body: Any = None) -> set[str]:
    """The keys of a prepared request."""
    return set(request_keys(Request(V2, path, json.dumps(body).encode() if body else b"")))


def item(identifiers: dict[str, Any], **more: Any) -> set[str]:
    """The keys of a v2 batch with one item about a person."""
    batch_item = {"type": "person", "action": "event", "identifiers": identifiers, **more}
    return keys_of_request("/api/v2/batch", {"batch": [batch_item]})


ROW = {"type": "record", "action": "insert"}
SPELLINGS: dict[str, list[set[str]]] = {
    "cio_id": [
        keys_of(track(userId="cio_abc")),
        keys_of(track(userId="abc"), apiVersion="v2", userIdIdentifierType="cio_id"),
        keys_of(ROW | {"identifiers": {"cio_id": "abc"}}, {"object": "person"}),
        keys_of(
            ROW | {"identifiers": {"x": "abc"}},
            {"audienceId": 7, "identifierMappings": [{"to": "cio_id"}]},
        ),
        keys_of_request("/api/v1/customers/cio_abc"),
        keys_of_request("/api/v1/customers/cio%5Fabc/events", {"name": "E"}),
        keys_of_request("/api/v1/merge_customers", {"primary": {"cio_id": "abc"}}),
        keys_of_request("/api/v1/segments/7/add_customers?id_type=cio_id", {"ids": ["abc"]}),
        item({"cio_id": "abc"}),
        item({"cio_id": "cio_abc"}),
    ],
    "email": [
        keys_of(track(userId="Jane@Example.com")),
        keys_of(track(userId="JANE@example.com"), apiVersion="v2", userIdIdentifierType="email"),
        keys_of(track(userId=None, properties={"email": " jane@EXAMPLE.com "})),
        keys_of(ROW | {"identifiers": {"email": "jane@example.com\n"}}, {"object": "person"}),
        keys_of(identify(userId="u9", traits={"email": "jane@example.com"})),
        keys_of_request("/api/v1/customers/JANE%40example.com"),
        keys_of_request(
            "/api/v1/segments/7/add_customers?id_type=email", {"ids": ["jane@EXAMPLE.com"]}
        ),
        item({"email": "Jane@example.com"}),
        item({"id": "u9"}, action="identify", attributes={"email": "jane@example.COM"}),
    ],
    "id": [
        keys_of(track(userId=12345)),
        keys_of(track(userId="12345")),
        keys_of(track(userId=None, anonymousId="12345")),
        keys_of(identify(userId="cio_9", traits={"id": 12345})),
        keys_of(identify(userId="j@example.com", user_properties={"id": "12345"})),
        keys_of_request("/api/v1/customers/12345/devices", {"device": {"id": "token"}}),
        keys_of_request("/api/v1/events", {"name": "E", "anonymous_id": 12345}),
        item({"id": 12345}),
        item({"cio_id": "9"}, action="identify", attributes={"id": "12345"}),
    ],
    "phone": [
        keys_of(track(userId="+1 (555) 123-4567"), apiVersion="v2", userIdIdentifierType="phone"),
        keys_of(
            track(userId=None, context={"traits": {"phone": "+15551234567"}}),
            apiVersion="v2",
            phoneAsIdentifier=True,
        ),
        item({"phone": "+15551234567"}),
    ],
    "object": [
        keys_of({"type": "group", "groupId": 7, "traits": {"object_type_id": 2}}),
        keys_of(
            identify(
                userId="u9",
                traits={
                    "cio_relationships": [
                        {"identifiers": {"object_type_id": "2", "object_id": "7"}}
                    ]
                },
            )
        ),
        keys_of_request(
            "/api/v2/batch",
            {"batch": [{"type": "object", "identifiers": {"object_type_id": "2", "object_id": 7}}]},
        ),
    ],
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_every_pair_of_spellings_shares_a_key(kind: str) -> None:
    """3.7: a path, a body, an item and an event that name one person, or one object, stay in order."""
    for keys in SPELLINGS[kind]:
        for other_keys in SPELLINGS[kind]:
            assert keys & other_keys, (keys, other_keys)


def test_different_people_share_no_key() -> None:
    """What is about others is not kept waiting."""
    names = list(SPELLINGS)
    for name in names:
        for other in names[names.index(name) + 1 :]:
            assert not SPELLINGS[name][0] & SPELLINGS[other][0]
