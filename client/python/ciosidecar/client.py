"""Clients of the sidecar: `Client` for threads, `AsyncClient` for asyncio."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import grpc
from grpc import aio

from ciosidecar import v1
from ciosidecar._connection import (
    DEFAULT_ADDRESS,
    Deliver,
    StreamOptions,
    Tls,
    channel_options,
    target_of,
)
from ciosidecar._ledger import payload
from ciosidecar.async_stream import AsyncStream
from ciosidecar.errors import call_failed
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    Connection,
    Destination,
    Event,
    encode_event,
)
from ciosidecar.results import Result, read_results
from ciosidecar.stream import Stream


def _transform_request(
    events: Iterable[Event], destination: AnyDestination, connection: AnyConnection | None
) -> v1.TransformRequest:
    request = v1.TransformRequest()
    request.destinations.add(number=1, config_json=Destination.of(destination).config)
    request.batch.destination = 1
    if connection is not None:
        request.connections.add(number=1, config_json=Connection.of(connection).config)
        request.batch.connection = 1
    for event in events:
        request.batch.items.add(**payload(encode_event(event)))
    return request


def _check_request(destination: AnyDestination, *, probe: bool) -> v1.CheckDestinationRequest:
    config = Destination.of(destination).config
    return v1.CheckDestinationRequest(destination=v1.Destination(config_json=config), probe=probe)


class Client:
    """A connection to one or several sidecars, for code that uses threads or none.

    addresses: host:port, unix:PATH, or several of one kind: calls take turns among those that are
    healthy. channel: one of the caller's own making instead, with interceptors say. Safe to share
    between threads. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        channel: grpc.Channel | None = None,
    ) -> None:
        if channel is not None:
            self._channel = channel
        elif tls is None:
            self._channel = grpc.insecure_channel(target_of(addresses), channel_options(tls))
        else:
            self._channel = grpc.secure_channel(
                target_of(addresses), tls.credentials(), channel_options(tls)
            )
        self._stub = v1.SidecarServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every call."""
        self._channel.close()

    def capabilities(self, *, timeout_s: float | None = 10) -> v1.GetCapabilitiesResponse:
        """What the sidecar is and can do. Raises SidecarError."""
        try:
            return self._stub.GetCapabilities(v1.GetCapabilitiesRequest(), timeout=timeout_s)
        except grpc.RpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure

    def check(
        self,
        destination: AnyDestination,
        *,
        probe: bool = False,
        timeout_s: float | None = 15,
    ) -> v1.CheckDestinationResponse:
        """Whether a destination's settings can work. Raises SidecarError.

        probe: ask Customer.io, too, whether it takes the credentials, and which region they are of.
        """
        try:
            return self._stub.CheckDestination(
                _check_request(destination, probe=probe), timeout=timeout_s
            )
        except grpc.RpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure

    def transform(
        self,
        events: Iterable[Event],
        destination: AnyDestination,
        *,
        connection: AnyConnection | None = None,
        timeout_s: float | None = 30,
    ) -> list[Result]:
        """One batch in, its results out, one an event, in order. Raises SidecarError.

        connection: what rows become, where the events are records.
        """
        try:
            answer = self._stub.Transform(
                _transform_request(events, destination, connection), timeout=timeout_s
            )
        except grpc.RpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure
        return list(read_results(answer.results))

    def stream(
        self,
        destination: AnyDestination | None = None,
        options: StreamOptions | None = None,
        *,
        deliver: Deliver | bool = False,
    ) -> Stream:
        """A stream that takes events one at a time; a context manager.

        destination: for events that name none themselves.
        deliver: True, or how: the sidecar sends the requests to Customer.io, and each result says
        what it answered. Otherwise they are only made.
        """
        target = None if destination is None else Destination.of(destination)
        return Stream(self._stub, target, options or StreamOptions(), Deliver.of(deliver))


class AsyncClient:
    """A connection to one or several sidecars, for asyncio.

    The same as `Client` otherwise. Belongs to the event loop it is made in.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        channel: aio.Channel | None = None,
    ) -> None:
        if channel is not None:
            self._channel = channel
        elif tls is None:
            self._channel = aio.insecure_channel(target_of(addresses), channel_options(tls))
        else:
            self._channel = aio.secure_channel(
                target_of(addresses), tls.credentials(), channel_options(tls)
            )
        self._stub = v1.SidecarServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every call."""
        await self._channel.close()

    async def capabilities(self, *, timeout_s: float | None = 10) -> v1.GetCapabilitiesResponse:
        """What the sidecar is and can do. Raises SidecarError."""
        try:
            return await self._stub.GetCapabilities(v1.GetCapabilitiesRequest(), timeout=timeout_s)
        except aio.AioRpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure

    async def check(
        self,
        destination: AnyDestination,
        *,
        probe: bool = False,
        timeout_s: float | None = 15,
    ) -> v1.CheckDestinationResponse:
        """Whether a destination's settings can work. Raises SidecarError.

        probe: ask Customer.io, too, whether it takes the credentials, and which region they are of.
        """
        try:
            return await self._stub.CheckDestination(
                _check_request(destination, probe=probe), timeout=timeout_s
            )
        except aio.AioRpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure

    async def transform(
        self,
        events: Iterable[Event],
        destination: AnyDestination,
        *,
        connection: AnyConnection | None = None,
        timeout_s: float | None = 30,
    ) -> list[Result]:
        """One batch in, its results out, one an event, in order. Raises SidecarError.

        connection: what rows become, where the events are records.
        """
        request = _transform_request(events, destination, connection)
        try:
            answer = await self._stub.Transform(request, timeout=timeout_s)
        except aio.AioRpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure
        return list(read_results(answer.results))

    def stream(
        self,
        destination: AnyDestination | None = None,
        options: StreamOptions | None = None,
        *,
        deliver: Deliver | bool = False,
    ) -> AsyncStream:
        """A stream that takes events one at a time; an async context manager.

        destination: for events that name none themselves.
        deliver: True, or how: the sidecar sends the requests to Customer.io, and each result says
        what it answered. Otherwise they are only made.
        """
        target = None if destination is None else Destination.of(destination)
        return AsyncStream(self._stub, target, options or StreamOptions(), Deliver.of(deliver))
