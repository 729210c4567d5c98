"""Ordering keys: which operations and prepared requests must stay in order.

Nothing else builds such keys. Two calls that share a key concern the same person or object. A key is
the same for every spelling of an identifier: `cio_abc` in a path and `{"cio_id": "abc"}` in an item,
an email in any case, a number and its text (rules 3.7, 7.1). The kind of an identifier is not part of
its key: an id and an email of the same text share one, which at worst costs a wait.
"""

import contextlib
from typing import NewType
from urllib.parse import parse_qs, unquote

from msgspec import DecodeError, Raw

from .event import Event
from .identifiers import TypedIdentifier, as_cio_id, id_text, nested_id
from .identity import anonymous_id, email, phone, user_id
from .json_text import ABSENT, elements, first_byte, members, text_of, value
from .operations import Identify, Operation, SendEvent, UpdateObject
from .outcomes import EventRejected, Warning
from .requests import Request

OrderingKey = NewType("OrderingKey", str)

_EVENT_IDENTIFIERS = (user_id, anonymous_id)
_PERSON_MEMBERS = ("id", "email", "cio_id", "anonymous_id", "phone")
_PERSON_ATTRIBUTES = ("id", "email", "anonymous_id")
# Attributes by which an identify concerns others than the person it is addressed to.
_REACHING = frozenset(("id", "cio_relationships"))


def person_key(identifier: str) -> OrderingKey:
    """Return the key of the person that an identifier, as v1 has it in a path, addresses."""
    return OrderingKey(identifier.casefold() if "@" in identifier else identifier)


def object_key(object_type_id: str, object_id: str) -> OrderingKey:
    """Return the key of an object. The line feeds keep it apart from a person's."""
    return OrderingKey(f"object\n{object_type_id}\n{object_id}")


def caller_key(ordering_key: str) -> OrderingKey:
    """Return the key for what a caller wants an item ordered by."""
    return OrderingKey(f"key\n{ordering_key}")


def operation_keys(
    operation: Operation, event: Event, *, by_phone: bool = False
) -> set[OrderingKey]:
    """Return the keys of an operation: everything by which Customer.io may know whom it is about.

    These are the people as they are addressed, what else the event says they are known by, the
    identifiers that an identify gives them, and the objects. by_phone: whether phone numbers
    address people (rules 3.8, 13.4).
    """
    keys = _event_keys(event, by_phone=by_phone)
    keys.update(map(person_key, operation.people))
    if type(operation) is UpdateObject:
        keys.add(object_key(operation.object_type_id, operation.object_id))
    elif type(operation) is Identify:
        attributes = operation.attributes
        for name in _PERSON_ATTRIBUTES:
            if name in attributes:
                found = nested_id(attributes[name])
                if found is not None:
                    keys.add(person_key(found))
        if "cio_relationships" in attributes:
            keys |= _relationship_keys(attributes["cio_relationships"])
    return keys


def _event_keys(event: Event, *, by_phone: bool) -> set[OrderingKey]:
    """Never raises: what cannot be read names nobody, and the event is not sent by it."""
    found: list[str | None] = []
    unheard: list[Warning] = []
    for reader in _EVENT_IDENTIFIERS:
        with contextlib.suppress(EventRejected, RecursionError):
            found.append(reader(event, unheard))
    with contextlib.suppress(RecursionError):
        found.append(email(event))
        if by_phone:
            found.append(phone(event))
    if type(event.previous_id) is str:
        found.append(event.previous_id)
    keys = {person_key(one) for one in found if one is not None}
    if event.identifiers:
        with contextlib.suppress(RecursionError):
            keys |= _member_keys(members(event.identifiers))
    return keys


def request_keys(request: Request) -> set[OrderingKey]:
    """Return the keys of a prepared request, as far as its path, query and body say."""
    path, _, query = request.path.partition("?")
    segments = path.split("/")
    keys: set[OrderingKey] = set()
    if segments[2:4] == ["v1", "customers"] and len(segments) > 4:
        keys.add(person_key(unquote(segments[4])))
    with contextlib.suppress(DecodeError, UnicodeDecodeError, RecursionError):
        body = members(Raw(request.body)) if request.body else {}
        if segments[2:4] == ["v1", "segments"]:
            is_cio_id = parse_qs(query).get("id_type") == ["cio_id"]
            for raw in elements(body.get("ids", ABSENT)):
                keys |= _person_keys(raw, is_cio_id=is_cio_id)
        keys |= _item_keys(body)
        for item in elements(body.get("batch", ABSENT)):
            keys |= _item_keys(members(item))
    return keys


def _item_keys(item: dict[str, Raw]) -> set[OrderingKey]:
    """The keys of an item of a v2 batch, or of the body of a v1 call."""
    keys = _member_keys(item) | _relationship_keys(item.get("cio_relationships", ABSENT))
    for name in ("identifiers", "primary", "secondary"):
        if name in item:
            keys |= _member_keys(members(item[name]))
    # What an identify sets. The attributes of an event are properties, whose ids are no people's.
    if (
        text_of(item.get("type", ABSENT)) == "person"
        and text_of(item.get("action", ABSENT)) == "identify"
    ):
        keys |= _member_keys(members(item.get("attributes", ABSENT)))
    return keys


def _member_keys(identifiers: dict[str, Raw]) -> set[OrderingKey]:
    """The keys of an object whose members name a person, or an object."""
    keys: set[OrderingKey] = set()
    for name in _PERSON_MEMBERS:
        if name in identifiers:
            keys |= _person_keys(identifiers[name], is_cio_id=name == "cio_id")
    object_id = nested_id(identifiers.get("object_id", ABSENT))
    if object_id is not None:
        object_type_id = nested_id(identifiers.get("object_type_id", ABSENT)) or "1"
        keys.add(object_key(object_type_id, object_id))
    return keys


def _person_keys(raw: Raw, *, is_cio_id: bool) -> set[OrderingKey]:
    # Without the placeholders of rule 2.1: a prepared request sends them all the same.
    found = value(raw)
    with contextlib.suppress(ValueError):
        text = found if type(found) is str else id_text(found)
        if text:
            trimmed = text.strip() if "@" in text else text
            return {person_key(as_cio_id(trimmed) if is_cio_id else trimmed)}
    return set()


def _relationship_keys(raw: Raw) -> set[OrderingKey]:
    """The keys of relationships: a list, or an object with an action and a list."""
    keys: set[OrderingKey] = set()
    listed = members(raw).get("relationships", ABSENT) if first_byte(raw) == b"{" else raw
    for one in elements(listed):
        keys |= _member_keys(members(members(one).get("identifiers", ABSENT)))
    return keys


class Concerned:
    """Everyone and everything that some operations are about."""

    def __init__(self, *, by_phone: bool = False) -> None:
        """by_phone: whether phone numbers address people (rules 3.8, 13.4)."""
        self._by_phone = by_phone
        # Looking an event through takes as long as the rest of packing it, and where everything
        # goes into one request nobody asks: it waits until somebody does.
        self._unread: list[tuple[Operation, Event]] = []
        self._keys: set[OrderingKey] = set()
        self._someone_without_id = False

    def add(self, operation: Operation, event: Event) -> None:
        """Take one more operation, and the event it came from."""
        self._unread.append((operation, event))

    def shares_a_key(self, operation: Operation, event: Event) -> bool:
        """Return whether an operation has a key in here, whatever the operation is."""
        if self._unread:
            self._read()
        return not self._keys.isdisjoint(operation_keys(operation, event, by_phone=self._by_phone))

    def includes(self, operation: Operation, event: Event) -> bool:
        """Return whether someone or something in here may be what the operation is about."""
        if self._unread:
            self._read()
        # Two different user ids are two people. Only someone without one, in here or of the event,
        # can be met under an email that the event does not go by, and looking for those takes
        # reading its traits. An anonymous event has nothing else to be met under. An identify may
        # give its person another id, or relate an object.
        people = operation.people
        in_traits = (
            self._someone_without_id
            or type(operation) is UpdateObject
            or (type(operation) is Identify and not _REACHING.isdisjoint(operation.attributes))
            or not people
        )
        for one in people:
            # Written out, since every event of a batch comes by: person_key and _is_own_id.
            if "@" in one:
                in_traits = True
                if one.casefold() in self._keys:
                    return True
            elif one in self._keys:
                return True
            elif one[:4] == "cio_" or type(one) is TypedIdentifier:
                in_traits = True
        return in_traits and self.shares_a_key(operation, event)

    def _read(self) -> None:
        for operation, event in self._unread:
            self._keys |= operation_keys(operation, event, by_phone=self._by_phone)
            if not self._someone_without_id:
                self._someone_without_id = _lacks_id(operation)
        self._unread.clear()


def _lacks_id(operation: Operation) -> bool:
    """Return whether one of the people may be known by an id that the operation does not name."""
    people = operation.people
    if isinstance(operation, (SendEvent, UpdateObject)) and operation.person is None:
        return True
    return not people or not all(map(_is_own_id, people))


def _is_own_id(identifier: str) -> bool:
    """Return whether an identifier is an id. Every email has the sign; few ids have it."""
    return "@" not in identifier and identifier[:4] != "cio_" and type(identifier) is str
