"""Ordering keys: which operations and prepared requests must stay in order.

No other module builds such keys. Two requests that share a key concern the same person or object. A
key is the same for every spelling of an identifier: `cio_abc` in a path and `{"cio_id": "abc"}` in an
item, an email in any case, a number and its text (rules 3.7, 7.1). The kind of an identifier (id,
email, …) is not part of the key: an id and an email of the same text share a key, which at worst costs
a wait.
"""

import contextlib
from collections.abc import Callable
from typing import NewType
from urllib.parse import parse_qs, unquote

from msgspec import Raw

from .event import Event
from .identifiers import as_cio_id, id_text, nested_id
from .identity import anonymous_id, email, phone, user_id
from .json_text import ABSENT, NOT_JSON, elements, first_byte, members, text_of, value
from .operations import Identify, Operation, UpdateObject
from .outcomes import EventRejected, Warning
from .requests import Request

# A text, because a tuple of kind and identifier costs 10,400 instructions more an event, 6 % of the
# transform and its keys (callgrind, Python 3.11): a text keeps its hash.
OrderingKey = NewType("OrderingKey", str)
"""The identifier of a person; for an object or a caller's own key, its kind and identifier by line."""

_PERSON_MEMBERS = ("id", "email", "cio_id", "anonymous_id", "phone")
_PERSON_ATTRIBUTES = ("id", "email", "anonymous_id")


def person_key(identifier: str) -> OrderingKey:
    """Return the key of a person by an identifier that addresses the person, as v1 has it in a path."""
    return OrderingKey(identifier.casefold() if "@" in identifier else identifier)


def object_key(object_type_id: str, object_id: str) -> OrderingKey:
    """Return the key of an object. The line feeds keep it apart from a person's."""
    return OrderingKey(f"object\n{object_type_id}\n{object_id}")


def caller_key(ordering_key: str) -> OrderingKey:
    """Return the key for a caller's own `ordering_key`."""
    return OrderingKey(f"key\n{ordering_key}")


def operation_keys(
    operation: Operation, event: Event, *, by_phone: bool = False
) -> set[OrderingKey]:
    """Return the keys of an operation: everything by which Customer.io may know its people.

    These are the people as they are addressed, the other identifiers that the event names, the
    identifiers that an identify assigns, and the objects.

    Args:
        operation: The operation.
        event: The event that became the operation.
        by_phone: Whether phone numbers address people (rules 3.8, 13.4).
    """
    people = operation.people
    keys = set(map(person_key, people))
    _add_event_keys(keys, event, people, by_phone=by_phone)
    if type(operation) is UpdateObject:
        keys.add(object_key(operation.object_type_id, operation.object_id))
    elif type(operation) is Identify:
        attributes = operation.attributes
        for name in _PERSON_ATTRIBUTES:
            if name in attributes:
                identifier = nested_id(attributes[name])
                if identifier is not None:
                    keys.add(person_key(identifier))
        if "cio_relationships" in attributes:
            keys |= _relationship_keys(attributes["cio_relationships"])
    return keys


def _add_event_keys(
    keys: set[OrderingKey], event: Event, people: tuple[str, ...], *, by_phone: bool
) -> None:
    """Add the keys of the people that an event names.

    Never raises: an identifier that cannot be read has no key, and no request is addressed by it.

    Args:
        keys: The keys of the people whom the operation addresses, to which the others are added.
        event: The event.
        people: The people whom the operation addresses.
        by_phone: Whether phone numbers address people.
    """
    # In the usual case the operation addresses its person by the event's own userId, which is a key already.
    own_id = event.user_id
    is_known = own_id and people and own_id is people[0]
    if not is_known or event.context.mapped_to_destination is not None:
        identifier = _readable(user_id, event)
        if identifier is not None:
            keys.add(person_key(identifier))
    if event.anonymous_id is not None:
        identifier = _readable(anonymous_id, event)
        if identifier is not None:
            keys.add(person_key(identifier))
    # try and not contextlib.suppress, which takes as long as to read an identifier.
    try:
        identifier = email(event)
        if identifier is not None:
            keys.add(person_key(identifier))
        if by_phone and (identifier := phone(event)) is not None:
            keys.add(person_key(identifier))
    except RecursionError:
        pass
    if type(event.previous_id) is str:
        keys.add(person_key(event.previous_id))
    if event.identifiers:
        with contextlib.suppress(RecursionError):
            keys |= _member_keys(members(event.identifiers))


def _readable(
    read_identifier: Callable[[Event, list[Warning]], str | None], event: Event
) -> str | None:
    """Return an identifier of an event, None if it cannot be read."""
    try:
        return read_identifier(event, [])
    except (EventRejected, RecursionError):
        return None


def request_keys(request: Request) -> set[OrderingKey]:
    """Return the keys of a prepared request, as far as its path, query and body name them."""
    path, _, query = request.path.partition("?")
    segments = path.split("/")
    keys: set[OrderingKey] = set()
    if segments[2:4] == ["v1", "customers"] and len(segments) > 4:
        keys.add(person_key(unquote(segments[4])))
    with contextlib.suppress(*NOT_JSON):
        body = members(Raw(request.body)) if request.body else {}
        if segments[2:4] == ["v1", "segments"]:
            is_cio_id = parse_qs(query).get("id_type") == ["cio_id"]
            for raw in elements(body.get("ids", ABSENT)):
                keys |= _identifier_keys(raw, is_cio_id=is_cio_id)
        keys |= _item_keys(body)
        for item in elements(body.get("batch", ABSENT)):
            keys |= _item_keys(members(item))
    return keys


def _item_keys(item: dict[str, Raw]) -> set[OrderingKey]:
    """Return the keys of an item of a v2 batch, or of the body of a v1 request."""
    keys = _member_keys(item) | _relationship_keys(item.get("cio_relationships", ABSENT))
    for name in ("identifiers", "primary", "secondary"):
        if name in item:
            keys |= _member_keys(members(item[name]))
    # An identify's attributes assign identifiers. An event's attributes are its properties, in
    # which an id is no person's.
    if (
        text_of(item.get("type", ABSENT)) == "person"
        and text_of(item.get("action", ABSENT)) == "identify"
    ):
        keys |= _member_keys(members(item.get("attributes", ABSENT)))
    return keys


def _member_keys(identifiers: dict[str, Raw]) -> set[OrderingKey]:
    """Return the keys of a JSON object whose members name a person or an object."""
    keys: set[OrderingKey] = set()
    for name in _PERSON_MEMBERS:
        if name in identifiers:
            keys |= _identifier_keys(identifiers[name], is_cio_id=name == "cio_id")
    object_id = nested_id(identifiers.get("object_id", ABSENT))
    if object_id is not None:
        object_type_id = nested_id(identifiers.get("object_type_id", ABSENT)) or "1"
        keys.add(object_key(object_type_id, object_id))
    return keys


def _identifier_keys(raw: Raw, *, is_cio_id: bool) -> set[OrderingKey]:
    # A placeholder of rule 2.1 counts here: a prepared request is sent with it.
    identifier = value(raw)
    with contextlib.suppress(ValueError):
        text = identifier if type(identifier) is str else id_text(identifier)
        if text:
            trimmed = text.strip() if "@" in text else text
            return {person_key(as_cio_id(trimmed) if is_cio_id else trimmed)}
    return set()


def _relationship_keys(raw: Raw) -> set[OrderingKey]:
    """Return the keys of relationships: a list, or an object with an action and a list."""
    keys: set[OrderingKey] = set()
    listed = members(raw).get("relationships", ABSENT) if first_byte(raw) == b"{" else raw
    for relationship in elements(listed):
        keys |= _member_keys(members(members(relationship).get("identifiers", ABSENT)))
    return keys
