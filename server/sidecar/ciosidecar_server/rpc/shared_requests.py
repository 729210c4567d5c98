"""The requests of delivered items, as results report them."""

from collections.abc import Callable

from ciosidecar_transform import Request, RequestTemplate
from ciosidecar_transform.batching import OpenRequest
from ciosidecar_transform.requests import SharedItem


class SharedRequests:
    """Requests for results: items that may share a request do, whether or not they were sent so."""

    def __init__(self, add: Callable[[Request, list[int]], None]) -> None:
        """add: adds a complete request, with the positions of the items that it covers."""
        self._add = add
        self._open: dict[tuple[RequestTemplate, str], tuple[OpenRequest, list[int]]] = {}

    def add(self, request: Request | SharedItem, position: int) -> None:
        """Add the request of an item, or the item's part of a request."""
        if isinstance(request, Request):
            self._add(request, [position])
            return
        # By template: two workspaces never share a request.
        key = (request.template, request.path)
        shared = self._open.get(key)
        if shared is not None and not shared[0].takes(request):
            self._add(shared[0].request(), shared[1])
            shared = None
        if shared is None:
            shared = self._open[key] = (OpenRequest(request.template, request.path), [])
        open_request, positions = shared
        open_request.add(request)
        positions.append(position)

    def flush(self) -> None:
        """Add the requests that still take items."""
        for request, positions in self._open.values():
            self._add(request.request(), positions)
        self._open.clear()
