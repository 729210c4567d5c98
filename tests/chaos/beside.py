"""Callers in the tests of faults: one that meets the fault, and one beside it that must notice nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from ciosidecar import v1
from grpc import aio

from tests.conftest import opened
from tests.delivery.caller import Caller, track
from tests.fake_customerio import WITHIN_S

FAULTY = b'{"siteID": "faulty", "apiKey": "key"}'
HEALTHY = b'{"siteID": "healthy", "apiKey": "key", "datacenter": "EU"}'
LOOPBACK = ("--listen", "127.0.0.1:0")
# The healthy caller must not wait for the faulty one's time limits, which are longer than that.
IN_TIME_S = 8.0
MAY_BE_SENT_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""Codes of a call after which a client sends its events again."""
_PAUSE_S = 0.05


@asynccontextmanager
async def channel_to(
    address: str, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[aio.Channel]:
    """Open a connection that no other channel shares."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        channel = aio.insecure_channel(address, options)
    else:
        channel = aio.secure_channel(address, credentials, options)
    async with channel:
        yield channel


@asynccontextmanager
async def stream_to(
    address: str, config: bytes = FAULTY, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[Caller]:
    """Open a stream that delivers to one destination, on a connection of its own."""
    async with channel_to(address, credentials) as channel:
        call, _ = await opened(
            v1.SidecarServiceStub(channel),
            client_name=config.decode(),
            destinations=[v1.Destination(reference_id=1, config_json=config)],
            delivery=v1.DeliveryOptions(detail_level=v1.DetailLevel.DETAIL_LEVEL_ALL),
        )
        caller = Caller(call)
        try:
            yield caller
        finally:
            await caller.vanish()


async def capabilities(channel: aio.Channel, timeout_s: float = WITHIN_S) -> None:
    """Make a call that concerns no event."""
    stub = v1.SidecarServiceStub(channel)
    await stub.GetCapabilities(v1.GetCapabilitiesRequest(), timeout=timeout_s)


async def code_of_a_call(
    address: str,
    make: Callable[[aio.Channel], Awaitable[None]] = capabilities,
    credentials: grpc.ChannelCredentials | None = None,
) -> grpc.StatusCode:
    """Return the code with which a call on a new connection ends."""
    async with channel_to(address, credentials) as channel:
        try:
            await make(channel)
        except aio.AioRpcError as failure:
            return failure.code()
    return grpc.StatusCode.OK


class Healthy:
    """A caller that sends one event after another. Each must be delivered, and in time."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        """The names of its events, in order."""
        self.slowest_s = 0.0
        self._ends = False

    async def go_on(self, caller: Caller) -> None:
        """Send events until the test ends."""
        while not self._ends:
            began_at = time.monotonic()
            number = len(self.sent)
            self.sent.append(f"Healthy {number}")
            await caller.send(number + 1, event(self.sent[-1], "healthy"))
            told = await caller.told(number + 1)
            assert told.status == 200, (number, told.code, told.delivery.reason)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_at)
            await asyncio.sleep(_PAUSE_S)

    def end(self) -> None:
        """Let it send no more."""
        self._ends = True


def event(name: str, user: str = "u1", **fields: Any) -> dict[str, Any]:
    """Return a track with an id, so that a repeat counts once."""
    return track(name, user, messageId=f"message of {name}", **fields)


@asynccontextmanager
async def healthy_beside(
    address: str, config: bytes = HEALTHY, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[Healthy]:
    """Let a healthy caller deliver while the block lasts. All its events must be delivered in time."""
    healthy = Healthy()
    async with stream_to(address, config, credentials) as caller:
        going_on = asyncio.ensure_future(healthy.go_on(caller))
        try:
            yield healthy
        finally:
            healthy.end()
            await asyncio.wait_for(going_on, WITHIN_S)
    assert healthy.sent
    assert healthy.slowest_s < IN_TIME_S, healthy.slowest_s
