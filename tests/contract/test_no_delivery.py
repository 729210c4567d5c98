"""A server that was told not to deliver: it transforms, and says UNIMPLEMENTED to everything else."""

import signal
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import Connect, batch, destination, end_of, opened, results_of
from tests.fake_customerio import fake_customerio
from tests.processes import server

_LISTEN = "0A"
"""The state of a socket that listens, as /proc has it."""
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


async def test_it_connects_to_nothing() -> None:
    """As a process with a Customer.io and a rate store: neither is connected to, and no other socket leads out."""
    with (
        socket.create_server(("127.0.0.1", 0)) as customerio,
        socket.create_server(("127.0.0.1", 0)) as store,
    ):
        flags = (
            *("--listen", "127.0.0.1:0", "--no-delivery"),
            *("--customerio-url", f"http://127.0.0.1:{customerio.getsockname()[1]}"),
            *("--rate-store", f"redis://127.0.0.1:{store.getsockname()[1]}"),
        )
        with server(*flags) as running:
            async with aio.insecure_channel(running.addresses[0]) as channel:
                stub: Any = v1.SidecarServiceStub(channel)
                request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
                answered = await stub.Transform(request)
                assert list(answered.results.statuses) == [200]
                probe = v1.CheckDestinationRequest(destination=destination(), probe=True)
                with pytest.raises(aio.AioRpcError):
                    await stub.CheckDestination(probe)
                assert outgoing(running.process.pid) == []
            running.signal(signal.SIGTERM)
            assert running.end()[0] == 0
        for listener in (customerio, store):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


def outgoing(pid: int) -> list[str]:
    """The network sockets of a process that neither listen nor belong to a port on which it listens."""
    links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        row.split()
        for name in ("tcp", "tcp6", "udp", "udp6")
        for row in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    ]
    own = [row for row in rows if f"socket:[{row[9]}]" in links]
    listening = {row[1].rpartition(":")[2] for row in own if row[3] == _LISTEN}
    return [f"{row[1]} to {row[2]}" for row in own if row[1].rpartition(":")[2] not in listening]


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
