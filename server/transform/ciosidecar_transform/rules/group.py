"""group: an object and its relationship to a person. Rule 8."""

import re

from .. import identity
from ..event import Event
from ..json_text import ABSENT, NULL, first_byte, members, text_of
from ..limits import within_limits
from ..operations import Attributes, UpdateObject
from ..outcomes import ErrorCode, EventRejected, Warning, WarningCode
from ..settings.destination import Destination

_OBJECT_TYPE = re.compile(r"[1-9][0-9]{0,17}")
_RELATIONSHIP = "relationshipAttributes"
_ACTIONS = frozenset(("identify", "delete", "add_relationships", "delete_relationships"))


def operation(
    event: Event, destination: Destination, warnings: list[Warning], _now: int
) -> UpdateObject:
    """Return what a group tells Customer.io."""
    if event.traits and event.traits != NULL and first_byte(event.traits) != b"{":
        warnings.append(
            Warning(WarningCode.WRONG_TYPE, "traits is not an object and was passed over (8.4)")
        )
    own_traits = members(event.traits)
    object_id = identity.top_level_id(event.group_id, "groupId", warnings)
    if object_id is None:
        raw = own_traits.get("groupId", ABSENT)
        object_id = identity.nested_id(raw, "traits.groupId", warnings)
    if object_id is None:
        raise EventRejected(ErrorCode.MISSING_GROUP_ID, "a group needs a groupId (8.2)")
    traits = identity.with_mapped_id(own_traits, event)
    action, person = _action(event), _person(event, destination, warnings)
    anonymous_id = related = None
    unsent = {"action"}
    if destination.full_relationships:
        unsent.add(_RELATIONSHIP)
        related = _relationship(own_traits, destination, warnings)
        if person is None and action == "identify":
            anonymous_id = identity.anonymous_id(event, warnings)
            if anonymous_id is not None:
                action = "identify_anonymous"
    if person is not None and identity.is_phone(person):
        person = None
        warnings.append(
            Warning(
                WarningCode.RELATIONSHIP_LEFT_OUT,
                "Customer.io relates nobody by phone number: the person was left out (3.8)",
            )
        )
    attributes = {name: raw for name, raw in traits.items() if name not in unsent}
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    return UpdateObject(
        action=action,
        object_type_id=object_type(own_traits, "traits", warnings),
        object_id=identity.within_limit(object_id, "the group id"),
        attributes=within_limits(attributes, warnings),
        person=person,
        anonymous_id=anonymous_id,
        relationship_attributes=related,
    )


def object_type(found: Attributes, place: str, warnings: list[Warning]) -> str:
    """Return the type of an object, "1" if none is given. Rule 8.2. Raises EventRejected(INVALID_ID).

    found: where `objectTypeId` or `object_type_id` may stand. place: its name for people.
    """
    for name in ("objectTypeId", "object_type_id"):
        given = identity.nested_id(found.get(name, ABSENT), f"{place}.{name}", warnings)
        if given is not None:
            if _OBJECT_TYPE.fullmatch(given):
                return given
            raise EventRejected(
                ErrorCode.INVALID_ID,
                f"{place}.{name} must be a whole number of 1 to 18 digits above 0 (8.2)",
            )
    return "1"


def _relationship(
    traits: Attributes, destination: Destination, warnings: list[Warning]
) -> Attributes | None:
    """13.3: what the group says of its relationship to the person."""
    raw = traits.get(_RELATIONSHIP, NULL)
    if first_byte(raw) != b"{":
        if raw != NULL:
            warnings.append(
                Warning(
                    WarningCode.WRONG_TYPE,
                    f"traits.{_RELATIONSHIP} is not an object and was passed over (13.3)",
                )
            )
        return None
    attributes = members(raw)
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    return within_limits(attributes, warnings)


def _action(event: Event) -> str:
    """8.3"""
    for raw in (event.traits, event.properties):
        found = text_of(members(raw).get("action", ABSENT))
        if found:
            return found if found in _ACTIONS else "identify"
    return "identify"


def _person(event: Event, destination: Destination, warnings: list[Warning]) -> str | None:
    """8.5: never the group's own traits.id."""
    found = identity.own_user_id(event, warnings)
    if found is None:
        context_traits = members(event.context.traits)
        for name in ("userId", "id"):
            raw = context_traits.get(name, ABSENT)
            found = identity.nested_id(raw, f"context.traits.{name}", warnings)
            if found is not None:
                break
    if found is not None:
        return identity.addressed(found, "the user id", destination.addressing)
    found = identity.first_email(event.context.traits, event.properties)
    return found if found is None else identity.within_limit(found, "the email")
