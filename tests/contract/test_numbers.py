"""Numbers and enums of the contract: what is negative, unknown or of a newer contract."""

import json
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from tests.conftest import CONFIG, Connect, Stub, destination, end_of, opened, results_of
from tests.delivery.caller import caller, track

TRACK = json.dumps({"type": "track", "userId": "u1", "event": "E", "messageId": "m"}).encode()
ROW = json.dumps(
    {"type": "record", "action": "insert", "identifiers": {"id": "u1"}, "messageId": "m"}
).encode()
PERSON = v1.SourceConnection(
    reference_id=1,
    typed=v1.ConnectionSettings(object=v1.ConnectionObject.CONNECTION_OBJECT_PERSON),
)


def codes(results: v1.Results) -> list[str]:
    """The error of each item, "" where it has none."""
    found = {each.position: each.error.code for each in results.details if each.HasField("error")}
    return [
        v1.ErrorCode.Name(found[position]).removeprefix("ERROR_CODE_") if position in found else ""
        for position in range(len(results.statuses))
    ]


def violations(failure: aio.AioRpcError) -> list[str]:
    """The fields that the status of a failed call names."""
    metadata = dict(failure.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    found = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(found)
    return [each.field for each in found.field_violations]


async def test_negative_numbers_are_that_items_error(stub: Stub) -> None:
    """12.1: a negative attempt, destination or connection refuses its item, and no other."""
    items = [
        v1.BatchItem(json=TRACK, attempt=-1),
        v1.BatchItem(json=TRACK, destination=-1),
        v1.BatchItem(json=TRACK, destination=2**31 - 1),
        v1.BatchItem(json=ROW, connection=-1),
        v1.BatchItem(json=ROW, connection=7),
        v1.BatchItem(event=v1.RudderEvent(type="track"), attempt=-(2**31)),
        v1.BatchItem(json=TRACK, attempt=1),
    ]
    request = v1.TransformRequest(
        destinations=[destination()],
        connections=[PERSON],
        batch=v1.Batch(batch_id=-7, destination=1, connection=1, items=items),
    )
    results = (await stub.Transform(request)).results
    assert results.batch_id == -7
    assert codes(results) == [
        "INVALID_ITEM",
        "UNKNOWN_DESTINATION",
        "UNKNOWN_DESTINATION",
        "UNKNOWN_CONNECTION",
        "UNKNOWN_CONNECTION",
        "INVALID_ITEM",
        "",
    ]
    assert list(results.statuses)[-1] == 200


async def test_a_batch_names_no_negative_destination(stub: Stub) -> None:
    """The batch's own reference ids hold for items without one."""
    batch = v1.Batch(destination=-1, items=[v1.BatchItem(json=TRACK)])
    request = v1.TransformRequest(destinations=[destination()], batch=batch)
    assert codes((await stub.Transform(request)).results) == ["UNKNOWN_DESTINATION"]


async def test_negative_attempts_of_a_delivery(connect: Connect, no_listener: str) -> None:
    """The same where events, or prepared requests, are delivered: nothing is sent."""
    stub = await connect(customerio_url=f"http://{no_listener}")
    prepared = v1.PreparedRequest(method="PUT", url="https://track.customer.io/api/v1/customers/u")
    async with caller(stub) as one:
        await one.send(
            1,
            v1.BatchItem(json=json.dumps(track("1")).encode(), attempt=-1),
            v1.BatchItem(prepared=prepared, attempt=-1),
        )
        assert [each.code for each in await one.told_all(1)] == ["INVALID_ITEM", "INVALID_ITEM"]


@pytest.mark.parametrize("reference_id", [0, -1, -(2**31)])
@pytest.mark.parametrize("kind", ["destinations", "connections"])
async def test_a_declaration_needs_a_reference_id_above_0(
    stub: Stub, kind: str, reference_id: int
) -> None:
    """INVALID_ARGUMENT with the field, its index included: on a call and at both places of a stream."""
    of: Any = v1.Destination if kind == "destinations" else v1.SourceConnection
    declared: dict[str, Any] = {
        kind: [of(reference_id=number, config_json=CONFIG) for number in (1, 2)]
    }
    declared[kind].append(of(reference_id=reference_id, config_json=CONFIG))
    field = f"{kind}[2].reference_id"
    complete: dict[str, Any] = {
        "destinations": [v1.Destination(reference_id=1, config_json=CONFIG)],
        **declared,
    }
    with pytest.raises(aio.AioRpcError) as failed:
        await stub.Transform(v1.TransformRequest(batch=v1.Batch(batch_id=1), **complete))
    assert failed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(failed.value) == [field]
    call, _ = await opened(stub)
    await call.write(
        v1.TransformStreamRequest(upsert_destinations=v1.UpsertDestinations(**declared))
    )
    assert await end_of(call) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f"{field}: must be greater than 0",
    )
    call = stub.TransformStream()
    await call.write(v1.TransformStreamRequest(open=v1.OpenStream(**declared)))
    assert await end_of(call) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f"{field}: must be greater than 0",
    )


@pytest.mark.parametrize("size", [-1, -65_536, 65_535])
async def test_a_receive_limit_that_cannot_be(stub: Stub, size: int) -> None:
    """Negative, or too small for any result: INVALID_ARGUMENT."""
    call = stub.TransformStream()
    await call.write(v1.TransformStreamRequest(open=v1.OpenStream(max_receive_bytes=size)))
    assert await end_of(call) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "open.max_receive_bytes: must be at least 65536",
    )


async def test_a_request_of_one_event_has_its_position(stub: Stub) -> None:
    """`positions` is filled for every request, with 0 too."""
    call, _ = await opened(stub)
    items = [v1.BatchItem(json=TRACK)] * 2
    await call.write(
        v1.TransformStreamRequest(batch=v1.Batch(batch_id=1, destination=1, items=items))
    )
    (results,) = await results_of(call)
    assert [list(request.positions) for request in results.requests] == [[0], [1]]


async def test_the_answer_of_a_check_has_no_reference_id(stub: Stub) -> None:
    """`SettingProblem.destination` is 0 there, whatever the caller set."""
    checked = v1.Destination(reference_id=-3, config_json=b"{}")
    answer: Any = await stub.CheckDestination(v1.CheckDestinationRequest(destination=checked))
    assert {problem.destination for problem in answer.problems} == {0}


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        (v1.ConnectionMode.CONNECTION_MODE_UNSPECIFIED, 298),
        (v1.ConnectionMode.CONNECTION_MODE_CLOUD, 200),
        (v1.ConnectionMode.CONNECTION_MODE_DEVICE, 298),
        (v1.ConnectionMode.CONNECTION_MODE_HYBRID, 200),
        (9, 200),
    ],
    ids=["unspecified", "cloud", "device", "hybrid", "newer"],
)
async def test_connection_modes(stub: Stub, mode: Any, status: int) -> None:
    """11.3: an unspecified mode counts as none, so that use_native_sdk decides; an unknown one filters nothing."""
    typed = v1.DestinationSettings(
        site_id="s", api_key="k", connection_mode={"web": mode}, use_native_sdk={"web": True}
    )
    request = v1.TransformRequest(
        destinations=[v1.Destination(reference_id=1, typed=typed)],
        batch=v1.Batch(destination=1, items=[v1.BatchItem(json=TRACK, source_type="web")]),
    )
    assert list((await stub.Transform(request)).results.statuses) == [status]
    checked = v1.CheckDestinationRequest(destination=request.destinations[0])
    answer: Any = await stub.CheckDestination(checked)
    assert [each.key for each in answer.problems] == (["connectionMode"] if mode == 9 else [])


@pytest.mark.parametrize(
    ("strategy", "status"),
    [
        (v1.ResolutionStrategy.RESOLUTION_STRATEGY_UNSPECIFIED, 298),
        (v1.ResolutionStrategy.RESOLUTION_STRATEGY_AND, 298),
        (v1.ResolutionStrategy.RESOLUTION_STRATEGY_OR, 200),
    ],
    ids=["unspecified", "and", "or"],
)
async def test_resolution_strategies(stub: Stub, strategy: Any, status: int) -> None:
    """11.3: one of two consents is denied."""
    rule = v1.ConsentRule(provider="custom", resolution_strategy=strategy, consents=["a", "b"])
    typed = v1.DestinationSettings(site_id="s", api_key="k", consent_rules=[rule])
    consent = {"provider": "custom", "deniedConsentIds": ["a"]}
    event = json.loads(TRACK) | {"context": {"consentManagement": consent}}
    request = v1.TransformRequest(
        destinations=[v1.Destination(reference_id=1, typed=typed)],
        batch=v1.Batch(destination=1, items=[v1.BatchItem(json=json.dumps(event).encode())]),
    )
    assert list((await stub.Transform(request)).results.statuses) == [status]
