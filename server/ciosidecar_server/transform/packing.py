"""Operations that share a request to /api/v2/batch. SPEC 8.1, 10.3."""

from .destination import Destination
from .event import Event
from .identity import comparable, is_email
from .operations import Operation, UpdateObject
from .ordering import ordering_keys
from .request import BatchItem, Request

MAX_BATCH_BYTES = 500_000
MAX_BATCH_ITEMS = 1000
ENVELOPE_BYTES = len(b'{"batch":[]}')


class SharedRequest:
    """A request to /api/v2/batch that still takes items."""

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.positions: list[int] = []
        self.size = ENVELOPE_BYTES
        self._concerned: set[str] = set()
        self._someone_without_id = False

    def takes(self, item: BatchItem) -> bool:
        """Whether there is room for one more. SPEC 10.3."""
        return (
            len(self.items) < MAX_BATCH_ITEMS and self.size + 1 + len(item.body) <= MAX_BATCH_BYTES
        )

    def add(self, position: int, item: BatchItem, operation: Operation, event: Event) -> None:
        """Takes an item and everything its person may be known by."""
        self.size += len(item.body) + bool(self.items)
        self.items.append(item.body)
        self.positions.append(position)
        self._concerned |= ordering_keys(operation, event)
        if not operation.people or any(map(is_email, operation.people)):
            self._someone_without_id = True

    def concerns(self, operation: Operation, event: Event) -> bool:
        """Whether someone or something in here may be what the operation is about."""
        # Two different user ids are two people. Only someone without one can be met under an
        # email that the event does not go by, and looking for those takes reading its traits.
        if self._someone_without_id or type(operation) is UpdateObject:
            return not self._concerned.isdisjoint(ordering_keys(operation, event))
        for one in operation.people:  # noqa: SIM110 - a generator costs more than the rest
            if comparable(one) in self._concerned:
                return True
        return False


def shared_request(destination: Destination, items: list[bytes]) -> Request:
    """The request that carries the items, in their order."""
    body = b'{"batch":[' + b",".join(items) + b"]}"
    return Request(destination.endpoints.batch, "/api/v2/batch", body)
