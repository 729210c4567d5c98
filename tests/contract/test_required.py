"""What is required is required: a call without it fails, and says which field was missing."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from tests.conftest import Connect, Stub, batch, destination, end_of, opened, results_of
from tests.delivery.caller import delivering, put, track
from tests.fake_customerio import HOLD, fake_customerio

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
BATCH = batch(TRACK)
GOOD = destination()
BARE = v1.Destination(reference_id=2)
BARE_CONNECTION = v1.SourceConnection(reference_id=1)
PREPARED = v1.BatchItem(prepared=put("https://track.customer.io/api/v1/customers/u1"))
WITHIN_S = 20


def message(**fields: Any) -> v1.TransformStreamRequest:
    return v1.TransformStreamRequest(**fields)


def field_of(status: Any) -> str:
    """The field that a google.rpc.Status names."""
    bad_request = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad_request)
    (violation,) = bad_request.field_violations
    return str(violation.field)


async def refused_field(call: Awaitable[Any]) -> str:
    """The field that a unary call is refused for."""
    with pytest.raises(aio.AioRpcError) as failure:
        await call
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    rpc_error: Any = failure.value
    return field_of(rpc_status.from_call(rpc_error))


async def refused_stream_field(call: Any) -> str:
    """The field that a stream is refused for."""
    assert (await end_of(call))[0] == grpc.StatusCode.INVALID_ARGUMENT
    return field_of(await rpc_status.aio.from_call(call))


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (v1.TransformRequest(), "batch"),
        (v1.TransformRequest(destinations=[GOOD]), "batch"),
        (v1.TransformRequest(batch=BATCH), "destinations"),
        (v1.TransformRequest(batch=v1.Batch()), "destinations"),
        (v1.TransformRequest(batch=BATCH, destinations=[GOOD, BARE]), "destinations[1].settings"),
        (
            v1.TransformRequest(batch=BATCH, destinations=[GOOD, v1.Destination(config_json=b"")]),
            "destinations[1].reference_id",
        ),
        (
            v1.TransformRequest(batch=BATCH, destinations=[GOOD], connections=[BARE_CONNECTION]),
            "connections[0].settings",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_transform(stub: Stub, request_message: v1.TransformRequest, field: str) -> None:
    """INVALID_ARGUMENT with a google.rpc.BadRequest, not an empty success."""
    assert await refused_field(stub.Transform(request_message, timeout=WITHIN_S)) == field


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (v1.DeliverRequest(), "batch"),
        (v1.DeliverRequest(destinations=[GOOD]), "batch"),
        (v1.DeliverRequest(batch=BATCH), "destinations"),
        (v1.DeliverRequest(batch=v1.Batch(items=[PREPARED, v1.BatchItem()])), "destinations"),
        (v1.DeliverRequest(batch=BATCH, destinations=[GOOD, BARE]), "destinations[1].settings"),
        (
            v1.DeliverRequest(batch=BATCH, destinations=[GOOD], connections=[BARE_CONNECTION]),
            "connections[0].settings",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_deliver(connect: Connect, request_message: v1.DeliverRequest, field: str) -> None:
    """The same, and nothing is sent."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        assert await refused_field(stub.Deliver(request_message, timeout=WITHIN_S)) == field
        assert customerio.requests == []


async def test_deliver_without_destinations_takes_prepared_requests(connect: Connect) -> None:
    """Prepared requests need no destination, and a batch may be empty."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        prepared = v1.DeliverRequest(batch=v1.Batch(batch_id=1, items=[PREPARED]))
        answer: Any = await stub.Deliver(prepared, timeout=WITHIN_S)
        assert list(answer.results.statuses) == [200]
        empty: Any = await stub.Deliver(v1.DeliverRequest(batch=v1.Batch()), timeout=WITHIN_S)
        assert empty.results.batch_complete


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (v1.CheckDestinationRequest(), "destination"),
        (v1.CheckDestinationRequest(destination=v1.Destination()), "destination.settings"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_check_destination(
    stub: Stub, request_message: v1.CheckDestinationRequest, field: str
) -> None:
    """A check of nothing is no check."""
    assert await refused_field(stub.CheckDestination(request_message, timeout=WITHIN_S)) == field


@pytest.mark.parametrize(
    ("declarations", "field"),
    [
        ({"destinations": [GOOD] * 3 + [BARE]}, "destinations[3].settings"),
        ({"connections": [BARE_CONNECTION]}, "connections[0].settings"),
    ],
    ids=["destination", "connection"],
)
@pytest.mark.parametrize("place", ["open", "upsert"])
async def test_declarations_on_a_stream(
    stub: Stub, declarations: dict[str, Any], field: str, place: str
) -> None:
    """A declaration without settings ends the stream, with the index of the declaration."""
    call: Any = stub.TransformStream(timeout=WITHIN_S)
    opening = v1.OpenStream(**declarations) if place == "open" else v1.OpenStream()
    await call.write(message(open=opening))
    if place == "upsert":
        await call.write(message(upsert_destinations=v1.UpsertDestinations(**declarations)))
    assert await refused_stream_field(call) == field


AFTER_FINISH = {
    "batch": message(batch=batch(TRACK, batch_id=2)),
    "upsert_destinations": message(upsert_destinations=v1.UpsertDestinations(destinations=[GOOD])),
    "finish": message(finish=v1.Finish()),
    "open": message(open=v1.OpenStream()),
    "message": message(),
}


@pytest.mark.parametrize("field", AFTER_FINISH)
async def test_nothing_may_follow_finish(stub: Stub, field: str) -> None:
    """What follows is refused, although everything before it is answered."""
    call, _ = await opened(stub)
    await call.write(message(batch=BATCH))
    await call.write(message(finish=v1.Finish()))
    await call.write(AFTER_FINISH[field])
    await results_of(call)
    assert await refused_stream_field(call) == field


async def test_nothing_may_follow_finish_while_events_are_in_delivery(connect: Connect) -> None:
    """The stream ends at once; what is under way is not waited for."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, track("1"))
        await customerio.arrived(1)
        await one.call.write(message(finish=v1.Finish()))
        await one.send(2, track("2"))
        assert await one.ended() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("half_close", [True, False], ids=["half-close", "no half-close"])
async def test_a_stream_ends_after_finish(stub: Stub, half_close: bool) -> None:
    """With OK, whether the caller half-closes too or not."""
    call, _ = await opened(stub)
    await call.write(message(batch=BATCH))
    await call.write(message(finish=v1.Finish()))
    if half_close:
        await call.done_writing()
    await results_of(call)
    async with asyncio.timeout(WITHIN_S):
        assert (await end_of(call))[0] == grpc.StatusCode.OK


async def test_unanswered_batches_have_different_ids(connect: Connect) -> None:
    """Their results could not be told apart: the stream fails, and names the field."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _request: HOLD
        stub = await connect(customerio_url=customerio.url)
        call, _ = await opened(stub, delivery=v1.DeliveryOptions())
        for _ in range(2):
            await call.write(message(batch=BATCH))
        assert await refused_stream_field(call) == "batch.batch_id"
