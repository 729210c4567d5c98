"""The client for asyncio."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

from grpc import aio

from ciosidecar import v1
from ciosidecar._addresses import DEFAULT_ADDRESS
from ciosidecar._call_settings import call_settings
from ciosidecar._channel import (
    CONNECT_TIMEOUT_S,
    KEEPALIVE_TIME_S,
    KEEPALIVE_TIMEOUT_S,
    Tls,
    channel_options,
    checked_target,
)
from ciosidecar._fleet import Fleet, Sidecar
from ciosidecar._options import DeliveryOptions, StreamOptions
from ciosidecar._token import TokenFile, TokenSource
from ciosidecar._unary_requests import (
    DEFAULT_TIMEOUT_S,
    DeliverTimeout,
    check_request,
    deliver_request,
    deliver_timeout_s,
    transform_request,
)
from ciosidecar.affinity import Affinity
from ciosidecar.async_stream import AsyncStream
from ciosidecar.events import AnyConnection, AnyDestination, BatchEntry, Destination, Event
from ciosidecar.results import Result, read_results

_Response = TypeVar("_Response")


class AsyncClient:
    """A client of one or several sidecars, for asyncio.

    It belongs to the event loop in which it is made. Close it, or use it as a context manager.

    Args:
        addresses: host:port, [IPv6]:port, unix:PATH, unix-abstract:NAME or dns:///host:port, or a
            list of several that are all IPv4:port, all [IPv6]:port, all unix:PATH or all
            unix-abstract:NAME. Calls use the healthy ones in rotation.
        tls: TLS to the sidecar. Defaults to none.
        token: The bearer token that the sidecar requires, or a function that returns it. The client
            calls the function for each call and each stream, so that a token can be replaced.
        token_file: A file with the bearer token, in place of `token`. The client reads the file for
            each call and each stream: its first line that is neither blank nor a comment (#).
        insecure: True: send the token without TLS to any address. False: only over loopback and unix
            sockets.
        connect_timeout_s: How long the streams of a new client try until a sidecar answers for the
            first time. After that, `StreamOptions.reconnect_for_s` applies. An attempt to connect
            takes at most this time, and at most 5 seconds.
        keepalive_time_s: How long a connection may be silent before the client sends a ping. The
            sidecar accepts no ping within 10 s of another.
        keepalive_timeout_s: How long the client waits for the response to a ping before it drops the
            connection.
        channel: A channel of the caller's own, for example with interceptors, in place of addresses,
            tls and keepalive.

    Raises:
        ValueError: An address is malformed, several cannot be used together, the token cannot be
            sent in a header, or it would leave the host without TLS.
    """

    def __init__(
        self,
        addresses: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        token: TokenSource | None = None,
        token_file: TokenFile | None = None,
        insecure: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        keepalive_time_s: float = KEEPALIVE_TIME_S,
        keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S,
        channel: aio.Channel | None = None,
    ) -> None:
        self._settings = call_settings(
            addresses if channel is None else None,
            tls,
            token,
            token_file,
            insecure=insecure,
            connect_timeout_s=connect_timeout_s,
        )
        options = channel_options(tls, keepalive_time_s, keepalive_timeout_s, connect_timeout_s)

        def channel_to(address: str | Sequence[str]) -> aio.Channel:
            target = checked_target(address, tls)
            if tls is None:
                return aio.insecure_channel(target, options)
            return aio.secure_channel(target, tls.credentials(), options)

        self._channel = channel_to(addresses) if channel is None else channel
        self._stub = v1.SidecarServiceStub(self._channel)
        self._fleet = Fleet(addresses, channel_to if channel is None else None)
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
        """End every call and every stream. What is called afterwards raises Closed."""
        self._settings.closed = True
        for stream in list(self._streams):
            if stream.is_open:
                stream.cancel()
        for channel in (self._channel, *self._fleet.channels):
            await channel.close()

    async def capabilities(
        self, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
    ) -> v1.GetCapabilitiesResponse:
        """Return the version, the features and the limits of the sidecar.

        Args:
            timeout_s: The time limit of the call, retries included. None: no limit.

        Raises:
            SidecarError: The call failed.
        """
        return await self._call(self._stub.GetCapabilities, v1.GetCapabilitiesRequest(), timeout_s)

    async def check(
        self,
        destination: AnyDestination,
        *,
        probe: bool = False,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> v1.CheckDestinationResponse:
        """Validate a destination's settings.

        Args:
            destination: The destination.
            probe: If true, also ask Customer.io whether it accepts the credentials, and for their
                region.
            timeout_s: The time limit of the call, retries included. None: no limit.

        Raises:
            SidecarError: The call failed.
        """
        request = check_request(destination, probe=probe)
        return await self._call(self._stub.CheckDestination, request, timeout_s)

    async def transform(
        self,
        events: Iterable[Event | BatchEntry],
        destination: AnyDestination,
        *,
        connection: AnyConnection | None = None,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> list[Result]:
        """Transform one batch.

        Args:
            events: The events.
            destination: The destination of events that name none themselves.
            connection: The source connection of records that name none themselves.
            timeout_s: The time limit of the call, retries included. None: no limit.

        Returns:
            One result for each event, in order.

        Raises:
            TypeError: An event or destination has the wrong type.
            ValueError: An event cannot be sent.
            SidecarError: The call failed.
        """
        request = transform_request(events, destination, connection)
        response = await self._call(self._stub.Transform, request, timeout_s)
        return list(read_results(response.results))

    async def deliver(
        self,
        events: Iterable[Event | BatchEntry],
        destination: AnyDestination | None = None,
        *,
        connection: AnyConnection | None = None,
        options: DeliveryOptions | None = None,
        timeout_s: float | DeliverTimeout | None = DeliverTimeout.DEFAULT,
    ) -> list[Result]:
        """Transform one batch and deliver its requests.

        The client never retries the call, because a retry could deliver events twice. If the call
        fails, it is unknown which events were delivered.

        Args:
            events: The events, or requests that an earlier transform returned.
            destination: The destination of events that name none themselves. Requests need none.
            connection: The source connection of records that name none themselves.
            options: The options of the delivery.
            timeout_s: The time limit of the call. Defaults to 30 seconds more than
                `options.timeout_s` or, without it, to 90 seconds. None: no limit.

        Returns:
            One result for each event, in order, as on a stream with delivery.

        Raises:
            TypeError: An event or destination has the wrong type.
            ValueError: An event cannot be sent, or has no destination.
            SidecarError: The call failed. CallFailed with UNIMPLEMENTED if the sidecar does not
                deliver.
        """
        options = options or DeliveryOptions()
        request = deliver_request(events, destination, connection, options)
        time_limit_s = deliver_timeout_s(timeout_s, options)
        response = await self._call(self._stub.Deliver, request, time_limit_s)
        return list(read_results(response.results))

    def stream(
        self,
        destination: AnyDestination | None = None,
        options: StreamOptions | None = None,
        *,
        deliver: DeliveryOptions | bool = False,
    ) -> AsyncStream:
        """Return a stream, an async context manager that opens it.

        Args:
            destination: The destination of events that name none themselves.
            options: The options of the stream.
            deliver: True or the options of the delivery: the sidecar delivers the requests, and
                each result has a delivery report. False: the sidecar only returns the requests.

        Raises:
            ValueError: The options ask for affinity, and the client has only one address, or a channel
                of the caller's own.
        """
        default = None if destination is None else Destination.of(destination)
        delivery = DeliveryOptions.of(deliver)
        options = options or StreamOptions()
        sidecars = (
            self._fleet.sidecars()
            if options.affinity is Affinity.PERSON
            else [Sidecar("", self._stub)]
        )
        stream = AsyncStream(sidecars, self._settings, default, options, delivery)
        self._streams.add(stream)
        return stream

    async def _call(
        self,
        method: Callable[..., Awaitable[_Response]],
        request: Any,
        timeout_s: float | None,
    ) -> _Response:
        """Make a unary call. Raise SidecarError if it fails."""
        settings = self._settings
        settings.require_open()
        try:
            response = await method(request, timeout=timeout_s, metadata=settings.token.metadata())
        except aio.AioRpcError as failure:
            raise settings.failure(failure.code(), failure.details() or "") from failure
        except (asyncio.CancelledError, aio.UsageError):
            settings.require_open()  # closing the channel cancels its calls
            raise
        settings.first_connection.made = True
        return response
