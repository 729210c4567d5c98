"""group: an object and its relationship to a person. Rule 8."""

import re

from .. import identity
from ..event import Event
from ..identifiers import addressed, is_phone, nested_id, top_level_id, within_limit
from ..json_text import ABSENT, NULL, first_byte, members, text_of
from ..limits import within_limits
from ..operations import Attributes, UpdateObject
from ..outcomes import ErrorCode, EventRejected, WarningCode
from .context import RuleContext

_OBJECT_TYPE = re.compile(r"[1-9][0-9]{0,17}")
_RELATIONSHIP = "relationshipAttributes"
_ACTIONS = frozenset(("identify", "delete", "add_relationships", "delete_relationships"))


def operation(context: RuleContext) -> UpdateObject:
    """Return the operation of a group.

    Raises:
        EventRejected: MISSING_GROUP_ID, INVALID_ID or ID_TOO_LONG.
    """
    event, destination = context.event, context.destination
    own_traits, object_id = _group(context)
    traits = identity.with_mapped_id(own_traits, event)
    action, person = _action(event, own_traits), _person(context)
    anonymous_id = relationship_attributes = None
    unsent = {"action"}
    if destination.full_relationships:
        unsent.add(_RELATIONSHIP)
        relationship_attributes = _relationship_attributes(context, own_traits)
        if person is None and action == "identify":
            anonymous_id = identity.anonymous_id(event, context.warnings)
            if anonymous_id is not None:
                action = "identify_anonymous"
    if person is not None and is_phone(person):
        person = None
        context.warn(
            WarningCode.RELATIONSHIP_LEFT_OUT,
            "Customer.io has no relationships by phone number: the person was left out (rule 3.8)",
        )
    attributes = {name: raw for name, raw in traits.items() if name not in unsent}
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    return UpdateObject(
        action=action,
        object_type_id=object_type(context, own_traits, "traits"),
        object_id=within_limit(object_id, "the group id"),
        attributes=within_limits(attributes, context.warnings),
        person=person,
        anonymous_id=anonymous_id,
        relationship_attributes=relationship_attributes,
    )


def _group(context: RuleContext) -> tuple[Attributes, str]:
    """Return the members of `traits` and the id of the group. Rules 8.2, 8.4."""
    event, warnings = context.event, context.warnings
    traits = event.traits
    if traits and traits != NULL and first_byte(traits) != b"{":
        context.warn(WarningCode.WRONG_TYPE, "traits is not an object and was ignored (rule 8.4)")
    own_traits = members(traits)
    object_id = top_level_id(event.group_id, "groupId", warnings)
    if object_id is None:
        object_id = nested_id(own_traits.get("groupId", ABSENT), "traits.groupId", warnings)
    if object_id is None:
        raise EventRejected(ErrorCode.MISSING_GROUP_ID, "a group needs a groupId (rule 8.2)")
    return own_traits, object_id


def object_type(context: RuleContext, fields: Attributes, place: str) -> str:
    """Return the type of an object, "1" if the event names none. Rule 8.2.

    Args:
        context: The event.
        fields: Where `objectTypeId` or `object_type_id` may stand.
        place: The name of these fields in an error.

    Raises:
        EventRejected: INVALID_ID, for a type that is no whole number above 0.
    """
    for name in ("objectTypeId", "object_type_id"):
        type_id = nested_id(fields.get(name, ABSENT), f"{place}.{name}", context.warnings)
        if type_id is not None:
            if _OBJECT_TYPE.fullmatch(type_id):
                return type_id
            raise EventRejected(
                ErrorCode.INVALID_ID,
                f"{place}.{name} must be a whole number of 1 to 18 digits above 0 (rule 8.2)",
            )
    return "1"


def _relationship_attributes(context: RuleContext, traits: Attributes) -> Attributes | None:
    """Return the attributes of the relationship, or None if the group names none. Rule 13.3."""
    raw = traits.get(_RELATIONSHIP, NULL)
    if first_byte(raw) != b"{":
        if raw != NULL:
            context.warn(
                WarningCode.WRONG_TYPE,
                f"traits.{_RELATIONSHIP} is not an object and was ignored (rule 13.3)",
            )
        return None
    attributes = members(raw)
    changes = context.destination.changes
    if changes is not None:
        attributes = changes.attributes(attributes)
    return within_limits(attributes, context.warnings)


def _action(event: Event, own_traits: Attributes) -> str:
    """Return the action on the object. Rule 8.3. own_traits: the members of `traits`."""
    action = text_of(own_traits.get("action", ABSENT)) or text_of(
        members(event.properties).get("action", ABSENT)
    )
    return action if action in _ACTIONS else "identify"


def _person(context: RuleContext) -> str | None:
    """Return what addresses the related person: never the group's own traits.id. Rule 8.5."""
    event, warnings = context.event, context.warnings
    user_id = identity.own_user_id(event, warnings)
    if user_id is None:
        context_traits = members(event.context.traits)
        for name in ("userId", "id"):
            raw = context_traits.get(name, ABSENT)
            user_id = nested_id(raw, f"context.traits.{name}", warnings)
            if user_id is not None:
                break
    if user_id is not None:
        return addressed(user_id, "the user id", context.destination.addressing)
    email = identity.first_email(event.context.traits, event.properties)
    return email if email is None else within_limit(email, "the email")
