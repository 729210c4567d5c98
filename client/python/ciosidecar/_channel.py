"""TLS and channel options: how a client connects to its sidecars."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from ciosidecar._addresses import as_list, is_unix, target_of

CONNECT_TIMEOUT_S = 10.0
KEEPALIVE_TIME_S = 30.0
KEEPALIVE_TIMEOUT_S = 10.0
MAX_MESSAGE_BYTES = 64 << 20
_SERVICE = "ciosidecar.v1.SidecarService"
# The time limit of one attempt to connect, with its TLS handshake.
_MAX_ATTEMPT_S = 5.0
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
            ValueError: A file is not PEM.
        """

        def read(path: str | None) -> bytes | None:
            return None if path is None else _require_pem(Path(path).read_bytes(), path)

        return cls(
            root_certificates=read(root_certificates),
            private_key=read(private_key),
            certificate_chain=read(certificate_chain),
            server_name=server_name,
        )

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials for a gRPC channel.

        Raises:
            ValueError: The key or the certificate of the client is missing.
        """
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("give private_key and certificate_chain together, or neither")
        return grpc.ssl_channel_credentials(
            self.root_certificates, self.private_key, self.certificate_chain
        )


def _require_pem(text: bytes, path: str) -> bytes:
    if b"-----BEGIN " not in text:
        raise ValueError(f"{path} is no PEM file: it has no line -----BEGIN …-----")
    return text


def checked_target(addresses: str | Sequence[str], tls: Tls | None) -> str:
    """Return the gRPC target of a client.

    Raises:
        ValueError: An address is malformed, several cannot be used together, or TLS is set for a
            unix socket.
    """
    target = target_of(addresses)
    if tls is not None and any(map(is_unix, as_list(addresses))):
        raise ValueError("a sidecar has no TLS on its unix sockets: leave tls out")
    return target


def channel_options(
    tls: Tls | None,
    keepalive_time_s: float = KEEPALIVE_TIME_S,
    keepalive_timeout_s: float = KEEPALIVE_TIMEOUT_S,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
) -> list[tuple[str, str | int]]:
    """Return the options of a channel, synchronous or asynchronous.

    Raises:
        ValueError: The time limit for connecting is not above 0.
    """
    if connect_timeout_s <= 0:
        raise ValueError("connect_timeout_s must be above 0")
    attempt_ms = max(1, round(min(connect_timeout_s, _MAX_ATTEMPT_S) * 1000))
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
        # Despite its name: the time limit of an attempt. Without it, gRPC waits 20 seconds for a host
        # that does not answer, and two minutes for a name server.
        ("grpc.min_reconnect_backoff_ms", attempt_ms),
        ("grpc.dns_ares_query_timeout", attempt_ms),
        # A sidecar runs on the same host or network, which proxies of the environment do not serve.
        ("grpc.enable_http_proxy", 0),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options
