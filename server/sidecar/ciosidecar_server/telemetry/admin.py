"""The admin port: health and metrics over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from .admin_address import OFF
from .admin_server import AdminServer
from .loop_lag import LoopLag
from .readiness import Readiness

RenderMetrics = Callable[[str], tuple[bytes, str]]
"""Returns the metrics and their content type, for the value of an Accept header."""

_INDEX = "ciosidecar\n\n/healthz  alive\n/readyz   ready for new streams\n/metrics  metrics\n"


class Admin:
    """The admin port of one process."""

    def __init__(
        self, listen: str, lag: LoopLag, render_metrics: RenderMetrics | None = None
    ) -> None:
        """Prepare the port.

        Args:
            listen: the address, or "none" for no port.
            lag: measures the event loop, from the start of the server to its end.
            render_metrics: answers /metrics. Without it, there is no /metrics.
        """
        self.readiness = Readiness(lag)
        self._server = (
            None if listen == OFF else AdminServer(listen, self._application(render_metrics))
        )

    async def start(self) -> str | None:
        """Listen, if there is an address.

        Returns:
            The address, with the port that was taken, or None.

        Raises:
            CannotListen: The address cannot be used.
        """
        if self._server is None:
            return None
        return await self._server.start()

    async def aclose(self) -> None:
        """End the port."""
        if self._server is not None:
            await self._server.aclose()

    def _application(self, render_metrics: RenderMetrics | None) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/", _index),
                web.get("/healthz", _healthz),
                web.get("/readyz", self._readyz),
            ]
        )
        if render_metrics is not None:
            application.add_routes([web.get("/metrics", _metrics(render_metrics))])
        return application

    async def _readyz(self, _request: web.Request) -> web.Response:
        reason = self.readiness.reason()
        if reason is None:
            return web.json_response({"ready": True})
        return web.json_response({"ready": False, "reason": reason}, status=503)


def _metrics(render: RenderMetrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        body, content_type = render(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    return answer


async def _index(_request: web.Request) -> web.Response:
    return web.Response(text=_INDEX)


async def _healthz(_request: web.Request) -> web.Response:
    # Answered by the loop that serves the streams: a loop that hangs gives no answer.
    await asyncio.sleep(0)
    return web.json_response({"alive": True})
