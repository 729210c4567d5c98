"""gRPC's health service: a Watch ends when the server drains, so that clients behind a load balancer move on."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from typing import Any

import grpc
import pytest
from ciosidecar import AsyncClient, Client, v1
from ciosidecar_server.app import SERVICE_NAME, Sidecar
from ciosidecar_server.rpc.health import HealthService
from ciosidecar_server.settings import Settings
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.conftest import batch, destination
from tests.processes import TIMEOUT_S, Server, server

LOOPBACK = ("--listen", "127.0.0.1:0")
LONG_GRACE_S = 60
CONFIG = {"siteID": "site", "apiKey": "key"}
EVENT = b'{"type":"track","userId":"u1","event":"Order"}'
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def request(service: str = SERVICE_NAME) -> health_pb2.HealthCheckRequest:
    """A question for the health of a service."""
    return health_pb2.HealthCheckRequest(service=service)


class BusyStream:
    """A stream that keeps a draining sidecar alive until the end of the block."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._enough = threading.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._opened.wait(TIMEOUT_S)

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            call: Any = v1.SidecarServiceStub(channel).TransformStream(self._requests())
            try:
                for response in call:
                    if response.WhichOneof("message") == "results":
                        self._opened.set()
            except grpc.RpcError:
                return

    def _requests(self) -> Iterator[v1.TransformStreamRequest]:
        yield v1.TransformStreamRequest(open=v1.OpenStream(destinations=[destination()]))
        for batch_id in count(1):
            yield v1.TransformStreamRequest(batch=batch(EVENT, batch_id=batch_id))
            if self._enough.wait(0.02):
                break
        yield v1.TransformStreamRequest(finish=v1.Finish())


@pytest.mark.parametrize("service", [SERVICE_NAME, "", "another.Service"])
def test_a_watch_ends_when_the_server_drains(service: str) -> None:
    """It says NOT_SERVING and ends with OK, while a stream keeps the process alive."""
    known = service != "another.Service"
    with server(*LOOPBACK, "--grace", str(LONG_GRACE_S)) as running:
        address = running.addresses[0]
        with BusyStream(address), grpc.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(request(service), timeout=TIMEOUT_S)
            assert next(watch).status == (SERVING if known else SERVICE_UNKNOWN)
            running.signal(signal.SIGTERM)
            assert next(watch).status == (NOT_SERVING if known else SERVICE_UNKNOWN)
            assert list(watch) == []
            assert watch.code() == grpc.StatusCode.OK
            assert running.process.poll() is None
        assert running.end()[0] == 0


def test_watchers_do_not_hold_up_the_exit() -> None:
    """Hundreds of them, and no other call: the process ends long before the grace is over."""
    with server(*LOOPBACK, "--grace", str(LONG_GRACE_S)) as running:
        with grpc.insecure_channel(running.addresses[0]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            watches = [stub.Watch(request(), timeout=TIMEOUT_S) for _ in range(300)]
            for watch in watches:
                assert next(watch).status == SERVING
            start = time.monotonic()
            running.signal(signal.SIGTERM)
            for watch in watches:
                assert [answer.status for answer in watch] == [NOT_SERVING]
            assert running.end()[0] == 0
        assert time.monotonic() - start < LONG_GRACE_S / 2


@asynccontextmanager
async def serving(service: Any) -> AsyncIterator[Any]:
    """A gRPC server with the health service alone, and a stub of it."""
    health_server = aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(service, health_server)
    port = health_server.add_insecure_port("127.0.0.1:0")
    await health_server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield health_pb2_grpc.HealthStub(channel)
    finally:
        await health_server.stop(None)


async def test_a_watch_that_comes_during_the_drain_is_told_and_ends_with_the_server() -> None:
    """A call that was on its way when the drain began: NOT_SERVING, once, and the end when no more calls are taken."""
    service = HealthService("", SERVICE_NAME)
    async with serving(service) as stub:
        assert (await stub.Check(request())).status == SERVING
        service.drain()
        assert (await stub.Check(request())).status == NOT_SERVING
        watch = stub.Watch(request(), timeout=TIMEOUT_S)
        assert (await watch.read()).status == NOT_SERVING
        assert (await stub.Check(request())).status == NOT_SERVING
        assert not watch.done()
        service.stop()
        assert await watch.read() is aio.EOF
        assert await watch.code() == grpc.StatusCode.OK


async def test_a_service_that_is_not_here_is_not_found() -> None:
    """As the protocol says of Check."""
    async with serving(HealthService("")) as stub:
        with pytest.raises(aio.AioRpcError) as failed:
            await stub.Check(request("another.Service"))
        assert failed.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_watcher_that_goes_away_leaves_nothing_behind() -> None:
    """A cancelled Watch is over at the server, too."""
    service = HealthService(SERVICE_NAME)
    async with serving(service) as stub:
        watch = stub.Watch(request(), timeout=TIMEOUT_S)
        assert (await watch.read()).status == SERVING
        assert service.is_watched
        watch.cancel()
        async with asyncio.timeout(TIMEOUT_S):
            await _until(lambda: not service.is_watched and not service._drained._waiters)


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
async def test_a_client_with_two_addresses_moves_on_at_once(kind: str) -> None:
    """Calls go on while one of two sidecars drains for a minute, without a failure and without a wait."""
    with ExitStack() as stack:
        flags = (*LOOPBACK, "--grace", str(LONG_GRACE_S))
        first, second = (stack.enter_context(server(*flags)) for _ in range(2))
        addresses = [first.addresses[0], second.addresses[0]]
        stack.enter_context(BusyStream(first.addresses[0]))
        calls = _calls_of_threads if kind == "threads" else _calls_of_asyncio
        slowest_s = await calls(addresses, first)
        assert slowest_s < 5
        assert first.process.poll() is None


async def test_no_call_fails_while_a_sidecar_drains() -> None:
    """A client calls a sidecar until it has read that the sidecar drains; these calls are answered."""
    with ExitStack() as stack:
        flags = (*LOOPBACK, "--grace", str(LONG_GRACE_S))
        first, second = (stack.enter_context(server(*flags)) for _ in range(2))
        stack.enter_context(BusyStream(first.addresses[0]))
        async with AsyncClient([first.addresses[0], second.addresses[0]]) as client:
            answered = 0

            async def call(times: int) -> None:
                nonlocal answered
                for _ in range(times):
                    (answer,) = await client.transform([EVENT], CONFIG)
                    assert answer.status == 200
                    answered += 1
                    if answered == 100:
                        first.signal(signal.SIGTERM)

            await asyncio.gather(*(call(20) for _ in range(30)))
        assert first.process.poll() is None


async def test_a_draining_sidecar_takes_calls_until_its_clients_have_moved_on() -> None:
    """A call that was begun before its client read NOT_SERVING is answered; health is watched, so the sidecar waits."""
    sidecar = Sidecar(Settings(listen=("127.0.0.1:0",), grace_s=LONG_GRACE_S))
    (address,) = await sidecar.start()
    async with aio.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(request(), timeout=TIMEOUT_S)
        assert (await watch.read()).status == SERVING
        stub: Any = v1.SidecarServiceStub(channel)
        loop = asyncio.get_running_loop()
        began = loop.time()
        draining = asyncio.create_task(sidecar.drain())
        assert (await watch.read()).status == NOT_SERVING
        try:
            await stub.GetCapabilities(v1.GetCapabilitiesRequest(), timeout=TIMEOUT_S)
        except aio.AioRpcError:
            # A machine that stood still for the half second says nothing.
            assert loop.time() - began > 0.4
        await draining


async def _calls_of_threads(addresses: list[str], first: Server) -> float:
    def run() -> float:
        with Client(addresses) as client:
            client.transform([EVENT], CONFIG)
            first.signal(signal.SIGTERM)
            return max(_timed(lambda: client.transform([EVENT], CONFIG)) for _ in range(200))

    return await asyncio.to_thread(run)


def _timed(call: Any) -> float:
    start = time.monotonic()
    (answer,) = call()
    assert answer.status == 200
    return time.monotonic() - start


async def _calls_of_asyncio(addresses: list[str], first: Server) -> float:
    slowest_s = 0.0
    async with AsyncClient(addresses) as client:
        await client.transform([EVENT], CONFIG)
        first.signal(signal.SIGTERM)
        for _ in range(200):
            start = time.monotonic()
            (answer,) = await client.transform([EVENT], CONFIG)
            assert answer.status == 200
            slowest_s = max(slowest_s, time.monotonic() - start)
    return slowest_s


async def _until(reached: Callable[[], bool]) -> None:
    """Looks again and again; its caller bounds it."""
    while True:
        if reached():
            return
        await asyncio.sleep(0.01)


class LoadBalancer(grpc.GenericRpcHandler):
    """A proxy as Envoy is one: each call goes to the first backend that is healthy when the call begins."""

    def __init__(self, backends: list[str]) -> None:
        self._channels = [aio.insecure_channel(backend) for backend in backends]
        self.watched: list[int] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Forward any method, as bytes."""
        method = handler_call_details.method

        async def forward(messages: Any, _context: Any) -> AsyncIterator[bytes]:
            index = await self._healthy()
            if method.endswith("/Watch"):
                self.watched.append(index)
            call: Any = self._channels[index].stream_stream(method)(messages)
            async for message in call:
                yield message

        return grpc.stream_stream_rpc_method_handler(forward)

    async def _healthy(self) -> int:
        for index, channel in enumerate(self._channels):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                if (await stub.Check(request(), timeout=1)).status == SERVING:
                    return index
            except aio.AioRpcError:
                continue
        raise RuntimeError("no backend is healthy")

    async def aclose(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()


async def test_a_client_behind_a_load_balancer_moves_on_at_once() -> None:
    """Its Watch was bound to the sidecar that drains: the Watch ends, and the next one leads to another sidecar."""
    with ExitStack() as stack:
        flags = (*LOOPBACK, "--grace", str(LONG_GRACE_S))
        first, second = (stack.enter_context(server(*flags)) for _ in range(2))
        stack.enter_context(BusyStream(first.addresses[0]))
        balancer = LoadBalancer([first.addresses[0], second.addresses[0]])
        proxy = aio.server(handlers=[balancer])
        port = proxy.add_insecure_port("127.0.0.1:0")
        await proxy.start()
        try:
            async with AsyncClient(f"127.0.0.1:{port}") as client:
                await client.transform([EVENT], CONFIG)
                first.signal(signal.SIGTERM)
                start = time.monotonic()
                async with asyncio.timeout(TIMEOUT_S):
                    await _until(lambda: balancer.watched[-1:] == [1])
                (answer,) = await client.transform([EVENT], CONFIG)
                assert answer.status == 200
                assert time.monotonic() - start < 5
                assert len(balancer.watched) < 10
                assert first.process.poll() is None
        finally:
            await proxy.stop(None)
            await balancer.aclose()
