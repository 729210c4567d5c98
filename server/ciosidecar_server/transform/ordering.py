"""What must stay in order: everything by which Customer.io may know whom an operation is about."""

from .event import Event
from .identity import Phone, comparable, identifiers, is_email
from .operations import Operation, SendEvent, UpdateObject


def ordering_keys(operation: Operation, event: Event, *, by_phone: bool = False) -> set[str]:
    """Two operations that share a key concern the same person or object: their order matters.

    The people as they are addressed, whatever else the event says they are known by, and the
    object, if it is about one. All of it comparable: two spellings of one email are equal.
    by_phone: whether phone numbers address people (13.4).
    """
    keys = identifiers(event, by_phone=by_phone)
    keys.update(map(comparable, operation.people))
    if type(operation) is UpdateObject:
        # The line feed keeps an object apart from a person of the same id.
        keys.add(f"object\n{operation.object_type_id}\n{operation.object_id}")
    return keys


class Concerned:
    """Everyone and everything that some operations are about."""

    def __init__(self, *, by_phone: bool = False) -> None:
        """by_phone: whether phone numbers address people (13.4)."""
        self._by_phone = by_phone
        # Looking an event through takes as long as the rest of packing it, and where everything
        # goes into one request nobody asks: it waits until somebody does.
        self._unread: list[tuple[Operation, Event]] = []
        self._keys: set[str] = set()
        self._someone_without_id = False

    def add(self, operation: Operation, event: Event) -> None:
        """Takes one more operation, and the event it came from."""
        self._unread.append((operation, event))

    def includes(self, operation: Operation, event: Event) -> bool:
        """Whether someone or something in here may be what the operation is about."""
        if self._unread:
            self._read()
        # Two different user ids are two people. Only someone without one can be met under an
        # email that the event does not go by, and looking for those takes reading its traits.
        if self._someone_without_id or type(operation) is UpdateObject:
            keys = ordering_keys(operation, event, by_phone=self._by_phone)
            return not self._keys.isdisjoint(keys)
        for one in operation.people:  # noqa: SIM110 - a generator costs more than the rest
            if comparable(one) in self._keys:
                return True
        return False

    def _read(self) -> None:
        for operation, event in self._unread:
            self._keys |= ordering_keys(operation, event, by_phone=self._by_phone)
            if not self._someone_without_id and _lacks_id(operation):
                self._someone_without_id = True
        self._unread.clear()


def _lacks_id(operation: Operation) -> bool:
    people = operation.people
    if isinstance(operation, (SendEvent, UpdateObject)) and operation.person is None:
        return True
    return not people or any(type(one) is Phone or is_email(one) for one in people)
