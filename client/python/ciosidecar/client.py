"""The client for code with threads or none."""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import grpc

from ciosidecar import v1
from ciosidecar._channel import (
    DEFAULT_ADDRESS,
    KEEPALIVE_TIME_S,
    KEEPALIVE_TIMEOUT_S,
    Tls,
    channel_options,
    target_of,
)
from ciosidecar._options import DeliveryOptions, StreamOptions
from ciosidecar._unary_requests import (
    DEFAULT_TIMEOUT_S,
    DeliverTimeout,
    check_request,
    deliver_request,
    deliver_timeout_s,
    transform_request,
)
from ciosidecar.errors import call_failed
from ciosidecar.events import AnyConnection, AnyDestination, BatchEntry, Destination, Event
from ciosidecar.results import Result, read_results
from ciosidecar.stream import Stream

_Response = TypeVar("_Response")


class Client:
    """A client of one or several sidecars, for code that uses threads or none.

    It may be shared between threads. Close it, or use it as a context manager.

    Args:
        addresses: host:port, [IPv6]:port, unix:PATH or dns:///name:port, or a list of several that
            are all IPv4:port, all [IPv6]:port or all unix:PATH. Calls use the healthy ones in
            rotation.
        tls: TLS to the sidecar. Defaults to none.
        keepalive_time_s: How long a connection may be silent before the client sends a ping. The
            sidecar accepts no ping within 10 s of another.
        keepalive_timeout_s: How long the client waits for the response to a ping before it drops the
            connection.
        channel: A channel of the caller's own, for example with interceptors, in place of all above.

    Raises:
        ValueError: An address is malformed, or several cannot be used together.
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
        """End every call and every stream."""
        for stream in list(self._streams):
            if stream.is_open:
                stream.cancel()
        self._channel.close()

    def capabilities(
        self, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
    ) -> v1.GetCapabilitiesResponse:
        """Return the version, the features and the limits of the sidecar.

        Args:
            timeout_s: The time limit of the call, retries included. None: no limit.

        Raises:
            SidecarError: The call failed.
        """
        return _call(self._stub.GetCapabilities, v1.GetCapabilitiesRequest(), timeout_s)

    def check(
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
        return _call(self._stub.CheckDestination, request, timeout_s)

    def transform(
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
        response = _call(self._stub.Transform, request, timeout_s)
        return list(read_results(response.results))

    def deliver(
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
        response = _call(self._stub.Deliver, request, time_limit_s)
        return list(read_results(response.results))

    def stream(
        self,
        destination: AnyDestination | None = None,
        options: StreamOptions | None = None,
        *,
        deliver: DeliveryOptions | bool = False,
    ) -> Stream:
        """Return a stream, a context manager that opens it.

        Args:
            destination: The destination of events that name none themselves.
            options: The options of the stream.
            deliver: True or the options of the delivery: the sidecar delivers the requests, and
                each result has a delivery report. False: the sidecar only returns the requests.
        """
        default = None if destination is None else Destination.of(destination)
        delivery = DeliveryOptions.of(deliver)
        stream = Stream(self._stub, default, options or StreamOptions(), delivery)
        self._streams.add(stream)
        return stream


def _call(method: Callable[..., _Response], request: Any, timeout_s: float | None) -> _Response:
    """Make a unary call. Raise SidecarError if it fails."""
    try:
        return method(request, timeout=timeout_s)
    except grpc.RpcError as failure:
        raise call_failed(failure.code(), failure.details() or "") from failure
