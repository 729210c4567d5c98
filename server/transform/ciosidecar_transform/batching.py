"""Items that share a request: what fits into one, counted exactly. SPEC 8.1, 9.5, 10.3."""

from collections.abc import Iterable

from .event import Event
from .operations import Operation
from .ordering import Concerned
from .requests import BatchItem, BatchTemplate, Request

_CLOSING = b"]}"


def envelope_bytes(template: BatchTemplate) -> int:
    """Bytes of a shared request's body beside its items and the commas between them."""
    return len(template.opening) + len(_CLOSING)


def join(template: BatchTemplate, path: str, bodies: Iterable[bytes]) -> Request:
    """The request that carries the items, in their order. Measures nothing: OpenRequest does."""
    return Request(template, path, template.opening + b",".join(bodies) + _CLOSING)


class OpenRequest:
    """A request that still takes items of one template and path."""

    def __init__(self, template: BatchTemplate, path: str) -> None:
        self.template = template
        self.path = path
        self.bodies: list[bytes] = []
        self._max_items = template.max_items
        # The comma that the first item has none of.
        self._bytes_left = template.max_bytes - envelope_bytes(template) + 1

    def takes(self, item: BatchItem) -> bool:
        """Whether there is room for one more. SPEC 10.3."""
        return len(item.body) < self._bytes_left and len(self.bodies) < self._max_items

    def add(self, item: BatchItem) -> None:
        """Takes an item for which there is room."""
        self.bodies.append(item.body)
        self._bytes_left -= len(item.body) + 1

    def request(self) -> Request:
        """The request that carries the items so far; there MUST be one."""
        return join(self.template, self.path, self.bodies)


class SharedRequest(OpenRequest):
    """An open request that knows which events of a batch it covers, and whom they concern."""

    def __init__(self, template: BatchTemplate, path: str, *, by_phone: bool = False) -> None:
        """by_phone: whether phone numbers address people (13.4)."""
        super().__init__(template, path)
        self.positions: list[int] = []
        self.concerned = Concerned(by_phone=by_phone)

    def cover(self, position: int, item: BatchItem, operation: Operation, event: Event) -> None:
        """Takes the item of one event, for which there is room."""
        self.add(item)
        self.positions.append(position)
        self.concerned.add(operation, event)
