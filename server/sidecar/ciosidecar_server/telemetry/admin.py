"""The admin port: health, metrics, the page, the state and the tap, over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from ..settings import Settings
from .admin_address import OFF
from .admin_server import AdminServer
from .page import page
from .readiness import Readiness
from .state import StateReader
from .tap import TapHub
from .tap_route import TapRoute

RenderMetrics = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Returns the metrics and their content type, for the value of an Accept header."""

_STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class AdminSources(NamedTuple):
    """What the admin port shows."""

    readiness: Readiness
    render_metrics: RenderMetrics
    state: StateReader
    tap: TapHub


class Admin:
    """The admin port of one process."""

    def __init__(self, settings: Settings, sources: AdminSources) -> None:
        """Prepare the port. sources: what it shows."""
        self.readiness = sources.readiness
        self._sources = sources
        self._tap = TapRoute(sources.tap, bodies_allowed=settings.tap_bodies)
        listen = settings.admin_listen
        self._server = None if listen == OFF else AdminServer(listen, self._application())

    async def start(self) -> str | None:
        """Listen, if there is an address.

        Returns:
            The address, with the port that was taken, or None.

        Raises:
            CannotListen: The address cannot be used.
        """
        return None if self._server is None else await self._server.start()

    async def aclose(self) -> None:
        """End the port, and the taps."""
        self._sources.tap.end_all()
        if self._server is not None:
            await self._server.aclose()

    def _application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/healthz", _healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/api/state", self._state),
                web.get("/api/tap", self._tap.__call__, allow_head=False),
                *(web.get(f"/{name}", _static(name)) for name in _STATIC),
            ]
        )
        return application

    async def _readyz(self, _request: web.Request) -> web.Response:
        reason = self.readiness.reason()
        if reason is None:
            return web.json_response({"ready": True}, dumps=_line)
        return web.json_response({"ready": False, "reason": reason}, status=503, dumps=_line)

    async def _metrics(self, request: web.Request) -> web.Response:
        accept = request.headers.get(hdrs.ACCEPT, "")
        body, content_type = await self._sources.render_metrics(accept)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=page(await self._sources.state.read()), content_type="text/html")

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(await self._sources.state.read())


async def _healthz(_request: web.Request) -> web.Response:
    # Answered by the loop that serves the streams: a loop that hangs gives no answer.
    await asyncio.sleep(0)
    return web.json_response({"alive": True})


def _line(members: Any) -> str:
    return json.dumps(members) + "\n"


def _static(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    text = files(__package__).joinpath("static", name).read_text(encoding="utf-8")

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=_STATIC[name])

    return answer
