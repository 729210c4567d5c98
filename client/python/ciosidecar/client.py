"""Clients of the sidecar: `Client` for threads, `AsyncClient` for asyncio."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar
from weakref import WeakSet

import grpc
from grpc import aio

from ciosidecar import v1
from ciosidecar._connection import (
    DEFAULT_ADDRESS,
    KEEPALIVE_TIME_S,
    KEEPALIVE_TIMEOUT_S,
    Deliver,
    StreamOptions,
    Tls,
    channel_options,
    delivery_options,
    target_of,
)
from ciosidecar._reference_table import ReferenceTable
from ciosidecar.async_stream import AsyncStream
from ciosidecar.errors import call_failed
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    BatchEntry,
    Destination,
    Event,
    SourceConnection,
    outgoing_of,
    payload,
)
from ciosidecar.results import Result, read_results
from ciosidecar.stream import Stream

_TIMEOUT_S = 30.0
_NO_LIMIT = 1 << 31


_Request = TypeVar("_Request", v1.TransformRequest, v1.DeliverRequest)


def _add_batch(
    request: _Request,
    entries: Iterable[Event | BatchEntry],
    destination: AnyDestination | None,
    connection: AnyConnection | None,
) -> _Request:
    """Return the request with its batch, and everything that the batch refers to."""
    default = None if destination is None else Destination.of(destination)
    destinations, connections = ReferenceTable[Destination](), ReferenceTable[SourceConnection]()
    for table in (destinations, connections):
        table.begin_anew(_NO_LIMIT)
    request.batch.SetInParent()
    if default is not None:
        request.batch.destination = destinations.reference_id(default, ()) or 0
    if connection is not None:
        request.batch.connection = (
            connections.reference_id(SourceConnection.of(connection), ()) or 0
        )
    for entry in entries:
        found = outgoing_of(entry, default)
        fields = payload(found.event) | dict(found.fields or {})
        if found.destination is not default and found.destination is not None:
            fields["destination"] = destinations.reference_id(found.destination, ())
        if found.connection is not None:
            fields["connection"] = connections.reference_id(found.connection, ())
        request.batch.items.add(**fields)
    for reference_id, target in destinations.take_undeclared():
        request.destinations.add(
            reference_id=reference_id, destination_ref=target.ref, config_json=target.config
        )
    for reference_id, rows in connections.take_undeclared():
        request.connections.add(reference_id=reference_id, config_json=rows.config)
    return request


def _deliver_request(
    entries: Iterable[Event | BatchEntry],
    destination: AnyDestination | None,
    connection: AnyConnection | None,
    options: Deliver | None,
) -> v1.DeliverRequest:
    request = v1.DeliverRequest(delivery=delivery_options(options or Deliver()))
    return _add_batch(request, entries, destination, connection)


def _check_request(destination: AnyDestination, *, probe: bool) -> v1.CheckDestinationRequest:
    found = Destination.of(destination)
    return v1.CheckDestinationRequest(
        destination=v1.Destination(destination_ref=found.ref, config_json=found.config),
        probe=probe,
    )


class Client:
    """A connection to one or several sidecars, for code that uses threads or none.

    addresses: host:port, unix:PATH, or several of one kind: calls take turns among those that are
    healthy; dns:///name:port alone. Raises ValueError for what is no address.
    keepalive_time_s: after how much silence during a call the sidecar is asked whether it is still
    there; it takes no less than 10 s. keepalive_timeout_s: how long it has to answer that.
    channel: one of the caller's own making instead, with interceptors say.
    Safe to share between threads. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        keepalive_time_s: float = KEEPALIVE_TIME_S,
        keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S,
        channel: grpc.Channel | None = None,
    ) -> None:
        options = channel_options(tls, keepalive_time_s, keepalive_timeout_s)
        if channel is not None:
            self._channel = channel
        elif tls is None:
            self._channel = grpc.insecure_channel(target_of(addresses, tls), options)
        else:
            self._channel = grpc.secure_channel(
                target_of(addresses, tls), tls.credentials(), options
            )
        self._stub = v1.SidecarServiceStub(self._channel)
        self._streams: WeakSet[Stream] = WeakSet()

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
        """Ends every call and every stream."""
        for stream in list(self._streams):
            if stream.is_open:
                stream.cancel()
        self._channel.close()

    def capabilities(self, *, timeout_s: float | None = _TIMEOUT_S) -> v1.GetCapabilitiesResponse:
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
        timeout_s: float | None = _TIMEOUT_S,
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
        events: Iterable[Event | BatchEntry],
        destination: AnyDestination,
        *,
        connection: AnyConnection | None = None,
        timeout_s: float | None = _TIMEOUT_S,
    ) -> list[Result]:
        """One batch in, its results out, one an event, in order. Raises SidecarError.

        destination: for events that name none themselves.
        connection: what rows become, where the events are records.
        """
        try:
            answer = self._stub.Transform(
                _add_batch(v1.TransformRequest(), events, destination, connection),
                timeout=timeout_s,
            )
        except grpc.RpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure
        return list(read_results(answer.results))

    def deliver(
        self,
        events: Iterable[Event | BatchEntry],
        destination: AnyDestination | None = None,
        *,
        connection: AnyConnection | None = None,
        options: Deliver | None = None,
        timeout_s: float | None = None,
    ) -> list[Result]:
        """Transform one batch and deliver its requests. Return one result an event, in order.

        Args:
            events: the events, or requests that an earlier transform returned.
            destination: for events that name none themselves. Requests need none.
            connection: what rows become, where the events are records.
            options: how to deliver, and what results say of it.
            timeout_s: the time limit of the whole call. Defaults to none: the time limit of the
                delivery, 60 seconds or `Deliver.timeout_s`, ends the call. A call that ends early
                leaves it unknown what was delivered.

        Raises:
            SidecarError: the call failed.
        """
        request = _deliver_request(events, destination, connection, options)
        try:
            answer = self._stub.Deliver(request, timeout=timeout_s)
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
        stream = Stream(self._stub, target, options or StreamOptions(), Deliver.of(deliver))
        self._streams.add(stream)
        return stream


class AsyncClient:
    """A connection to one or several sidecars, for asyncio.

    The same as `Client` otherwise. Belongs to the event loop it is made in.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        keepalive_time_s: float = KEEPALIVE_TIME_S,
        keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S,
        channel: aio.Channel | None = None,
    ) -> None:
        options = channel_options(tls, keepalive_time_s, keepalive_timeout_s)
        if channel is not None:
            self._channel = channel
        elif tls is None:
            self._channel = aio.insecure_channel(target_of(addresses, tls), options)
        else:
            self._channel = aio.secure_channel(
                target_of(addresses, tls), tls.credentials(), options
            )
        self._stub = v1.SidecarServiceStub(self._channel)
        self._streams: WeakSet[AsyncStream] = WeakSet()

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
        """Ends every call and every stream."""
        for stream in list(self._streams):
            if stream.is_open:
                stream.cancel()
        await self._channel.close()

    async def capabilities(
        self, *, timeout_s: float | None = _TIMEOUT_S
    ) -> v1.GetCapabilitiesResponse:
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
        timeout_s: float | None = _TIMEOUT_S,
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
        events: Iterable[Event | BatchEntry],
        destination: AnyDestination,
        *,
        connection: AnyConnection | None = None,
        timeout_s: float | None = _TIMEOUT_S,
    ) -> list[Result]:
        """One batch in, its results out, one an event, in order. Raises SidecarError.

        destination: for events that name none themselves.
        connection: what rows become, where the events are records.
        """
        request = _add_batch(v1.TransformRequest(), events, destination, connection)
        try:
            answer = await self._stub.Transform(request, timeout=timeout_s)
        except aio.AioRpcError as failure:
            raise call_failed(failure.code(), failure.details() or "") from failure
        return list(read_results(answer.results))

    async def deliver(
        self,
        events: Iterable[Event | BatchEntry],
        destination: AnyDestination | None = None,
        *,
        connection: AnyConnection | None = None,
        options: Deliver | None = None,
        timeout_s: float | None = None,
    ) -> list[Result]:
        """Transform one batch and deliver its requests. Return one result an event, in order.

        Args:
            events: the events, or requests that an earlier transform returned.
            destination: for events that name none themselves. Requests need none.
            connection: what rows become, where the events are records.
            options: how to deliver, and what results say of it.
            timeout_s: the time limit of the whole call. Defaults to none: the time limit of the
                delivery, 60 seconds or `Deliver.timeout_s`, ends the call. A call that ends early
                leaves it unknown what was delivered.

        Raises:
            SidecarError: the call failed.
        """
        request = _deliver_request(events, destination, connection, options)
        try:
            answer = await self._stub.Deliver(request, timeout=timeout_s)
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
        stream = AsyncStream(self._stub, target, options or StreamOptions(), Deliver.of(deliver))
        self._streams.add(stream)
        return stream
