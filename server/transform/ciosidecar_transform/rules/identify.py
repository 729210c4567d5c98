"""identify: a person and their attributes. Rule 4."""

from msgspec import Raw

from .. import identity
from ..event import Event
from ..json_text import ABSENT, NULL, encode, first_byte, members, value
from ..limits import within_sizes
from ..operations import Attributes, Identify
from ..outcomes import ErrorCode, EventRejected, Filtered, FilterReason, Warning, WarningCode
from ..reserved_attributes import make_readable, meant_boolean, own_timestamp
from ..settings.destination import Destination
from ..times import event_time, first_usable, is_given, seconds_or_warn
from .event_body import is_warehouse_row

_ADDRESS_PARTS = ("city", "country", "postalCode", "state", "street")
_TRUE = Raw(b"true")


def operation(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> Identify:
    """Return what an identify tells Customer.io.

    now: seconds since 1970, for people nobody gave a sign-up time (rule 4.5).
    """
    person = _person(event, destination, warnings)
    own = members(event.traits)
    traits = identity.with_mapped_id(_traits_in_use(event, own, warnings), event)
    attributes = _from_traits(traits)
    if event.user_properties:
        attributes |= members(event.user_properties)
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    settle_ids(attributes, person, warnings)
    timestamp = event_time(event, "identify", warnings, now)
    # Before an attribute `_timestamp` counts: it says when the update was, not when people came.
    created_at = _created_at(event, own, destination, attributes, warnings, timestamp, now)
    written = attributes.pop("_timestamp", ABSENT)
    if timestamp is None and written and first_usable(event, "identify", [])[1] is None:
        timestamp = own_timestamp(written, now, warnings)
    anonymous_id = identity.attached_anonymous_id(event, person, warnings)
    settled: Attributes = {}
    if created_at is not None:
        settled["created_at"] = Raw(b"%d" % created_at)
    if timestamp is not None:
        settled["_timestamp"] = Raw(b"%d" % timestamp)
    if anonymous_id is not None:
        settled["anonymous_id"] = Raw(encode(anonymous_id))
    if "unsubscribed" in attributes:
        _make_boolean(attributes, warnings)
    make_readable(attributes, settled, warnings)
    attributes |= settled
    if destination.update_only:
        attributes = only_updating(attributes)
    return Identify(person, within_sizes(attributes, warnings), timestamp)


def only_updating(attributes: Attributes) -> Attributes:
    """13.5: the same for people who exist, and nothing for anybody else."""
    # In front, so that the limit of 4.9 on their number never takes it away.
    return {"_update": _TRUE} | attributes | {"_update": _TRUE}


def _person(event: Event, destination: Destination, warnings: list[Warning]) -> str:
    """3.3, 3.8, 13.9"""
    addressing = destination.addressing
    person = identity.addressed_user(event, addressing, warnings)
    if person is None:
        person = _without_user_id(event, destination, warnings)
    if (
        destination.profiles == "withEmail"
        and identity.email(event) is None
        and not is_warehouse_row(event)
    ):
        raise Filtered(FilterReason.ANONYMOUS)
    return person


def _without_user_id(event: Event, destination: Destination, warnings: list[Warning]) -> str:
    addressing = destination.addressing
    fallback = addressing.identify_fallback
    if fallback == "anonymousId":
        found = identity.anonymous_id(event, warnings)
        if found is not None:
            if destination.profiles != "everyone" and not is_warehouse_row(event):
                raise Filtered(FilterReason.ANONYMOUS)
            if identity.email(event) is not None:
                warnings.append(
                    Warning(
                        WarningCode.ANONYMOUS_WITH_EMAIL,
                        "identified by anonymousId although an email is known: a later identify"
                        " with a userId will find the email taken (3.3)",
                    )
                )
            return found if addressing.user_id_kind is None else identity.of_kind(found, "id", "")
    found = None if fallback is None else identity.email(event)
    if found is None and addressing.by_phone:
        found = identity.phone(event)
    if found is None:
        tried = {"anonymousId": ", or else an anonymousId or email", "email": ", or else an email"}
        instead = tried.get(fallback or "", "")
        if addressing.by_phone:
            instead += ", or else a phone"
        raise EventRejected(
            ErrorCode.MISSING_IDENTITY, f"an identify needs a userId{instead} (3.3)"
        )
    return identity.within_limit(found, "the email")


def _traits_in_use(event: Event, own: Attributes, warnings: list[Warning]) -> Attributes:
    """4.1. own: the members of `traits`."""
    if own:
        return own
    for field, raw in (("traits", event.traits), ("context.traits", event.context.traits)):
        if raw and raw != NULL and first_byte(raw) != b"{":
            warnings.append(
                Warning(
                    WarningCode.WRONG_TYPE, f"{field} is not an object and was passed over (4.1)"
                )
            )
    return members(event.context.traits)


def _from_traits(traits: Attributes) -> Attributes:
    """4.2, 4.3"""
    address = traits.get("address", NULL)
    if first_byte(address) == b"{":
        parts = members(address)
        moved = {name: parts.pop(name) for name in _ADDRESS_PARTS if name in parts}
        # What is left stands first, as the address does in the order of 4.9.
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


def settle_ids(attributes: Attributes, person: str, warnings: list[Warning]) -> None:
    """Leave out, or keep, the attributes that are identifiers. Rule 4.2.

    An id in the body that is not the one in the path makes Customer.io drop the update; for a
    person who is addressed by another kind of identifier it is how an id is assigned.
    """
    raw = attributes.pop("cio_id", ABSENT)
    if raw and identity.nested_id(raw) != person:
        _warn_of_id("cio_id", warnings)
    raw = attributes.get("id", ABSENT)
    if not raw:
        return
    text = identity.nested_id(raw)
    if text is None or text == person or identity.kind_and_value(person)[0] == "id":
        del attributes["id"]
        if text != person:
            _warn_of_id("id", warnings)
    elif identity.is_too_long(text):
        del attributes["id"]
        warnings.append(
            Warning(
                WarningCode.ID_ATTRIBUTE_LEFT_OUT,
                "attribute 'id' has more than 150 bytes and was left out (2.2, 4.2)",
            )
        )
    else:
        attributes["id"] = Raw(encode(text))


def _warn_of_id(name: str, warnings: list[Warning]) -> None:
    warnings.append(
        Warning(
            WarningCode.ID_ATTRIBUTE_LEFT_OUT,
            f"attribute '{name}' is not the id the person is addressed by and was left out (4.2)",
        )
    )


def _created_at(
    event: Event,
    own: Attributes,
    destination: Destination,
    attributes: Attributes,
    warnings: list[Warning],
    timestamp: int | None,
    now: int,
) -> int | None:
    """4.5"""
    given = False
    for field in ("traits", "context.traits"):
        traits = own if field == "traits" else members(event.context.traits)
        if "createdAt" in traits:
            time = value(traits["createdAt"])
            created_at = seconds_or_warn(time, f"{field}.createdAt", warnings)
            if created_at is not None:
                return created_at
            given = given or is_given(time)
    if (
        given
        or not destination.fill_created_at
        or event.channel == "sources"
        or "created_at" in attributes
        or identity.mapped_id(event) is not None
    ):
        return None
    return now if timestamp is None else timestamp


def _make_boolean(attributes: Attributes, warnings: list[Warning]) -> None:
    """4.8: Customer.io reads every text it does not know as "subscribed"."""
    meant = meant_boolean(attributes["unsubscribed"])
    if meant is None:
        del attributes["unsubscribed"]
        warnings.append(
            Warning(
                WarningCode.UNSUBSCRIBED_LEFT_OUT,
                "attribute 'unsubscribed' is neither yes nor no and was left out (4.8)",
            )
        )
    else:
        attributes["unsubscribed"] = meant
