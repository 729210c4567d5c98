"""Addresses, TLS and channel options: how a client connects to its sidecars."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

DEFAULT_ADDRESS = "127.0.0.1:50550"
KEEPALIVE_TIME_S = 30.0
KEEPALIVE_TIMEOUT_S = 10.0
MAX_MESSAGE_BYTES = 64 << 20
_SERVICE = "ciosidecar.v1.SidecarService"
_ADDRESS = re.compile(
    r"unix:\S+|(dns:///)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})"
)
# Deliver is missing: a request may have been sent before the call failed, and would be sent twice.
_RETRIED_METHODS = ("GetCapabilities", "CheckDestination", "Transform")

# What gRPC does itself: a connection to each address, no calls to addresses whose health is not
# SERVING, rotation among the others, and retries of unary calls that reached no sidecar.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": _SERVICE},
    "methodConfig": [
        {
            "name": [{"service": _SERVICE, "method": method} for method in _RETRIED_METHODS],
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
    """TLS to the sidecar. Certificates and keys are PEM texts."""

    root_certificates: bytes | None = None
    """Optional. The authorities that the sidecar's certificate must be signed by. Defaults to the
    system's."""
    private_key: bytes | None = field(default=None, repr=False)
    """Optional. The key of the client, if the sidecar requires a client certificate."""
    certificate_chain: bytes | None = None
    """Optional. The certificate of the client, if the sidecar requires a client certificate."""
    server_name: str | None = None
    """Optional. The name in the sidecar's certificate, if it is not the address."""

    @classmethod
    def from_files(
        cls,
        root_certificates: str | None = None,
        private_key: str | None = None,
        certificate_chain: str | None = None,
        server_name: str | None = None,
    ) -> "Tls":
        """Read the PEM texts from files.

        Raises:
            OSError: A file cannot be read.
        """

        def read(path: str | None) -> bytes | None:
            return None if path is None else Path(path).read_bytes()

        return cls(
            root_certificates=read(root_certificates),
            private_key=read(private_key),
            certificate_chain=read(certificate_chain),
            server_name=server_name,
        )

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials for a gRPC channel."""
        return grpc.ssl_channel_credentials(
            self.root_certificates, self.private_key, self.certificate_chain
        )


def target_of(addresses: str | Sequence[str], tls: Tls | None) -> str:
    """Return one gRPC target for all addresses.

    Raises:
        ValueError: An address is malformed, several are not of one kind, or TLS is set for a unix
            socket.
    """
    address_list = [addresses] if isinstance(addresses, str) else list(addresses)
    for address in address_list:
        _check_address(address)
        if tls is not None and address.startswith("unix:"):
            raise ValueError("a sidecar has no TLS on its unix sockets: leave tls out")
    if len(address_list) == 1:
        return address_list[0]
    if address_list and all(address.startswith("unix:") for address in address_list):
        return "unix:" + ",".join(address.removeprefix("unix:") for address in address_list)
    if address_list and all(address.startswith("[") for address in address_list):
        return "ipv6:" + ",".join(address_list)
    if address_list and all(_is_ipv4(address.rpartition(":")[0]) for address in address_list):
        return "ipv4:" + ",".join(address_list)
    raise ValueError(
        "several addresses must all be IPv4:port, all [IPv6]:port or all unix:PATH; a name that"
        " resolves to several addresses must be given alone, as dns:///name:port"
    )


def _check_address(address: str) -> None:
    match = _ADDRESS.fullmatch(address)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65_536):
        raise ValueError(
            f"{address!r} is no address: use host:port, [IPv6]:port, unix:PATH or dns:///name:port"
        )


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdecimal() for part in parts)


def channel_options(
    tls: Tls | None,
    keepalive_time_s: float = KEEPALIVE_TIME_S,
    keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S,
) -> list[tuple[str, str | int]]:
    """Return the options of a channel, synchronous or asynchronous."""
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # Without pings, a peer that vanished is noticed only when TCP gives up.
        ("grpc.keepalive_time_ms", round(keepalive_time_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(keepalive_timeout_s * 1000)),
        # gRPC waits a minute for the response to any ping unless this option is set too.
        ("grpc.http2.ping_timeout_ms", round(keepalive_timeout_s * 1000)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # A sidecar runs on the same host or network, which proxies of the environment do not serve.
        ("grpc.enable_http_proxy", 0),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options
