"""Redirects between Customer.io's two regions, which one workspace's requests follow."""

from collections.abc import Callable

from .clock import Clock
from .endpoints import TrackApiEndpoints
from .request_batch import RequestBatch
from .responses import REDIRECTS
from .transport import Response, Transport

_MAX_REDIRECTS = 3


class RedirectingSender:
    """Sends the requests of one workspace to the region that accepts them, and remembers which one does."""

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        endpoints: TrackApiEndpoints,
        clock: Clock,
        on_moved: Callable[[str], None],
    ) -> None:
        """Begin with the region that the destination names.

        Args:
            base_url: where requests go, until Customer.io redirects one.
            transport: sends the requests.
            endpoints: the base URLs that a redirect may lead to.
            clock: the time that requests are sent at.
            on_moved: called with the base URL of the other region once that region accepts requests.
        """
        self._on_moved = on_moved
        self._configured_url = self._base_url = base_url
        self._transport = transport
        self._endpoints = endpoints
        self._clock = clock

    @property
    def moved(self) -> bool:
        """Return whether requests go to another region than the destination names."""
        return self._base_url != self._configured_url

    async def send(self, batch: RequestBatch, until: float) -> Response:
        """Return the response to a request, from whichever of the two regions accepts it.

        Raises:
            NoResponse: there is no response by the time `until`.
        """
        request = batch.request()
        template = request.template
        base_url = self._base_url
        for _ in range(_MAX_REDIRECTS):
            response = await self._transport.send(
                template.method,
                base_url + request.path,
                template.headers,
                request.body,
                timeout_s=max(0.001, until - self._clock.time()),
            )
            if response.status not in REDIRECTS:
                break
            redirected_url = self._endpoints.redirected(response.headers.get("location"))
            if redirected_url is None:
                return response
            batch.redirected = True
            base_url = redirected_url
        if base_url != self._base_url and response.status not in REDIRECTS:
            self._base_url = base_url
            self._on_moved(base_url)
        return response
