"""Items that share a request, and how many fit into one by exact bytes. Rules 8.1, 9.5, 10.3."""

from collections.abc import Iterable

from .requests import BatchTemplate, Request, SharedItem

_CLOSING = b"]}"


def envelope_bytes(template: BatchTemplate) -> int:
    """Return the bytes of a shared request's body besides its items and their commas."""
    return len(template.opening) + len(_CLOSING)


def join(template: BatchTemplate, path: str, bodies: Iterable[bytes]) -> Request:
    """Return the request that carries the items, in order. OpenRequest checks its size, not this."""
    return Request(template, path, template.opening + b",".join(bodies) + _CLOSING)


class OpenRequest:
    """A request that still takes items of one template and path."""

    def __init__(self, template: BatchTemplate, path: str) -> None:
        self.template = template
        self.path = path
        self.bodies: list[bytes] = []
        self._max_items = template.max_items
        # One byte more, because the first item has no comma.
        self._bytes_left = template.max_bytes - envelope_bytes(template) + 1

    def takes(self, item: SharedItem) -> bool:
        """Return whether there is room for an item. Rule 10.3."""
        return len(item.body) < self._bytes_left and len(self.bodies) < self._max_items

    def add(self, item: SharedItem) -> None:
        """Add an item. The caller MUST have asked `takes`."""
        self.bodies.append(item.body)
        self._bytes_left -= len(item.body) + 1

    def add_if_it_fits(self, item: SharedItem) -> bool:
        """Add an item if there is room for it, and return whether there was. Rule 10.3."""
        size = len(item.body)
        if size >= self._bytes_left or len(self.bodies) >= self._max_items:
            return False
        self.bodies.append(item.body)
        self._bytes_left -= size + 1
        return True

    def request(self) -> Request:
        """Return the request with the items so far. There MUST be an item."""
        return join(self.template, self.path, self.bodies)


class SharedRequest(OpenRequest):
    """An open request that knows which events of a batch it covers."""

    def __init__(self, template: BatchTemplate, path: str, number: int) -> None:
        """Open the request. number: its place among all that were opened."""
        super().__init__(template, path)
        self.positions: list[int] = []
        self.number = number
        self.is_open = True
        self.has_person_without_id = False
