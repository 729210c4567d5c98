"""The sandbox's ASGI application and its server: the Track API, the admin API and the page."""

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from msgspec.json import encode
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .admin_api import AdminApi
from .api import TrackApi
from .callers import Callers
from .connection import ResettableProtocol
from .faults import BadFaults, Faults
from .http import Receive, Scope, Send, send_answer
from .page import page_routes
from .settings import CannotStart, SandboxSettings, UnusableSettings
from .workspace import Workspace

STOP_WITHIN_S = 2


class Sandbox:
    """One sandbox: the workspace, and the ASGI application in front of it."""

    def __init__(self, settings: SandboxSettings) -> None:
        """Create a sandbox.

        Raises:
            UnusableSettings: The settings contradict each other or cannot be read.
        """
        if settings.keep < 1:
            raise UnusableSettings("--keep must be at least 1")
        if settings.arrivals_bytes < 1:
            raise UnusableSettings("--arrivals-bytes must be at least 1")
        if (settings.site_id is None) != (settings.api_key is None):
            raise UnusableSettings("--site-id and --api-key must be given together")
        if (settings.tls_cert is None) != (settings.tls_key is None):
            raise UnusableSettings("--tls-cert and --tls-key must be given together")
        self.settings = settings
        self._callers = Callers(_host_and_port(settings.listen)[0], settings.allow_host)
        self.workspace = Workspace(
            settings.keep, arrivals_bytes=settings.arrivals_bytes if settings.arrivals else None
        )
        try:
            self.faults = Faults(settings.fault, settings.seed, settings.retry_after_s)
        except BadFaults as problem:
            raise UnusableSettings(f"--fault: {problem}") from None
        credentials = None if settings.site_id is None else f"{settings.site_id}:{settings.api_key}"
        self.api = TrackApi(self.workspace, self.faults, credentials, settings.region)
        at_root = page_routes(self.workspace, self.faults, self.api.stopping)
        self._others = Starlette(
            routes=[*AdminApi(self.workspace, self.faults).routes(), *at_root],
            exception_handlers={HTTPException: _json_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        # The Track API has no router because its calls must be fast.
        if scope["type"] == "http":
            refusal = self._callers.refusal(scope)
            if refusal is not None:
                await send_answer(send, refusal)
                return
            path: bytes = scope["raw_path"]
            if path.startswith((b"/api/", b"/unsubscribe/")):
                await self.api(scope, receive, send)
                return
        await self._others(scope, receive, send)


async def _json_error(_request: Request, problem: Exception) -> Response:
    if not isinstance(problem, HTTPException):
        raise problem
    body = encode({"meta": {"error": problem.detail}})
    return Response(
        body, problem.status_code, headers=problem.headers, media_type="application/json"
    )


def bind(settings: SandboxSettings) -> socket.socket:
    """Return a socket that listens on the address of the settings.

    Raises:
        UnusableSettings: The address cannot be read, or is not loopback.
        CannotStart: The address is taken, or is none of this machine.
    """
    host, port = _host_and_port(settings.listen)
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UnusableSettings(f"--listen is host:port, not {settings.listen!r}")
    if not settings.insecure and not _is_loopback(host):
        raise UnusableSettings(
            f"{host} is not loopback, and every program that reaches the sandbox can read and change"
            " everything in it; add --insecure to allow this"
        )
    try:
        family = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, int(port)), family=family, backlog=1024)
    except OSError as problem:
        # Python adds the address to the strerror of a socket; errno of an unknown host is below 0.
        number = problem.errno or 0
        why = os.strerror(number) if number > 0 else problem.strerror or str(problem)
        raise CannotStart(
            f"cannot listen on {settings.listen}: {why}; give another address with --listen"
        ) from None


def _host_and_port(listen: str) -> tuple[str, str]:
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class SandboxServer(uvicorn.Server):
    """uvicorn with a sandbox as its application. Signals are left to the caller."""

    def __init__(self, sandbox: Sandbox, listening: socket.socket) -> None:
        """Create a server.

        Args:
            sandbox: The application.
            listening: The socket that `bind` returned.

        Raises:
            CannotStart: The certificate or its key cannot be used.
        """
        settings = sandbox.settings
        super().__init__(
            uvicorn.Config(
                sandbox,
                http=ResettableProtocol,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=1024,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=STOP_WITHIN_S,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
        )
        try:
            self.config.load()
        except (OSError, ValueError) as problem:
            raise CannotStart(f"cannot use the certificate and its key: {problem}") from None
        self._listening = listening
        self._sandbox = sandbox
        host, port = listening.getsockname()[:2]
        scheme = "https" if settings.tls_cert else "http"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals: uvicorn would raise them again once it has stopped."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the server, and abort the connections that are still open in the end."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection, ResettableProtocol):
                connection.transport.abort()
        await asyncio.sleep(0)

    async def run_until(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve until an event is set.

        Args:
            stop: Ends the server when it is set.
            ready: Called once the server accepts connections. An exception in it ends the server.
        """
        serving = asyncio.ensure_future(self.serve([self._listening]))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            # Clients can connect before uvicorn accepts: the backlog of the socket holds them.
            ready()
            await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            self._sandbox.api.stopping.set()
            self.should_exit = True
            await serving


async def run(settings: SandboxSettings, ready: Callable[[str], None]) -> None:
    """Run a sandbox until SIGTERM or Ctrl-C.

    Args:
        settings: The settings of the sandbox.
        ready: Called once with the URL of the sandbox, with the port that was taken.

    Raises:
        CannotStart: The sandbox cannot start with these settings.
    """
    sandbox = Sandbox(settings)
    server = SandboxServer(sandbox, bind(settings))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.run_until(stop, lambda: ready(server.url))
