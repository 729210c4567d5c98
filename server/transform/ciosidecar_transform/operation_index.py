"""Which open requests concern a person or object of an operation: an index by ordering key. Rule 10.3."""

from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

from .event import Event
from .identifiers import TypedIdentifier
from .operations import Identify, Operation, SendEvent, UpdateObject
from .ordering import OrderingKey, operation_keys

# Attributes by which an identify concerns more than the person it is addressed to.
_REACHING = frozenset(("id", "cio_relationships"))


class OpenItems(Protocol):
    """The items of a request that is open, as an index of operations knows them. Hashed by identity."""

    number: int
    """The place of the request among all that were opened."""
    is_open: bool
    has_person_without_id: bool
    """Whether the index knows of an operation here that `_lacks_id`."""


_Items = TypeVar("_Items", bound=OpenItems)


class OperationIndex(Generic[_Items]):
    """An index of the operations in open requests, by their keys.

    A question costs as much with a thousand open requests as with two.
    """

    def __init__(self, *, by_phone: bool = False) -> None:
        """Create an empty index. by_phone: whether phone numbers address people (rules 3.8, 13.4)."""
        self._by_phone = by_phone
        # Reading the keys of an event takes as long as the rest of batching it. They are not needed
        # while all items go into one request, so they are read with the first question.
        self._unread: list[tuple[_Items, Operation, Event]] = []
        # Requests that are closed stay here until their keys are met again. Few keys are in several.
        self._by_key: dict[OrderingKey, _Items | dict[_Items, None]] = {}
        self._without_id = 0

    def add(self, items: _Items, operation: Operation, event: Event) -> None:
        """Add an operation to those of a request. event: what became the operation."""
        self._unread.append((items, operation, event))

    def close(self, items: _Items) -> None:
        """Forget the operations of a request."""
        items.is_open = False
        self._without_id -= items.has_person_without_id

    def sharing_a_key(self, operation: Operation, event: Event) -> list[_Items]:
        """Return the open requests that have a key of an operation, in the order of their opening."""
        if self._unread:
            self._read()
        keys = operation_keys(operation, event, by_phone=self._by_phone)
        return _in_order({items for key in keys for items in self._with(key)})

    def concerning(self, operation: Operation, event: Event) -> list[_Items]:
        """Return the open requests that may concern a person or object of an operation.

        They are in the order of their opening.
        """
        if self._unread:
            self._read()
        # Two different user ids are two people, so the operation's own people are usually enough.
        # All keys are needed, and with them the traits, if a request or the event has a person without
        # an id, who may be known by an email of the traits; if the operation assigns an id or
        # relates an object; and if it names no person.
        people = operation.people
        needs_all_keys = (
            type(operation) is UpdateObject
            or (type(operation) is Identify and not _REACHING.isdisjoint(operation.attributes))
            or not people
        )
        found: set[_Items] = set()
        by_key = self._by_key
        for identifier in people:
            # person_key and _is_own_id, inlined because this runs for every event of a batch.
            key = OrderingKey(identifier)
            if "@" in identifier:
                needs_all_keys = True
                key = OrderingKey(identifier.casefold())
            elif identifier[:4] == "cio_" or type(identifier) is TypedIdentifier:
                needs_all_keys = True
            if key in by_key:
                found.update(self._with(key))
        if needs_all_keys or self._without_id:
            for key in operation_keys(operation, event, by_phone=self._by_phone):
                if key in by_key:
                    found.update(
                        items
                        for items in self._with(key)
                        if needs_all_keys or items.has_person_without_id
                    )
        return _in_order(found)

    def _with(self, key: OrderingKey) -> Collection[_Items]:
        """Return the open requests that have a key."""
        held = self._by_key.get(key)
        if held is None:
            return ()
        if not isinstance(held, dict):
            if held.is_open:
                return (held,)
            del self._by_key[key]
            return ()
        for items in [items for items in held if not items.is_open]:
            del held[items]
        return held

    def _read(self) -> None:
        by_key = self._by_key
        for items, operation, event in self._unread:
            if not items.is_open:
                continue
            for key in operation_keys(operation, event, by_phone=self._by_phone):
                held = by_key.setdefault(key, items)
                if held is not items:
                    self._hold_beside(held, key, items)
            if not items.has_person_without_id and _lacks_id(operation):
                items.has_person_without_id = True
                self._without_id += 1
        self._unread.clear()

    def _hold_beside(
        self, held: _Items | dict[_Items, None], key: OrderingKey, items: _Items
    ) -> None:
        """Note that a request has a key that others have or had."""
        if isinstance(held, dict):
            held[items] = None
        else:
            self._by_key[key] = {held: None, items: None} if held.is_open else items


def _in_order(found: set[_Items]) -> list[_Items]:
    return sorted(found, key=lambda items: items.number) if len(found) > 1 else list(found)


def _lacks_id(operation: Operation) -> bool:
    """Return whether a person may be known by an id that the operation does not name."""
    people = operation.people
    if isinstance(operation, (SendEvent, UpdateObject)) and operation.person is None:
        return True
    return not people or not all(map(_is_own_id, people))


def _is_own_id(identifier: str) -> bool:
    """Return whether an identifier is an id. Every email has an @; few ids have one."""
    return "@" not in identifier and identifier[:4] != "cio_" and type(identifier) is str
