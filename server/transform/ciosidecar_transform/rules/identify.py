"""identify: a person and their attributes. Rule 4."""

from msgspec import Raw

from .. import identity
from ..identifiers import is_too_long, kind_and_value, nested_id, of_kind, within_limit
from ..json_text import ABSENT, NULL, encode, first_byte, members, value
from ..limits import within_sizes
from ..operations import Attributes, Identify
from ..outcomes import ErrorCode, EventRejected, Filtered, FilterReason, WarningCode
from ..times import is_given
from .context import RuleContext
from .event_times import event_time, first_usable, seconds_or_warn
from .people import addressed_user, attached_anonymous_id
from .reserved_attributes import make_readable, meant_boolean, sent_timestamp

_ADDRESS_PARTS = ("city", "country", "postalCode", "state", "street")
_TRUE = Raw(b"true")


def operation(context: RuleContext) -> Identify:
    """Return the operation of an identify.

    Raises:
        EventRejected: MISSING_IDENTITY, INVALID_ID or ID_TOO_LONG.
        Filtered: The destination wants no profile for this person.
    """
    event, destination = context.event, context.destination
    person = _person(context)
    own_traits = members(event.traits)
    attributes = _from_traits(identity.with_mapped_id(_traits_in_use(context, own_traits), event))
    if event.user_properties:
        attributes |= members(event.user_properties)
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    settle_ids(context, attributes, person)
    timestamp = event_time(context, "identify")
    # Before an attribute `_timestamp` counts: it dates the update, not the sign-up.
    created_at = _created_at(context, own_traits, attributes, timestamp)
    timestamp_attribute = attributes.pop("_timestamp", ABSENT)
    if (
        timestamp is None
        and timestamp_attribute
        and first_usable(context.muted(), "identify")[1] is None
    ):
        timestamp = sent_timestamp(context, timestamp_attribute)
    anonymous_id = attached_anonymous_id(context, person)
    settled: Attributes = {}
    if created_at is not None:
        settled["created_at"] = Raw(b"%d" % created_at)
    if timestamp is not None:
        settled["_timestamp"] = Raw(b"%d" % timestamp)
    if anonymous_id is not None:
        settled["anonymous_id"] = Raw(encode(anonymous_id))
    if "unsubscribed" in attributes:
        _make_boolean(context, attributes)
    make_readable(context, attributes, settled)
    attributes |= settled
    if destination.update_only:
        attributes = only_updating(attributes)
    return Identify(person, within_sizes(attributes, context.warnings), timestamp)


def only_updating(attributes: Attributes) -> Attributes:
    """Return the attributes with the one that keeps Customer.io from creating a profile. Rule 13.5."""
    # In front, so that the limit on the number of attributes never removes it (rule 4.9).
    return {"_update": _TRUE} | attributes | {"_update": _TRUE}


def _person(context: RuleContext) -> str:
    """Return what addresses the person. Rules 3.3, 3.8, 13.9."""
    person = addressed_user(context)
    if person is None:
        person = _without_user_id(context)
    if (
        context.destination.profiles == "withEmail"
        and identity.email(context.event) is None
        and not identity.is_warehouse_row(context.event)
    ):
        raise Filtered(FilterReason.ANONYMOUS)
    return person


def _without_user_id(context: RuleContext) -> str:
    """Return what addresses a person without user id. Rule 3.3."""
    event, addressing = context.event, context.destination.addressing
    fallback = addressing.identify_fallback
    if fallback == "anonymousId":
        anonymous_id = identity.anonymous_id(event, context.warnings)
        if anonymous_id is not None:
            return _anonymous_person(context, anonymous_id)
    person = None if fallback is None else identity.email(event)
    if person is None and addressing.by_phone:
        person = identity.phone(event)
    if person is None:
        fallbacks = {
            "anonymousId": ", or else an anonymousId or email",
            "email": ", or else an email",
        }
        alternatives = fallbacks.get(fallback or "", "")
        if addressing.by_phone:
            alternatives += ", or else a phone"
        raise EventRejected(
            ErrorCode.MISSING_IDENTITY, f"an identify needs a userId{alternatives} (rule 3.3)"
        )
    return within_limit(person, "the email")


def _anonymous_person(context: RuleContext, anonymous_id: str) -> str:
    """Return what addresses the person of an anonymous identify. Rules 3.3, 3.8, 13.9."""
    destination = context.destination
    if destination.profiles != "everyone" and not identity.is_warehouse_row(context.event):
        raise Filtered(FilterReason.ANONYMOUS)
    if identity.email(context.event) is not None:
        context.warn(
            WarningCode.ANONYMOUS_WITH_EMAIL,
            "identified by anonymousId although an email is known: a later identify"
            " with a userId will find the email taken (rule 3.3)",
        )
    if destination.addressing.user_id_kind is None:
        return anonymous_id
    return of_kind(anonymous_id, "id", "")


def _traits_in_use(context: RuleContext, own_traits: Attributes) -> Attributes:
    """Return the members of `traits`, or of `context.traits` if `traits` has none. Rule 4.1."""
    if own_traits:
        return own_traits
    event = context.event
    for field, raw in (("traits", event.traits), ("context.traits", event.context.traits)):
        if raw and raw != NULL and first_byte(raw) != b"{":
            context.warn(
                WarningCode.WRONG_TYPE, f"{field} is not an object and was ignored (rule 4.1)"
            )
    return members(event.context.traits)


def _from_traits(traits: Attributes) -> Attributes:
    """Return the attributes that traits become. Rules 4.2, 4.3."""
    address = traits.get("address", NULL)
    if first_byte(address) == b"{":
        parts = members(address)
        moved = {name: parts.pop(name) for name in _ADDRESS_PARTS if name in parts}
        # What is left stands first, as the address does in the order of rule 4.9.
        attributes = {"address": ABSENT, **moved, **traits}
        address = Raw(encode(parts)) if parts else ABSENT
    else:
        attributes = {"address": ABSENT, **traits}
    for name in ("createdAt", "userId", "anonymousId"):
        if name in attributes:
            del attributes[name]
    if address and address != NULL:
        attributes["address"] = address
    else:
        del attributes["address"]
    return attributes


def settle_ids(context: RuleContext, attributes: Attributes, person: str) -> None:
    """Leave out, or keep, the attributes that are identifiers. Rule 4.2.

    An id in the body that is not the one in the path makes Customer.io drop the update. For a
    person who is addressed by another kind of identifier, such an id assigns an id to the person.
    """
    raw = attributes.pop("cio_id", ABSENT)
    if raw and nested_id(raw) != person:
        _warn_of_id(context, "cio_id")
    raw = attributes.get("id", ABSENT)
    if not raw:
        return
    text = nested_id(raw)
    if text is None or text == person or kind_and_value(person)[0] == "id":
        del attributes["id"]
        if text != person:
            _warn_of_id(context, "id")
    elif is_too_long(text):
        del attributes["id"]
        context.warn(
            WarningCode.ID_ATTRIBUTE_LEFT_OUT,
            "attribute 'id' has more than 150 bytes and was left out (rules 2.2, 4.2)",
        )
    else:
        attributes["id"] = Raw(encode(text))


def _warn_of_id(context: RuleContext, name: str) -> None:
    context.warn(
        WarningCode.ID_ATTRIBUTE_LEFT_OUT,
        f"attribute '{name}' is not the id the person is addressed by and was left out (rule 4.2)",
    )


def _created_at(
    context: RuleContext, own_traits: Attributes, attributes: Attributes, timestamp: int | None
) -> int | None:
    """Return the sign-up time in seconds since 1970, or None if none is to be set. Rule 4.5."""
    event = context.event
    is_unusable = False
    for field in ("traits", "context.traits"):
        traits = own_traits if field == "traits" else members(event.context.traits)
        if "createdAt" in traits:
            time = value(traits["createdAt"])
            created_at = seconds_or_warn(context, time, f"{field}.createdAt")
            if created_at is not None:
                return created_at
            is_unusable = is_unusable or is_given(time)
    if (
        is_unusable
        or not context.destination.fill_created_at
        or event.channel == "sources"
        or "created_at" in attributes
        or identity.mapped_id(event) is not None
    ):
        return None
    return context.now if timestamp is None else timestamp


def _make_boolean(context: RuleContext, attributes: Attributes) -> None:
    """Make `unsubscribed` a boolean: Customer.io reads unknown texts as "subscribed". Rule 4.8."""
    meant = meant_boolean(attributes["unsubscribed"])
    if meant is None:
        del attributes["unsubscribed"]
        context.warn(
            WarningCode.UNSUBSCRIBED_LEFT_OUT,
            "attribute 'unsubscribed' is neither yes nor no and was left out (rule 4.8)",
        )
    else:
        attributes["unsubscribed"] = meant
