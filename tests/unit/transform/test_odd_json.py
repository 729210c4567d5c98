"""Any JSON value in any field: an answer, never a fault. Rules 1.1, 1.4, 1.5."""

import json
from typing import Any

import pytest
from ciosidecar_transform import transform

from tests.unit.transform.support import NOW, destination

FIELDS = [
    "type",
    "messageId",
    "userId",
    "anonymousId",
    "previousId",
    "groupId",
    "event",
    "name",
    "channel",
    "timestamp",
    "originalTimestamp",
    "properties",
    "user_properties",
    "context",
    "integrations",
    "traits",
]
PATHS: list[tuple[str, ...]] = [(field,) for field in FIELDS]
PATHS += [
    ("traits", name)
    for name in [
        *("id", "userId", "email", "address", "createdAt", "unsubscribed", "cio_id", "action"),
        *("objectTypeId", "groupId", "anonymousId", "timestamp", "cio_relationships", "__proto__"),
    ]
]
PATHS += [("traits", "address", "city"), ("traits", "address", "__proto__")]
PATHS += [("properties", name) for name in ["name", "url", "path", "email", "action", "timestamp"]]
PATHS += [
    ("context", name)
    for name in [
        *("traits", "mappedToDestination", "externalId", "device", "os", "app", "library"),
        *("locale", "consentManagement", "timestamp", "__proto__"),
    ]
]
PATHS += [("context", "traits", name) for name in ["id", "userId", "email", "createdAt"]]
PATHS += [("context", "device", name) for name in ["token", "type", "model"]]
PATHS += [("context", place, "name") for place in ["os", "library"]]
PATHS += [("context", "app", "version"), ("context", "externalId", "*")]
PATHS += [("context", "consentManagement", name) for name in ["deniedConsentIds", "provider"]]

VALUES = {
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "zero": b"0",
    "minus-zero": b"-0.0",
    "float": b"1.5",
    "bigint": b"12345678901234567890123",
    "digits": b"9" * 5000,
    "vast": b"1e400",
    "minus-vast": b"-1e400",
    "tiny": b"1e-400",
    "blank": b'""',
    "space": '" \u3000"'.encode(),
    "nul": b'"\\u0000"',
    "half": b'"\\ud83d"',
    "other-half": b'"x\\udc00\\ud800"',
    "emoji": '"😀"'.encode(),
    "dots": b'".."',
    "slashes": b'"../v2/batch?x#y"',
    "newlines": b'"a\\r\\nX: y"',
    "proto": b'"__proto__"',
    "email": b'"a@b.co"',
    "date": b'"2024-01-02T03:04:05.678Z"',
    "long": b'"' + "é".encode() * 3000 + b'"',
    "array": b"[]",
    "array-of-array": b"[[[1e400,null,true]]]",
    "half-in-array": b'[["\\ud83d"]]',
    "half-as-name": b'{"\\udfff":0}',
    "vast-and-half": b'[1e400,"\\ud83d"]',
    "array-of-object": b'[{"id":{},"identifierType":[],"consent":1},null]',
    "object": b"{}",
    "object-of-odd": b'{"":null,"__proto__":{"x":1e400},"id":[],"city":{},"name":5}',
    "duplicates": b'{"a":1,"a":[],"id":"x","id":{}}',
    "deep": b"[" * 480 + b"]" * 480,
}
TYPES = ["identify", "track", "page", "screen", "alias", "group", "record", "device", "uninstalled"]
CONFIGS = [
    {},
    {
        "deviceTokenEventName": "e",
        "identifyFallback": "email",
        "consentManagement": [{"provider": "custom", "consents": [{"consent": "a"}]}],
        "oneTrustCookieCategories": [{"oneTrustCookieCategory": "c"}],
        "connectionMode": {"web": "device"},
    },
]


def usual(kind: str) -> dict[str, Any]:
    """An event in which every field has its usual value."""
    events = {"device": "Application Opened", "uninstalled": "Application Uninstalled"}
    return {
        "type": "track" if kind in events else kind,
        "messageId": "m",
        "userId": "u",
        "anonymousId": "a",
        "previousId": "p",
        "groupId": "g",
        "event": events.get(kind, "e"),
        "name": "n",
        "channel": "sources",
        "timestamp": "2024-01-02T03:04:05.678Z",
        "properties": {"a": 1},
        "traits": {"email": "a@b.co", "address": {"city": "C"}},
        "context": {
            "traits": {"b": 1},
            "mappedToDestination": True,
            "externalId": [{"id": "ext", "identifierType": "crm"}],
            "device": {"token": "t", "type": "ios"},
            "os": {"name": "iOS"},
            "consentManagement": {"deniedConsentIds": ["z"], "provider": "custom"},
        },
    }


def with_value(kind: str, path: tuple[str, ...], raw: bytes, *, alone: bool) -> bytes:
    """The usual event with another value at the path; alone: and without user and mapping."""
    event = usual(kind)
    if alone:
        del event["userId"], event["anonymousId"], event["context"]["mappedToDestination"]
    place: Any = event
    for name in path[:-1]:
        place = place.setdefault(name, {}) if isinstance(place, dict) else place[0]
    if isinstance(place, list):
        place[0] = "@@"
    else:
        place[path[-1]] = "@@"
    return json.dumps(event, ensure_ascii=False).encode().replace(b'"@@"', raw)


@pytest.mark.parametrize("raw", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("alone", [False, True], ids=["mapped", "nobody"])
@pytest.mark.parametrize("config", CONFIGS, ids=["plain", "configured"])
def test_1_4_any_value_anywhere_gets_an_answer(
    kind: str, raw: bytes, config: dict[str, Any], *, alone: bool
) -> None:
    """Transformed, filtered or refused: no value in any field is our own fault."""
    wanted = destination(**config)
    for path in PATHS:
        event = with_value(kind, path, raw, alone=alone)
        outcome, requests = transform(event, wanted, now=NOW)
        assert outcome.status in (200, 298, 400), path
        assert len(requests) == (outcome.status == 200), path
        assert (outcome.error is None) == (outcome.status != 400), path
        if b"\\ud83d" in event or b"\\udfff" in event or b"\\udc00" in event:
            assert "LONE_SURROGATE" in {warning.code.value for warning in outcome.warnings}, path
        for request in requests:
            assert request.path.isascii(), path
            assert not set(request.path) & set(" \r\n?#\\"), path
            assert "/../" not in f"{request.path}/", path
            assert_json(request.body)


def assert_json(body: bytes) -> None:
    """The body is strict JSON in UTF-8: no NaN, no half emoji."""
    if body:
        body_json = json.loads(body, parse_constant=pytest.fail, parse_int=str)
        json.dumps(body_json, ensure_ascii=False).encode()
