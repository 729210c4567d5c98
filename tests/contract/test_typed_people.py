"""The kind of user ids, and whom there is a profile for, through the server. Rules 3.8, 4.8b, 13.9.

By dashboard JSON and by typed settings; events as JSON and as typed messages.
"""

import json
from typing import Any

import pytest
from ciosidecar import read_results, v1
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from tests.conftest import Stub

KINDS = {
    "id": v1.UserIdKind.USER_ID_KIND_ID,
    "email": v1.UserIdKind.USER_ID_KIND_EMAIL,
    "phone": v1.UserIdKind.USER_ID_KIND_PHONE,
    "cio_id": v1.UserIdKind.USER_ID_KIND_CIO_ID,
}
PROFILES = {
    "everyone": v1.Profiles.PROFILES_EVERYONE,
    "identified": v1.Profiles.PROFILES_IDENTIFIED,
    "withEmail": v1.Profiles.PROFILES_WITH_EMAIL,
}
V2 = v1.ApiVersion.API_VERSION_V2
ACME = {"identifiers": {"object_type_id": "1", "object_id": "acme"}}


def by_json(**settings: Any) -> v1.Destination:
    """Destination 1 by its dashboard JSON."""
    config = {"siteID": "site", "apiKey": "key", "createdAtFallback": "none"} | settings
    return v1.Destination(reference_id=1, config_json=json.dumps(config).encode())


def by_fields(**settings: Any) -> v1.Destination:
    """Destination 1 by typed fields."""
    none = v1.CreatedAtFallback.CREATED_AT_FALLBACK_NONE
    typed = v1.DestinationSettings(
        site_id="site", api_key="key", created_at_fallback=none, **settings
    )
    return v1.Destination(reference_id=1, typed=typed)


async def results(stub: Stub, destination: v1.Destination, *items: v1.BatchItem) -> list[Any]:
    """The results of items, in one unary call."""
    request = v1.TransformRequest(
        destinations=[destination], batch=v1.Batch(batch_id=1, destination=1, items=items)
    )
    response: Any = await stub.Transform(request)
    return list(read_results(response.results))


def as_json(event: dict[str, Any]) -> v1.BatchItem:
    """An event as JSON, which shares no request."""
    return v1.BatchItem(json=json.dumps(event).encode(), dont_batch=True)


def as_message(event: dict[str, Any], *, struct: bool) -> v1.BatchItem:
    """The same as a typed message: its objects as Struct, or as JSON."""
    message = v1.RudderEvent(type=event["type"], user_id=event.get("userId", ""))
    message.anonymous_id = event.get("anonymousId", "")
    message.group_id = event.get("groupId", "")
    message.event = event.get("event", "")
    for name in ("traits", "properties", "user_properties", "context"):
        if name in event and struct:
            getattr(message, name).fields.CopyFrom(ParseDict(event[name], Struct()))
        elif name in event:
            getattr(message, name).json = json.dumps(event[name]).encode()
    return v1.BatchItem(event=message, dont_batch=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_3_8_a_typed_kind_means_what_the_dashboard_s_means(stub: Stub, kind: str) -> None:
    """Good ids, bad ones, and an identify without: no fallback is given in typed settings either."""
    ids = ["u", "jane@example.com", "+1 (555) 123-4567", "cio_abc", "cio_"]
    events = [{"type": "identify", "userId": one} for one in ids]
    events += [{"type": "identify", "anonymousId": "a"}]
    outcomes = []
    for destination in (
        by_json(apiVersion="v2", userIdIdentifierType=kind),
        by_fields(api_version=V2, user_id_kind=KINDS[kind]),
    ):
        found = await results(stub, destination, *map(as_json, events))
        outcomes.append([(one.status, [request.body for request in one.requests]) for one in found])
        assert found[-1].error.code == "MISSING_IDENTITY"
    assert outcomes[0] == outcomes[1]
    good = {"id": 5, "email": 1, "phone": 1, "cio_id": 4}[kind]
    assert [status for status, _ in outcomes[0]].count(200) == good


async def test_3_8_a_typed_fallback_counts_as_given(stub: Stub) -> None:
    """UNSPECIFIED does not; ANONYMOUS_ID does."""
    given = v1.IdentifyFallback.IDENTIFY_FALLBACK_ANONYMOUS_ID
    destination = by_fields(api_version=V2, user_id_kind=KINDS["email"], identify_fallback=given)
    (one,) = await results(stub, destination, as_json({"type": "identify", "anonymousId": "a"}))
    (item,) = json.loads(one.requests[0].body)["batch"]
    assert item["identifiers"] == {"id": "a"}


@pytest.mark.parametrize("profiles", PROFILES)
async def test_13_9_typed_profiles_mean_what_the_dashboard_s_mean(
    stub: Stub, profiles: str
) -> None:
    """Filtered with status 298 and reason ANONYMOUS."""
    events: list[dict[str, Any]] = [
        {"type": "track", "event": "e", "anonymousId": "a"},
        {"type": "identify", "userId": "u"},
        {"type": "identify", "userId": "u", "traits": {"email": "a@b.co"}},
    ]
    reasons = {
        "everyone": ["", "", ""],
        "identified": ["ANONYMOUS", "", ""],
        "withEmail": ["ANONYMOUS", "ANONYMOUS", ""],
    }[profiles]
    for destination in (by_json(profiles=profiles), by_fields(profiles=PROFILES[profiles])):
        found = await results(stub, destination, *map(as_json, events))
        assert [one.filter_reason or "" for one in found] == reasons
        assert [one.status for one in found] == [298 if reason else 200 for reason in reasons]


@pytest.mark.parametrize(
    ("field", "key"), [("user_id_kind", "userIdIdentifierType"), ("profiles", "profiles")]
)
async def test_a_number_of_a_newer_contract_is_refused(stub: Stub, field: str, key: str) -> None:
    """It is an error, not the default."""
    destination = by_fields(api_version=V2, **{field: 9})
    answer: Any = await stub.CheckDestination(v1.CheckDestinationRequest(destination=destination))
    assert not answer.usable
    assert [(one.key, one.fatal) for one in answer.problems] == [(key, True)]


async def test_3_8_with_v1_the_typed_kind_is_reported(stub: Stub) -> None:
    """Without effect, and the destination works."""
    destination = by_fields(user_id_kind=KINDS["phone"])
    answer: Any = await stub.CheckDestination(v1.CheckDestinationRequest(destination=destination))
    assert answer.usable
    assert [(one.key, one.fatal) for one in answer.problems] == [("userIdIdentifierType", False)]


EVENTS: dict[str, dict[str, Any]] = {
    "placeholder": {"type": "identify", "userId": "undefined", "anonymousId": "a"},
    "created_at": {"type": "identify", "userId": "u", "traits": {"created_at": "2024-01-02"}},
    "seconds": {"type": "identify", "userId": "u", "traits": {"created_at": 1704164645}},
    "millis": {"type": "identify", "userId": "u", "traits": {"_timestamp": 1704164645678}},
    "anonymous id": {"type": "identify", "userId": "u", "user_properties": {"anonymous_id": 12}},
    "topics": {
        "type": "identify",
        "userId": "u",
        "traits": {"cio_subscription_preferences": {"topics": {"a": 1, "b": "no", "c": 2}}},
    },
    "adds": {"type": "identify", "userId": "u", "traits": {"cio_relationships": [ACME]}},
    "removes": {
        "type": "identify",
        "userId": "u",
        "traits": {
            "cio_relationships": {"action": "delete_relationships", "relationships": [ACME]}
        },
    },
    "new id": {"type": "identify", "userId": "cio_abc", "traits": {"id": 12345}},
    "email": {"type": "identify", "userId": "u", "traits": {"email": " a@b.co "}},
    "name": {"type": "track", "userId": "u", "event": " Paid "},
    "page": {"type": "page", "userId": "u", "context": {"page": {"title": "Home"}}},
    "object type": {"type": "group", "groupId": "g", "traits": {"objectTypeId": 2}},
    "no object type": {"type": "group", "groupId": "g", "traits": {"objectTypeId": 7.5}},
}


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
async def test_a_typed_message_fares_as_its_json(
    stub: Stub, event: dict[str, Any], api_version: str
) -> None:
    """The same request, the same warnings, the same refusal; numbers of a Struct are doubles."""
    items = [as_json(event), as_message(event, struct=True), as_message(event, struct=False)]
    found = await results(stub, by_json(apiVersion=api_version), *items)
    outcomes = [
        (
            one.status,
            sorted(warning.code for warning in one.warnings),
            one.error.code if one.error else None,
            [(request.url, json.loads(request.body)) for request in one.requests],
        )
        for one in found
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]
