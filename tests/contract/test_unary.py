"""The unary calls: Transform, GetCapabilities, CheckDestination, health and reflection."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import read_results, v1
from ciosidecar_server.app import SERVICE_NAME, Sidecar
from ciosidecar_server.settings import Settings
from ciosidecar_transform import native
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.conftest import CONFIG, Stub, batch, destination

WITH = b'{"siteID": "site", "apiKey": "key", %b}'
CASES = [
    json.loads(line) for line in Path("tests/vectors/track_v1.jsonl").read_bytes().splitlines()
]
TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


async def transform(stub: Stub, *items: v1.BatchItem, **found: Any) -> v1.Results:
    """The results of items for destination 1."""
    found.setdefault("destinations", [destination()])
    one = v1.Batch(batch_id=1, destination=1, items=items)
    response: Any = await stub.Transform(v1.TransformRequest(batch=one, **found))
    return response.results  # type: ignore[no-any-return]


async def test_transform_answers_a_whole_batch_in_one_message(stub: Stub) -> None:
    """Everything a batch refers to travels with it; nothing is remembered."""
    results = await transform(stub, v1.BatchItem(json=TRACK), v1.BatchItem(json=b"[]"))
    assert list(results.statuses) == [200, 400]
    assert results.batch_complete
    forgotten = await transform(stub, v1.BatchItem(json=TRACK), destinations=[destination(2)])
    assert list(forgotten.statuses) == [503]


async def test_transform_refuses_a_batch_that_is_too_large(connect: Any) -> None:
    """INVALID_ARGUMENT names the field and the limit."""
    stub = await connect(max_batch_events=2)
    request = v1.TransformRequest(destinations=[destination()], batch=batch(*[TRACK] * 3))
    with pytest.raises(aio.AioRpcError) as failure:
        await stub.Transform(request)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.value.details() == "batch.items: 3 events where a batch may hold 2"


async def test_capabilities(stub: Stub) -> None:
    """Versions, API versions, event types, the implementation: what a caller asks once."""
    found: Any = await stub.GetCapabilities(v1.GetCapabilitiesRequest())
    assert found.protocol_version == "ciosidecar.v1"
    both = [v1.ApiVersion.API_VERSION_V1, v1.ApiVersion.API_VERSION_V2]
    assert list(found.api_versions) == both
    assert set(found.features) == {v1.Feature.FEATURE_DELIVERY, v1.Feature.FEATURE_PROBE}
    assert found.implementation == native.implementation()
    assert set(found.event_types) >= {"identify", "track", "page", "screen", "alias", "group"}


@pytest.mark.parametrize(
    ("config", "usable", "key"),
    [
        (CONFIG, True, None),
        (b'{"siteID": "site", "apiKey": "{{ a || b }}"}', True, "apiKey"),
        (b'{"siteID": "site", "apiKey": "{{ a b || c }}"}', False, "apiKey"),
        (b'{"siteID": "site", "apiKey": "key", "apiVersion": "v3"}', False, "apiVersion"),
        (WITH % b'"connectionMode": 5', True, "connectionMode"),
        (WITH % b'"connectionMode": {"web": "{{ a || cloud }}"}', True, "connectionMode"),
        (WITH % b'"useNativeSDK": {"web": "yes"}', True, "useNativeSDK"),
        (WITH % b'"consentManagement": {"web": 5}', True, "consentManagement"),
        (WITH % b'"consentManagement": [{"provider": "custom"}]', True, "consentManagement"),
        (WITH % b'"ketchConsentPurposes": [{"purpose": 5}]', True, "ketchConsentPurposes"),
        (WITH % b'"oneTrustCookieCategories": ["c"]', True, "oneTrustCookieCategories"),
        (WITH % b'"oneTrustCookieCategories": [{"oneTrustCookieCategory": ""}]', True, None),
    ],
    ids=[
        "good",
        "template",
        "broken-template",
        "choice",
        "mode-number",
        "mode-template",
        "native-text",
        "consent-number",
        "consent-entry",
        "purpose-number",
        "category-text",
        "blank-is-usual",
    ],
)
async def test_check_destination(stub: Stub, config: bytes, usable: bool, key: str | None) -> None:
    """11.1, 11.3: what is wrong, by key, and whether it matters."""
    request = v1.CheckDestinationRequest(destination=v1.Destination(config_json=config))
    answer: Any = await stub.CheckDestination(request)
    assert answer.usable is usable
    assert [problem.key for problem in answer.problems] == ([key] if key else [])
    assert all(problem.fatal is not usable for problem in answer.problems)


async def test_typed_settings_mean_the_same_as_the_dashboards(stub: Stub) -> None:
    """Every typed setting arrives: region, device event, fallbacks, ids, filters."""
    typed = v1.DestinationSettings(
        site_id="site",
        api_key="key",
        region=v1.Region.REGION_EU,
        device_token_event_name="token_set",
        identify_fallback=v1.IdentifyFallback.IDENTIFY_FALLBACK_EMAIL,
        created_at_fallback=v1.CreatedAtFallback.CREATED_AT_FALLBACK_NONE,
        event_ids=v1.EventIds.EVENT_IDS_NONE,
        connection_mode={"web": v1.ConnectionMode.CONNECTION_MODE_DEVICE},
        use_native_sdk={"ios": True},
        consent_rules=[
            v1.ConsentRule(
                provider="custom",
                resolution_strategy=v1.ResolutionStrategy.RESOLUTION_STRATEGY_OR,
                consents=["c"],
            )
        ],
        one_trust_cookie_categories=["ads"],
        ketch_consent_purposes=["mail"],
    )
    settings = [v1.Destination(reference_id=1, typed=typed)]
    event: dict[str, Any] = {"type": "identify", "anonymousId": "a", "traits": {"email": "a@b.co"}}
    device = {"type": "track", "event": "token_set", "userId": "u", "messageId": "m"}
    device["context"] = {"device": {"token": "t", "type": "ios"}}  # type: ignore[assignment]
    denied = {"type": "track", "event": "e", "userId": "u", "messageId": "m"}
    consents = [("custom", "c"), ("oneTrust", "ads"), ("ketch", "mail")]
    refused = [
        denied
        | {"context": {"consentManagement": {"provider": provider, "deniedConsentIds": [consent]}}}
        for provider, consent in consents
    ]
    items = [
        v1.BatchItem(json=json.dumps(one).encode()) for one in (event, device, *refused, denied)
    ]
    items += [
        v1.BatchItem(json=TRACK, source_type="web"),
        v1.BatchItem(json=TRACK, source_type="ios"),
    ]
    results = await transform(stub, *items, destinations=settings)
    found = list(read_results(results))
    assert [one.status for one in found] == [200, 200, 298, 298, 298, 200, 298, 298]
    identify, add_device, event_without_id = (found[index].requests[0] for index in (0, 1, 5))
    assert identify.url == "https://track-eu.customer.io/api/v1/customers/a%40b.co"
    assert "created_at" not in json.loads(identify.body)
    assert add_device.endpoint_path == "v1/customers/devices"
    assert "id" not in json.loads(event_without_id.body)
    reasons = [one.filter_reason for one in found if one.status == 298]
    assert reasons == ["CONSENT"] * 3 + ["DEVICE_MODE"] * 2


async def test_a_setting_of_a_newer_contract_is_refused(stub: Stub) -> None:
    """An enum number this server does not know is an error, not the default."""
    typed = v1.DestinationSettings(site_id="site", api_key="key", region=9)  # type: ignore[arg-type]
    request = v1.CheckDestinationRequest(destination=v1.Destination(typed=typed))
    answer: Any = await stub.CheckDestination(request)
    assert [problem.key for problem in answer.problems] == ["datacenter"]


async def test_a_typed_message_becomes_its_json_form(stub: Stub) -> None:
    """Fields, Struct and raw JSON arrive as the event they spell; Struct keeps whole numbers whole."""
    fields = Struct()
    fields.update({"n": 42, "half": 0.5, "list": [1, None, True, {"a": "b"}]})
    message = v1.RudderEvent(
        type="Track",
        user_id="u1",
        event="Order",
        message_id="m1",
        timestamp=Timestamp(seconds=1_704_164_645, nanos=678_000_000),
        original_timestamp=Timestamp(seconds=1_704_164_644),
        properties=v1.JsonObject(json=b'{"big": 12345678901234567890, "f": 1.0}'),
    )
    structured = v1.RudderEvent(type="track", user_id="u1", event="Order")
    structured.properties.fields.CopyFrom(fields)
    results = await transform(stub, v1.BatchItem(event=message), v1.BatchItem(event=structured))
    first, second = (one.requests[0].body for one in read_results(results))
    assert b'"data":{"big":12345678901234567890,"f":1.0}' in first
    assert json.loads(first)["timestamp"] == 1_704_164_645
    assert json.loads(first)["id"].startswith("01HK421N50")
    assert b'"n":42' in second
    assert json.loads(second)["data"]["list"] == [1, None, True, {"a": "b"}]


async def test_the_event_id_of_a_typed_message_does_not_depend_on_spelling(stub: Stub) -> None:
    """5.6: neither the order of a Struct's fields nor white space in JSON makes another event."""
    bodies = []
    for names in ("abcdefgh", "hgfedcba"):
        message = v1.RudderEvent(type="track", user_id="u1", event="Order", message_id="m1")
        for name in names:
            message.properties.fields.fields[name].number_value = 1
        results = await transform(stub, v1.BatchItem(event=message))
        bodies += [one.requests[0].body for one in read_results(results)]
    for text in (b'{"a":1,"b":[2]}', b' { "a" : 1 ,\n "b" : [ 2 ] } '):
        message = v1.RudderEvent(type="track", user_id="u1", event="Order", message_id="m1")
        message.properties.json = text
        results = await transform(stub, v1.BatchItem(event=message))
        bodies += [one.requests[0].body for one in read_results(results)]
    ids = [json.loads(body)["id"] for body in bodies]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert list(json.loads(bodies[0])["data"]) == list("abcdefgh")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b'{"a":1}', 200),
        (b'{"a":"\\ud83d"}', 200),
        (b"", 200),
        (b'{"a":1},"userId":"evil"', 400),
        (b'{"a":"\\ud83d"},"userId":"evil"', 400),
        (b"\xff", 400),
        (b"[" * 10_000, 400),
    ],
    ids=["good", "surrogate", "empty", "breaks-out", "breaks-out-2", "not-utf-8", "nested"],
)
async def test_raw_json_of_a_message_stays_in_its_place(
    stub: Stub, text: bytes, status: int
) -> None:
    """JSON members cannot break out of their place in the event."""
    message = v1.RudderEvent(
        type="track", user_id="u1", event="E", properties=v1.JsonObject(json=text)
    )
    results = await transform(stub, v1.BatchItem(event=message))
    assert list(results.statuses) == [status]
    assert b"evil" not in results.SerializeToString()


async def test_every_vector_through_the_server(stub: Stub) -> None:
    """Statuses of all worked cases, each with its own destination, in one unary call."""
    destinations = [
        destination(number, json.dumps(case["config"]).encode())
        for number, case in enumerate(CASES, 1)
    ]
    items = [
        v1.BatchItem(json=json.dumps(case["event"]).encode(), destination=number, dont_batch=True)
        for number, case in enumerate(CASES, 1)
    ]
    results = await transform(stub, *items, destinations=destinations)
    by_kind = {"requests": 200, "filtered": 298, "error": 400}
    disagree = {
        case["name"]
        for case, status in zip(CASES, results.statuses, strict=True)
        if by_kind[next(iter(case["expect"].keys() & by_kind.keys()))] != status
    }
    assert not disagree


async def test_health_and_reflection() -> None:
    """grpc.health.v1 answers for the server and the service; reflection lists the service."""
    sidecar = Sidecar(Settings(listen=("127.0.0.1:0",)))
    (address,) = await sidecar.start()
    async with aio.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE_NAME):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    names = await _reflected(address)
    assert {SERVICE_NAME, "grpc.health.v1.Health"} <= set(names)
    await sidecar.stop_at_once()


async def _reflected(address: str) -> list[str]:
    def ask() -> list[str]:
        with grpc.insecure_channel(address) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    return await asyncio.to_thread(ask)
