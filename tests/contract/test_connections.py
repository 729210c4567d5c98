"""Warehouse records and their connections, as a caller sees them. Rules 9 and 12.1."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from ciosidecar import read_results, v1
from grpc import aio

from tests.conftest import CONFIG, Connect, Stub, destination, end_of, opened, results_of

V2 = CONFIG[:-1] + b', "apiVersion": "v2"}'
TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
ROW = b'{"type":"record","action":"insert","identifiers":{"id":"u1"}}'
API_VERSIONS = pytest.mark.parametrize("config", [CONFIG, V2], ids=["v1", "v2"])


def message(**found: Any) -> v1.TransformStreamRequest:
    """What a caller says."""
    return v1.TransformStreamRequest(**found)


def connection(number: int = 1, **settings: Any) -> v1.SourceConnection:
    """A connection by the dashboard's JSON."""
    return v1.SourceConnection(
        reference_id=number, config_json=json.dumps({"destination": settings}).encode()
    )


def items(*events: bytes, **fields: Any) -> v1.Batch:
    """A batch for destination 1; fields are those of the batch."""
    found = [v1.BatchItem(json=event) for event in events]
    return v1.Batch(batch_id=1, destination=1, items=found, **fields)


def paths(results: v1.Results) -> list[str]:
    """The path of each request."""
    return [request.path for request in results.requests]


@API_VERSIONS
async def test_a_record_needs_a_connection(stub: Stub, config: bytes) -> None:
    """None named: refused for good. One that nobody declared: try again. Others do not care."""
    call, _ = await opened(stub, destinations=[destination(config=config)])
    await call.write(message(batch=items(ROW, TRACK)))
    (none,) = await results_of(call)
    assert list(none.statuses) == [400, 200]
    assert none.details[0].error.code == v1.ErrorCode.ERROR_CODE_INVALID_RECORD
    await call.write(message(batch=items(ROW, TRACK, connection=7)))
    (unknown,) = await results_of(call)
    assert list(unknown.statuses) == [503, 200]
    error = unknown.details[0].error
    assert (error.code, error.retryable) == (v1.ErrorCode.ERROR_CODE_UNKNOWN_CONNECTION, True)
    assert error.type == v1.ErrorType.ERROR_TYPE_INTERNAL


async def test_connections_are_declared_at_the_start_and_later(stub: Stub) -> None:
    """Open and UpsertDestinations both take them; a number declared again means the new one."""
    call, _ = await opened(stub, connections=[connection(1, object="person")])
    await call.write(message(batch=items(ROW, connection=1)))
    (first,) = await results_of(call)
    assert paths(first) == ["/api/v1/customers/u1"]
    declared = [connection(1, audienceId="5"), connection(2, audienceId=6)]
    await call.write(message(upsert_destinations=v1.UpsertDestinations(connections=declared)))
    batch = items(ROW, ROW, connection=1)
    batch.items[1].connection = 2
    await call.write(message(batch=batch))
    (then,) = await results_of(call)
    add = "/api/v1/segments/{}/add_customers?id_type=id"
    assert paths(then) == [add.format(5), add.format(6)]


PERSON = v1.ConnectionObject.CONNECTION_OBJECT_PERSON
EMAIL = v1.AudienceIdentifier.AUDIENCE_IDENTIFIER_EMAIL
OF_A_NEWER_CONTRACT = 9


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ({"object": v1.ConnectionObject.CONNECTION_OBJECT_PERSON}, "/api/v1/customers/u1"),
        ({"audience_id": 2**63 - 1}, f"/api/v1/segments/{2**63 - 1}/add_customers?id_type=id"),
        (
            {
                "audience_id": 5,
                "audience_identifier": v1.AudienceIdentifier.AUDIENCE_IDENTIFIER_EMAIL,
            },
            "/api/v1/segments/5/add_customers?id_type=email",
        ),
        ({"object": v1.ConnectionObject.CONNECTION_OBJECT_EVENT}, None),
        ({"audience_id": 5, "audience_identifier": 9}, None),
        ({"audience_id": -5}, None),
        ({"object": 9}, None),
        ({}, None),
    ],
    ids=str,
)
async def test_typed_connections_mean_the_same(
    stub: Stub, typed: dict[str, Any], path: str | None
) -> None:
    """Fields in place of the dashboard's JSON; what does not work refuses its rows."""
    one = v1.SourceConnection(reference_id=1, typed=v1.ConnectionSettings(**typed))
    request = v1.TransformRequest(
        destinations=[destination()], connections=[one], batch=items(ROW, connection=1)
    )
    results = (await stub.Transform(request)).results
    assert list(results.statuses) == [200 if path else 400]
    assert paths(results) == ([path] if path else [])


async def test_a_typed_record_is_a_record(stub: Stub) -> None:
    """Action and identifiers as fields."""
    row = v1.RudderEvent(
        type="record", action="delete", identifiers=v1.JsonObject(json=b'{"id": "u1"}')
    )
    request = v1.TransformRequest(
        destinations=[destination()],
        connections=[connection(object="person")],
        batch=v1.Batch(destination=1, connection=1, items=[v1.BatchItem(event=row)]),
    )
    results = (await stub.Transform(request)).results
    assert paths(results) == ["/api/v1/customers/u1"]
    assert results.templates[0].method == "DELETE"


async def test_a_connection_without_settings_refuses_its_rows(stub: Stub) -> None:
    """What it says is wrong is said with each row, and never quotes a value."""
    secret = "do-not-quote-me"
    found = [
        v1.SourceConnection(reference_id=1, typed=v1.ConnectionSettings()),
        connection(2, audienceId=secret),
        connection(3, object=secret),
    ]
    call, _ = await opened(stub, connections=found)
    for number in (1, 2, 3):
        await call.write(message(batch=items(ROW, TRACK, connection=number)))
        (results,) = await results_of(call)
        assert list(results.statuses) == [400, 200]
        error = results.details[0].error
        assert error.code == v1.ErrorCode.ERROR_CODE_INVALID_RECORD
        assert secret not in error.message


async def test_a_connection_needs_a_number(stub: Stub) -> None:
    """0 stands for none."""
    call, _ = await opened(stub)
    declared = v1.UpsertDestinations(connections=[connection(0, object="person")])
    await call.write(message(upsert_destinations=declared))
    code, details = await end_of(call)
    assert (code, details) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "connections[0].reference_id: must be greater than 0",
    )


async def test_connections_are_limited_like_destinations(connect: Connect) -> None:
    """One number more than Limits allow ends the call; declaring one again does not."""
    stub = await connect(max_destinations=2)
    two = [connection(number, object="person") for number in (1, 2)]
    call, _ = await opened(stub, connections=two)
    await call.write(message(upsert_destinations=v1.UpsertDestinations(connections=two)))
    await call.write(message(batch=items(ROW, connection=2)))
    assert paths((await results_of(call))[0]) == ["/api/v1/customers/u1"]
    third = v1.UpsertDestinations(connections=[connection(3, object="person")])
    await call.write(message(upsert_destinations=third))
    assert (await end_of(call))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


@API_VERSIONS
async def test_100_000_rows_on_one_stream(stub: Stub, config: bytes) -> None:
    """Rows of an audience, each answered once, each id in order, a thousand ids a call at most."""
    call, _ = await opened(
        stub,
        destinations=[destination(config=config)],
        connections=[connection(audienceId=5)],
    )
    # Every id is taken out and, far behind, put in; every fiftieth goes out again at once.
    rows = [
        b'{"type":"record","action":"%b","identifiers":{"id":"u%d"}}'
        % (b"delete" if n < 50_000 or n % 100 == 99 else b"insert", n // 2 * 2 % 50_000)
        for n in range(100_000)
    ]
    inside: dict[str, bool] = {}
    answered = 0

    async def send() -> None:
        for first in range(0, len(rows), 5000):
            batch = items(*rows[first : first + 5000], connection=1)
            batch.batch_id = first + 1
            await call.write(message(batch=batch))
        await call.write(message(finish=v1.Finish()))

    async def receive() -> None:
        nonlocal answered
        while True:
            response: Any = await call.read()
            if response is aio.EOF:
                return
            found = response.results
            assert set(found.statuses) == {200}
            answered += len(found.statuses)
            covered = [one.position for one in read_results(found)]
            assert covered == list(range(found.first_position, found.first_position + len(covered)))
            for request in found.requests:
                ids = json.loads(request.body)["ids"]
                assert len(ids) <= 1000
                assert len(ids) == (len(request.positions) or 1)
                inside.update(dict.fromkeys(ids, "add_customers" in request.path))

    sending = asyncio.create_task(send())
    await asyncio.wait_for(receive(), 60)
    await sending
    assert answered == 100_000
    last = {f"u{n // 2 * 2 % 50_000}": n >= 50_000 and n % 100 != 99 for n in range(100_000)}
    assert inside == last
