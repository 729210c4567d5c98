"""A server that was told not to deliver: it transforms, and says UNIMPLEMENTED to everything else."""

from typing import Any

import grpc
import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import Connect, batch, destination, end_of, opened, results_of
from tests.fake_customerio import fake_customerio

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


async def test_a_server_without_delivery(connect: Connect) -> None:
    """It offers no feature, refuses what needs one, and connects to nothing."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url, delivery=False)
        capabilities: Any = await stub.GetCapabilities(v1.GetCapabilitiesRequest())
        assert list(capabilities.features) == []
        unary = (
            stub.Deliver(v1.DeliverRequest(destinations=[destination()], batch=batch(TRACK))),
            stub.CheckDestination(
                v1.CheckDestinationRequest(destination=destination(), probe=True)
            ),
        )
        for call in unary:
            with pytest.raises(aio.AioRpcError) as failure:
                await call
            assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED
        stream: Any = stub.TransformStream()
        opening = v1.OpenStream(destinations=[destination()], delivery=v1.DeliveryOptions())
        await stream.write(v1.TransformStreamRequest(open=opening))
        assert (await end_of(stream))[0] == grpc.StatusCode.UNIMPLEMENTED
        assert customerio.requests == []


async def test_it_still_transforms(connect: Connect) -> None:
    """Unary calls, streams and checks without probe go on as ever."""
    stub = await connect(delivery=False)
    checked: Any = await stub.CheckDestination(
        v1.CheckDestinationRequest(destination=destination())
    )
    assert checked.usable
    call, _ = await opened(stub)
    await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
    (results,) = await results_of(call)
    assert list(results.statuses) == [200]
    call.cancel()
