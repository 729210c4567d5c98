"""The gRPC server: its services, health, reflection, addresses and drain."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from ciosidecar.v1 import service_pb2
from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc

from . import __version__
from .credentials import Credentials
from .delivery.dispatcher import Dispatcher
from .listening import listen
from .rate_store.opening import open_rate_store
from .rpc.authentication import TokenInterceptor
from .rpc.draining import Draining
from .rpc.handlers import add_to_server
from .rpc.health import HealthService
from .rpc.reflection import enable_reflection
from .rpc.service import Servicer
from .rpc.unreadable import UnreadableInterceptor
from .server_destinations import ServerDestinations
from .settings import Settings
from .telemetry.admin import Admin
from .telemetry.logging import log_loop_exception
from .telemetry.metrics import Snapshot
from .telemetry.observer import Observer
from .telemetry.reporting import Telemetry
from .telemetry.tracing_setup import tracing_observer

SERVICE_NAME = service_pb2.DESCRIPTOR.services_by_name["SidecarService"].full_name
# Each takes 10 kB: 20,000 calls at once made a server of 86 MB one of 286 MB.
_MAX_PENDING_CALLS = 20_000

# How long a draining server takes new calls from clients that watch its health. gRPC cancels the calls that reach a
# server which is being stopped, and a client goes on calling it until it has read NOT_SERVING.
_MOVING_ON_S = 0.5


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
        # Calls that wait for the event loop. By default gRPC ends a share of them with CANCELLED as soon as there are
        # 1,000: for a caller's own burst, and for every caller once one of them resets thousands (grpc#34782).
        ("grpc.server.max_pending_requests", _MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING_CALLS),
        # A caller that vanished without closing its connection is noticed within a minute.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # TLS and the HTTP/2 preface. gRPC would wait for two minutes.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", int(settings.connection_idle_s * 1000)),
    ]


class Sidecar:
    """A server in the running event loop."""

    def __init__(self, settings: Settings, observers: Sequence[Observer] = ()) -> None:
        """Prepare a server. observers: listen to its calls and its delivery, beside the log."""
        self._settings = settings
        self._draining = Draining()
        self._cut = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._telemetry = Telemetry(settings, self._snapshot, observers)
        observer = self._telemetry.observer
        self._credentials = Credentials(settings)
        accept = self._credentials.accept_token
        # The first one is the outermost: no message of a caller without a token is read.
        authentication = [] if accept is None else [TokenInterceptor(accept)]
        self._server = aio.server(
            interceptors=[
                *authentication,
                UnreadableInterceptor(observer),
            ],
            options=server_options(settings),
        )
        self._health = HealthService("", SERVICE_NAME)
        self._dispatcher = Dispatcher(
            settings, observer=observer, rate_store=open_rate_store(settings)
        )
        self._destinations = ServerDestinations(settings)
        self._servicer = Servicer(
            settings,
            self._draining,
            self._dispatcher,
            self._destinations,
            observer,
            self._telemetry.tap,
        )
        self._admin = Admin(settings, self._telemetry.admin_sources())
        add_to_server(self._servicer, self._server, self._telemetry.message_bytes)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            enable_reflection(self._server, (SERVICE_NAME, health.SERVICE_NAME))

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            self._dispatcher.snapshots(),
            self._servicer.snapshot(),
            self._dispatcher.rate_store_snapshot(),
            self._credentials.not_after_s,
        )

    async def start(self) -> list[str]:
        """Listen on the addresses of the settings.

        Returns:
            The addresses, with the ports that were taken.

        Raises:
            CannotListen: An address cannot be used.
        """
        bound = listen(self._server, self._settings, self._credentials.tls)
        await self._server.start()
        self._destinations.start()
        self._credentials.start()
        self._telemetry.loop_lag.start()
        self._telemetry.descriptors.start()
        self._dispatcher.start()
        return bound

    async def start_admin(self) -> str | None:
        """Start the admin port of the settings.

        Returns:
            Its address, with the port that was taken, or None if it is off.

        Raises:
            CannotListen: Its address cannot be used.
        """
        return await self._admin.start()

    def started(self, addresses: Sequence[str]) -> None:
        """Log that the server listens, now that nothing can keep it from running."""
        self._telemetry.started(addresses)

    def reload(self) -> None:
        """Read the files of destinations again."""
        self._destinations.reload()

    async def drain(self) -> None:
        """Let clients move on, then reject new calls, finish what was received, and end within the grace period."""
        self._telemetry.drain_began()
        self._admin.readiness.drain()
        moving_on_s = min(_MOVING_ON_S, self._settings.grace_s) if self._health.is_watched else 0
        self._health.drain()
        self._draining.begin(self._settings.grace_s)
        self._dispatcher.drain(self._settings.grace_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._cut.wait(), moving_on_s)
        self._health.stop()
        if not self._cut.is_set():
            await self._server.stop(self._settings.grace_s - moving_on_s)
        await self._end()

    async def stop_at_once(self) -> None:
        """End every call at once, also those of a server that drains."""
        self._cut.set()
        await self._server.stop(None)
        await self._end()

    async def _end(self) -> None:
        """Close everything once, whichever of `drain` and `stop_at_once` comes here first."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._close())
        await self._ending

    async def _close(self) -> None:
        await self._credentials.aclose()
        await self._servicer.calls_end()
        await self._dispatcher.aclose()
        await self._destinations.aclose()
        await self._admin.aclose()
        self._telemetry.ended(cut=self._cut.is_set())


async def serve(settings: Settings, ready: Callable[[list[str], str | None], None]) -> None:
    """Run a server until SIGTERM or Ctrl-C. A second signal ends it at once.

    Args:
        settings: The settings of the server.
        ready: Called once the server listens, with its addresses and the address of the admin port, or None if
            there is none. An exception in it ends the server.

    Raises:
        CannotListen: An address cannot be used.
        InvalidFile: A file of destinations cannot be used.
    """
    tracing = tracing_observer(os.environ, __version__)
    sidecar = Sidecar(settings, () if tracing is None else (tracing,))
    try:
        await _serve(sidecar, ready)
    finally:
        if tracing is not None:
            tracing.close()


async def _serve(sidecar: Sidecar, ready: Callable[[list[str], str | None], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_exception)
    bound = await sidecar.start()
    signals = asyncio.Queue[None]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, None)
    loop.add_signal_handler(signal.SIGHUP, sidecar.reload)
    try:
        ready(bound, await sidecar.start_admin())
    except BaseException:
        await sidecar.stop_at_once()
        raise
    sidecar.started(bound)
    await signals.get()
    draining = asyncio.ensure_future(sidecar.drain())
    second_signal = asyncio.ensure_future(signals.get())
    await asyncio.wait((draining, second_signal), return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        await sidecar.stop_at_once()
    second_signal.cancel()
    await draining
