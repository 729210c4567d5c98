"""Opt-in and dynamic settings through the server: by dashboard JSON and by typed fields. Rule 13."""

import json
from base64 import b64decode
from typing import Any

import pytest
from ciosidecar import Result, read_results, v1

from tests.conftest import Stub

GOOD = {"siteID": "site", "apiKey": "key"}


def config(**settings: Any) -> v1.Destination:
    """Destination 1 by its dashboard JSON."""
    return v1.Destination(reference_id=1, config_json=json.dumps(GOOD | settings).encode())


def typed(**settings: Any) -> v1.Destination:
    """Destination 1 by typed fields."""
    return v1.Destination(
        reference_id=1, typed=v1.DestinationSettings(site_id="site", api_key="key", **settings)
    )


async def results(stub: Stub, destination: v1.Destination, *events: dict[str, Any]) -> list[Any]:
    """The results of events, each with requests of its own, in one unary call."""
    items = [v1.BatchItem(json=json.dumps(event).encode(), dont_batch=True) for event in events]
    request = v1.TransformRequest(
        destinations=[destination], batch=v1.Batch(batch_id=1, destination=1, items=items)
    )
    response: Any = await stub.Transform(request)
    return list(read_results(response.results))


async def check(stub: Stub, destination: v1.Destination) -> Any:
    """What CheckDestination says."""
    return await stub.CheckDestination(v1.CheckDestinationRequest(destination=destination))


TRAITS = {
    "phone": "+15551234567",
    "empty": "",
    "day": "2024-01-02",
    "born": "2024-01-02",
    "was": "2024-01-02",
}
PROPERTIES = {"recipient": "r", "objectId": "o"}
EVENTS: list[dict[str, Any]] = [
    {"type": "identify", "traits": TRAITS},
    {"type": "identify", "userId": "u", "traits": TRAITS},
    {"type": "track", "userId": "u", "event": "User Suppressed"},
    {"type": "track", "userId": "u", "event": "e", "properties": PROPERTIES},
    {"type": "track", "event": "Object Deleted", "anonymousId": "an", "properties": PROPERTIES},
    {
        "type": "group",
        "groupId": "g",
        "anonymousId": "an",
        "traits": {"relationshipAttributes": {"a": 1}},
    },
]
ALL_JSON = {
    "apiVersion": "v2",
    "semanticEvents": True,
    "groupRelationships": "full",
    "phoneAsIdentifier": True,
    "updateOnly": True,
    "convertDates": True,
    "convertDatesAllow": ["day", "born"],
    "convertDatesDeny": ["born"],
    "emptyStrings": "drop",
    "reservedProperties": "prefix",
    "createdAtFallback": "none",
}
ALL_TYPED: dict[str, Any] = {
    "api_version": v1.ApiVersion.API_VERSION_V2,
    "semantic_events": True,
    "group_relationships": v1.GroupRelationships.GROUP_RELATIONSHIPS_FULL,
    "phone_as_identifier": True,
    "update_only": True,
    "convert_dates": True,
    "convert_dates_allow": ["day", "born"],
    "convert_dates_deny": ["born"],
    "empty_strings": v1.EmptyStrings.EMPTY_STRINGS_DROP,
    "reserved_properties": v1.ReservedProperties.RESERVED_PROPERTIES_PREFIX,
    "created_at_fallback": v1.CreatedAtFallback.CREATED_AT_FALLBACK_NONE,
}


@pytest.mark.parametrize(
    "destination", [config(**ALL_JSON), typed(**ALL_TYPED)], ids=["json", "typed"]
)
async def test_13_all_opt_ins_arrive(stub: Stub, destination: v1.Destination) -> None:
    """Both ways to say them mean the same, and they work together."""
    found = await results(stub, destination, *EVENTS)
    assert [one.status for one in found] == [200] * len(EVENTS)
    items = [json.loads(one.requests[0].body)["batch"][0] for one in found]
    by_phone, by_id, suppress, event, deletion, group = items
    assert by_phone["identifiers"] == {"phone": "+15551234567"}
    kept = {"_update": True, "phone": "+15551234567", "day": 1704153600}
    assert by_phone["attributes"] == by_id["attributes"]
    assert by_id["attributes"] == kept | {"born": "2024-01-02", "was": "2024-01-02"}
    assert suppress["action"] == "suppress"
    assert event["attributes"] == {"event_recipient": "r", "objectId": "o"}
    assert (deletion["type"], deletion["action"]) == ("object", "delete")
    assert group["action"] == "identify_anonymous"
    assert group["cio_relationships"][0]["relationship_attributes"] == {"a": 1}


@pytest.mark.parametrize("destination", [config(), typed()], ids=["json", "typed"])
async def test_13_nothing_of_it_happens_by_default(stub: Stub, destination: v1.Destination) -> None:
    """The same events, as the rules before have them."""
    found = await results(stub, destination, *EVENTS)
    assert [one.status for one in found] == [400, 200, 200, 200, 200, 200]
    bodies = [json.loads(one.requests[0].body) for one in found[1:]]
    assert bodies[0].items() >= TRAITS.items()
    assert [body["name"] for body in bodies[1:4]] == ["User Suppressed", "e", "Object Deleted"]
    assert bodies[2]["data"] == PROPERTIES
    item = bodies[4]["batch"][0]
    assert (item["action"], item["cio_relationships"]) == ("identify", [])


async def test_13_4_a_combination_that_cannot_work_is_refused_everywhere(stub: Stub) -> None:
    """By CheckDestination, at declaration, and for every event."""
    destination = config(phoneAsIdentifier=True)
    answer = await check(stub, destination)
    assert not answer.usable
    assert [(one.key, one.fatal) for one in answer.problems] == [("phoneAsIdentifier", True)]
    (result,) = await results(stub, destination, EVENTS[1])
    assert result.status == 400
    assert result.error.code == "INVALID_DESTINATION"
    assert 'needs apiVersion "v2"' in result.error.message


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("group_relationships", "groupRelationships"),
        ("empty_strings", "emptyStrings"),
        ("reserved_properties", "reservedProperties"),
    ],
)
async def test_a_choice_of_a_newer_contract_is_refused(stub: Stub, field: str, key: str) -> None:
    """An enum number this server does not know is an error, not the default."""
    answer = await check(stub, typed(**{field: 9}))
    assert [one.key for one in answer.problems] == [key]


@pytest.mark.parametrize(
    "destination",
    [
        config(apiKey="{{ context.key }}", region="{{ context.region || US }}"),
        v1.Destination(
            reference_id=1,
            typed=v1.DestinationSettings(site_id="site", api_key="{{ context.key }}"),
        ),
    ],
    ids=["json", "typed"],
)
async def test_13_1_each_event_chooses_its_workspace(
    stub: Stub, destination: v1.Destination
) -> None:
    """Those that cannot are refused by themselves; CheckDestination says which keys depend on it."""
    answer = await check(stub, destination)
    assert answer.usable
    assert "apiKey" in [one.key for one in answer.problems]
    assert not any(one.fatal for one in answer.problems)
    event = {"type": "track", "userId": "u", "event": "e"}
    keys: list[Any] = ["one", "two", None, "{{ userId }}", "one"]
    found = await results(stub, destination, *(event | {"context": {"key": key}} for key in keys))
    assert [one.status for one in found] == [200, 200, 400, 400, 200]
    assert [key_of(one) for one in found if one.status == 200] == ["one", "two", "one"]
    for one in found[2:4]:
        assert one.error.code == "INVALID_DESTINATION"
        assert "apiKey" in one.error.message
        assert "userId" not in one.error.message


def key_of(result: Result) -> str:
    """The API key that a result's request carries."""
    authorization = result.requests[0].headers["Authorization"]
    return b64decode(authorization.removeprefix("Basic ")).decode().split(":")[1]


async def test_13_2_what_is_missing_is_named(stub: Stub) -> None:
    """MISSING_PROPERTY is the event's matter."""
    event = {"type": "track", "userId": "u", "event": "Report Delivery Event"}
    (result,) = await results(stub, config(semanticEvents=True), event)
    assert (result.status, result.error.code) == (400, "MISSING_PROPERTY")
    assert result.error.type == "instrumentation"
    assert not result.error.retryable
    assert "properties.deliveryId" in result.error.message
