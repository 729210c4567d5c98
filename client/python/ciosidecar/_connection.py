"""How a client reaches its sidecars: addresses, credentials, balancing, patience."""

import json
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import grpc

from ciosidecar import v1
from ciosidecar.errors import CallFailed, Unavailable

DEFAULT_ADDRESS = "127.0.0.1:50550"
KEEPALIVE_TIME_S = 30.0
KEEPALIVE_TIMEOUT_S = 10.0
_SERVICE = "ciosidecar.v1.SidecarService"
_MAX_MESSAGE_BYTES = 64 << 20
_MIN_RECEIVE_BYTES = 65_536
_ADDRESS = re.compile(
    r"unix:\S+|(dns:///)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})"
)
_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 5.0

# gRPC's own: each address has its connection, those whose health is not SERVING get no calls, calls
# take turns, and a unary call that found nobody is made again.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": _SERVICE},
    "methodConfig": [
        {
            "name": [
                {"service": _SERVICE, "method": method}
                for method in ("GetCapabilities", "CheckDestination", "Transform")
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS to the sidecar. Every field is the PEM text, or None."""

    root_certificates: bytes | None = None
    """Whom to believe; the system's trust if None."""
    private_key: bytes | None = field(default=None, repr=False)
    """The client's own key, where the sidecar asks for one."""
    certificate_chain: bytes | None = None
    """The client's own certificate, where the sidecar asks for one."""
    server_name: str | None = None
    """The name in the sidecar's certificate, where it is not the address."""

    @classmethod
    def from_files(
        cls,
        root_certificates: str | None = None,
        private_key: str | None = None,
        certificate_chain: str | None = None,
        server_name: str | None = None,
    ) -> "Tls":
        """The same from files of PEM."""

        def read(path: str | None) -> bytes | None:
            return None if path is None else Path(path).read_bytes()

        return cls(
            root_certificates=read(root_certificates),
            private_key=read(private_key),
            certificate_chain=read(certificate_chain),
            server_name=server_name,
        )

    def credentials(self) -> grpc.ChannelCredentials:
        """As gRPC wants them."""
        return grpc.ssl_channel_credentials(
            self.root_certificates, self.private_key, self.certificate_chain
        )


def target_of(addresses: str | Sequence[str], tls: Tls | None) -> str:
    """Return one gRPC target for all addresses.

    Several must be of one kind: IP addresses with ports, or unix sockets. Raises ValueError.
    """
    found = [addresses] if isinstance(addresses, str) else list(addresses)
    for one in found:
        _check_address(one)
        if tls is not None and one.startswith("unix:"):
            raise ValueError("a sidecar has no TLS on its unix sockets: leave tls out")
    if len(found) == 1:
        return found[0]
    if found and all(one.startswith("unix:") for one in found):
        return "unix:" + ",".join(one.removeprefix("unix:") for one in found)
    if found and all(one.startswith("[") for one in found):
        return "ipv6:" + ",".join(found)
    if found and all(_is_ipv4(one.rpartition(":")[0]) for one in found):
        return "ipv4:" + ",".join(found)
    raise ValueError(
        "several addresses must all be IPv4:port, all [IPv6]:port or all unix:PATH; a name that"
        " stands for several addresses can be given alone, as dns:///name:port"
    )


def _check_address(address: str) -> None:
    found = _ADDRESS.fullmatch(address)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65_536):
        raise ValueError(
            f"{address!r} is no address: give host:port, [IPv6]:port, unix:PATH or dns:///name:port"
        )


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdecimal() for part in parts)


def channel_options(
    tls: Tls | None,
    keepalive_time_s: float = KEEPALIVE_TIME_S,
    keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S,
) -> list[tuple[str, str | int]]:
    """Options of a channel, sync or async."""
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        # A peer that vanished without a word is noticed within a minute.
        ("grpc.keepalive_time_ms", round(keepalive_time_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(keepalive_timeout_s * 1000)),
        # gRPC waits a minute for the answer to any ping unless it is told this, too.
        ("grpc.http2.ping_timeout_ms", round(keepalive_timeout_s * 1000)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # A sidecar is near: the proxies of the environment are for what is far.
        ("grpc.enable_http_proxy", 0),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How a stream gathers events, and how long it keeps trying. Raises ValueError."""

    max_batch_events: int = 200
    """Events a message holds at most; the sidecar's own limit holds as well."""
    max_batch_bytes: int = 1 << 20
    """Bytes of events a message holds at most, but for one larger event."""
    linger_s: float = 0.005
    """How long an event may wait for others to share its message."""
    max_outstanding_events: int = 10_000
    """Events sent whose answers the user has not taken; more have to wait."""
    max_outstanding_bytes: int = 32 << 20
    """Bytes of such events; more have to wait."""
    max_receive_bytes: int = 16 << 20
    """The largest message the sidecar may send: 65,536 bytes to 64 MiB."""
    reconnect_for_s: float = 60.0
    """How long to go on trying when no sidecar answers, before the stream fails."""
    timeout_s: float | None = None
    """How long the whole stream may take, before it fails with DEADLINE_EXCEEDED."""
    unordered: bool = False
    """True: answers come as they are there, and none waits for that of an earlier event."""
    client_name: str = "ciosidecar-python"
    """What the sidecar's log calls this client."""
    client_version: str = ""
    """Its release there."""

    def __post_init__(self) -> None:
        """Raises ValueError for what no stream can do."""
        for name in (
            "max_batch_events",
            "max_batch_bytes",
            "max_outstanding_events",
            "max_outstanding_bytes",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("linger_s", "reconnect_for_s", "timeout_s"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative")
        if not _MIN_RECEIVE_BYTES <= self.max_receive_bytes <= _MAX_MESSAGE_BYTES:
            raise ValueError(
                f"max_receive_bytes must be {_MIN_RECEIVE_BYTES} to {_MAX_MESSAGE_BYTES}"
            )


class DetailLevel(Enum):
    """Which results of a delivery have a `delivery`."""

    NOTABLE = "notable"
    """Those of events that were not delivered, were sent more than once, or have a warning."""
    ALL = "all"
    """All."""


_DETAIL_LEVELS = {
    DetailLevel.NOTABLE: v1.DetailLevel.DETAIL_LEVEL_NOTABLE,
    DetailLevel.ALL: v1.DetailLevel.DETAIL_LEVEL_ALL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """How events are delivered, and what results say of it."""

    timeout_s: float | None = None
    """How long delivery of a batch may take, retries included; the sidecar's own limit if None.
    What is not done by then comes back with a retryable error."""
    detail_level: DetailLevel = DetailLevel.ALL
    """NOTABLE: `Result.delivery` is set only where something went wrong or was tried again, which is
    faster."""
    include_requests: bool = False
    """True: results have their requests, too."""

    def __post_init__(self) -> None:
        """Raises ValueError for a timeout that cannot be."""
        check_timeout(self.timeout_s)

    @classmethod
    def of(cls, deliver: "Deliver | bool") -> "Deliver | None":
        """The options for what a caller said: True for the usual ones, False for no delivery."""
        if isinstance(deliver, Deliver):
            return deliver
        return cls() if deliver else None


def check_timeout(timeout_s: float | None) -> None:
    """Raise ValueError for a timeout of delivery that is not above 0."""
    if timeout_s is not None and timeout_s <= 0:
        raise ValueError("timeout_s must be above 0, or None for the sidecar's own limit")


def delivery_options(deliver: Deliver) -> v1.DeliveryOptions:
    """Return the options as they travel."""
    options = v1.DeliveryOptions(
        detail_level=_DETAIL_LEVELS[deliver.detail_level],
        include_requests=deliver.include_requests,
    )
    if deliver.timeout_s is not None:
        options.default_timeout.FromMilliseconds(round(deliver.timeout_s * 1000))
    return options


def opening(options: StreamOptions, deliver: Deliver | None) -> v1.TransformStreamRequest:
    """The first message of a stream."""
    request = v1.TransformStreamRequest()
    request.open.client_name = options.client_name
    request.open.client_version = options.client_version
    request.open.max_receive_bytes = options.max_receive_bytes
    if deliver is not None:
        request.open.delivery.CopyFrom(delivery_options(deliver))
    return request


class ReconnectBackoff:
    """How long to wait before connecting again, and when to give up."""

    def __init__(self, options: StreamOptions) -> None:
        self._reconnect_for_s = options.reconnect_for_s
        self._ends_at = None if options.timeout_s is None else time.monotonic() + options.timeout_s
        self._failing_since: float | None = None
        self._limit_s = _FIRST_DELAY_S

    def left_s(self) -> float | None:
        """Return how much of the whole stream's time is left; None without end."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def delay_s(self, lasted_s: float, reason: str, *, progress: bool) -> float:
        """After a connection that lasted so long: how long to wait, anywhere below a limit that doubles.

        progress: whether anything was answered on it. Raises Unavailable once there was none, and no
        connection that lasted, for as long as we were told to try; CallFailed once the whole
        stream's time is over.
        """
        now = time.monotonic()
        left_s = self.left_s()
        if left_s == 0:
            raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED, reason)
        if progress or lasted_s > _MAX_DELAY_S:
            self._failing_since, self._limit_s = None, _FIRST_DELAY_S
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since > self._reconnect_for_s:
            raise Unavailable(f"no answer for {self._reconnect_for_s:g} s: {reason}")
        limit_s, self._limit_s = self._limit_s, min(self._limit_s * 2, _MAX_DELAY_S)
        delay_s = random.uniform(0, limit_s)  # noqa: S311 - not a secret
        return delay_s if left_s is None else min(delay_s, left_s)
