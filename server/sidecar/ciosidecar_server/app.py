"""The gRPC server: its services, health, reflection, addresses and drain."""

import asyncio
import logging
import signal
from collections.abc import Callable

import grpc
from ciosidecar.v1 import service_pb2, service_pb2_grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from .addresses import UNIX, CannotListen, listenable
from .delivery.dispatcher import Dispatcher
from .rpc.reflection import enable_reflection
from .rpc.service import Servicer
from .rpc.session import Draining
from .rpc.unreadable import UnreadableInterceptor
from .server_destinations import ServerDestinations
from .settings import Settings

SERVICE_NAME = service_pb2.DESCRIPTOR.services_by_name["SidecarService"].full_name


_log = logging.getLogger(__name__)


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Return gRPC's options for a server with these settings."""
    return [
        # It is on by default: a second server could take the same port and half the connections.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # grpc-go pings at most every 10 s, also without a call. By default gRPC would disconnect it.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # A caller that vanished without closing its connection is noticed within a minute.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]


class Sidecar:
    """A server in the running event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._draining = Draining()
        self._server = aio.server(
            interceptors=[UnreadableInterceptor()], options=server_options(settings)
        )
        self._credentials = _tls(settings)
        self._health = health.aio.HealthServicer()
        self._dispatcher = Dispatcher(settings)
        self._destinations = ServerDestinations(settings)
        self._servicer = Servicer(settings, self._draining, self._dispatcher, self._destinations)
        service_pb2_grpc.add_SidecarServiceServicer_to_server(self._servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            enable_reflection(self._server, (SERVICE_NAME, health.SERVICE_NAME))

    async def start(self) -> list[str]:
        """Listen on the addresses of the settings.

        Returns:
            The addresses, with the ports that were taken.

        Raises:
            CannotListen: An address cannot be used.
        """
        protected = self._credentials is not None or self._settings.insecure
        addresses = [listenable(address, protected=protected) for address in self._settings.listen]
        bound = [self._listen(address) for address, _ in addresses]
        for address, (_, reachable) in zip(bound, addresses, strict=True):
            if reachable and self._credentials is None:
                _log.warning(
                    "%s can be reached from other machines without TLS: events and credentials are"
                    " readable on the network",
                    address,
                )
        await self._server.start()
        self._destinations.start()
        for name in ("", SERVICE_NAME):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return bound

    def _listen(self, address: str) -> str:
        try:
            if self._credentials is None or address.startswith(UNIX):
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise CannotListen(
                f"cannot listen on {address}: it is taken, or not an address of this machine;"
                " give another address with --listen"
            )
        if address.startswith(UNIX):
            return address
        return f"{address.rpartition(':')[0]}:{port}"

    def reload(self) -> None:
        """Read the files of destinations again."""
        self._destinations.reload()

    async def drain(self) -> None:
        """Reject new calls, finish what was received, and end within the grace period."""
        await self._health.enter_graceful_shutdown()
        self._draining.begin(self._settings.grace_s)
        self._dispatcher.drain(self._settings.grace_s)
        await self._server.stop(self._settings.grace_s)
        await self._end()

    async def stop_at_once(self) -> None:
        """End every call at once."""
        await self._server.stop(None)
        await self._end()

    async def _end(self) -> None:
        await self._servicer.calls_end()
        await self._dispatcher.aclose()
        await self._destinations.aclose()


def _tls(settings: Settings) -> grpc.ServerCredentials | None:
    if settings.tls_cert is None or settings.tls_key is None:
        if settings.tls_cert or settings.tls_key or settings.tls_client_ca:
            raise CannotListen("TLS needs both --tls-cert and --tls-key")
        return None
    try:
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
        client_ca = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    except OSError as problem:
        raise CannotListen(f"cannot read {problem.filename}: {problem.strerror}") from None
    return grpc.ssl_server_credentials([pair], client_ca, require_client_auth=bool(client_ca))


async def serve(settings: Settings, ready: Callable[[list[str]], None]) -> None:
    """Run a server until SIGTERM or Ctrl-C. A second signal ends it at once.

    Args:
        settings: The settings of the server.
        ready: Called with the addresses once the server listens. An exception in it ends the server.

    Raises:
        CannotListen: An address cannot be used.
        InvalidFile: A file of destinations cannot be used.
    """
    sidecar = Sidecar(settings)
    bound = await sidecar.start()
    loop = asyncio.get_running_loop()
    signals = asyncio.Queue[None]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, None)
    loop.add_signal_handler(signal.SIGHUP, sidecar.reload)
    try:
        ready(bound)
    except BaseException:
        await sidecar.stop_at_once()
        raise
    await signals.get()
    draining = asyncio.ensure_future(sidecar.drain())
    second_signal = asyncio.ensure_future(signals.get())
    await asyncio.wait((draining, second_signal), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await sidecar.stop_at_once()
    second_signal.cancel()
    await draining
