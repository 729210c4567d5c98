"""Operations of /api/v2: one by itself at /entity, several at /batch."""

from collections.abc import Iterator

from .shapes import (
    ANYTHING,
    FILLED_TEXT,
    TEXT,
    TEXT_OR_NUMBER,
    WHOLE_NUMBER,
    YES_OR_NO,
    Schema,
    any_of,
    choice,
    exactly_one,
    fields,
    listed,
    only,
)
from .version_1 import DEVICE_ATTRIBUTES, SUBSCRIPTIONS

_PHONE: Schema = {"type": "string", "pattern": r"^\+[1-9][0-9]{1,14}$"}  # E.164
_MERGED = exactly_one({"id": TEXT_OR_NUMBER, "email": TEXT, "cio_id": TEXT})
_PERSON = any_of((_MERGED, only({"phone": _PHONE})))
# Two widely used senders name anonymous people so, and the API takes it for what happened.
_SENDER = any_of((_PERSON, only({"anonymous_id": TEXT})))
_OBJECT = only({"object_type_id": TEXT, "object_id": TEXT})
_KNOWN_OBJECT = any_of((_OBJECT, only({"cio_object_id": TEXT})))

_PERSON_ATTRIBUTES = fields(
    {}, {"_update": YES_OR_NO, "cio_subscription_preferences": SUBSCRIPTIONS}
)


def _related(identifiers: Schema) -> Schema:
    return listed(fields({"identifiers": identifiers}, {"relationship_attributes": ANYTHING}))


_OBJECTS = _related(_KNOWN_OBJECT)
_PEOPLE = _related(_MERGED)
_ANONYMOUS_PEOPLE = _related(only({"anonymous_id": TEXT}))


def _operation(kind: str, action: str, required: Schema, optional: Schema | None = None) -> Schema:
    head: Schema = {"type": {"const": kind}, "action": {"const": action}}
    return fields(head | required, optional)


def _of_a_person(action: str, required: Schema, optional: Schema | None = None) -> Schema:
    return _operation("person", action, {"identifiers": _PERSON} | required, optional)


def _of_an_object(action: str, required: Schema, optional: Schema | None = None) -> Schema:
    return _operation("object", action, {"identifiers": _KNOWN_OBJECT} | required, optional)


def _of_people() -> Iterator[Schema]:
    yield _of_a_person(
        "identify",
        {},
        {
            "attributes": _PERSON_ATTRIBUTES,
            "timestamp": WHOLE_NUMBER,
            "cio_relationships": _OBJECTS,
        },
    )
    for action in ("delete", "suppress", "unsuppress"):
        yield _of_a_person(action, {})
    for action in ("event", "page", "screen"):
        options = {"id": TEXT, "timestamp": WHOLE_NUMBER, "attributes": ANYTHING}
        happened = {"identifiers": _SENDER, "name": FILLED_TEXT}
        yield _of_a_person(action, happened, options)
    for action in ("add_relationships", "delete_relationships"):
        yield _of_a_person(action, {"cio_relationships": _OBJECTS})
    device = fields(
        {"token": TEXT, "platform": choice("ios", "android")},
        {"last_used": WHOLE_NUMBER, "attributes": DEVICE_ATTRIBUTES},
    )
    yield _of_a_person("add_device", {"device": device})
    yield _of_a_person("delete_device", {"device": fields({"token": TEXT})})
    yield _operation("person", "merge", {"primary": _MERGED, "secondary": _MERGED})


def _of_objects() -> Iterator[Schema]:
    yield _of_an_object("identify", {}, {"attributes": ANYTHING, "cio_relationships": _PEOPLE})
    yield _of_an_object("identify_anonymous", {"cio_relationships": _ANONYMOUS_PEOPLE})
    yield _of_an_object("delete", {})
    for action in ("add_relationships", "delete_relationships"):
        yield _of_an_object(action, {"cio_relationships": _PEOPLE})


def _of_deliveries() -> Iterator[Schema]:
    yield _operation(
        "delivery",
        "event",
        {
            "identifiers": only({"id": TEXT}),
            "name": choice("opened", "converted", "delivered"),
            "attributes": fields({"device_token": TEXT}),
        },
        {"timestamp": WHOLE_NUMBER},
    )


OPERATION = any_of((*_of_people(), *_of_objects(), *_of_deliveries()))
# An item that is no valid operation is reported by its index. It does not spoil the whole batch.
BATCH = fields({"batch": listed({})})
