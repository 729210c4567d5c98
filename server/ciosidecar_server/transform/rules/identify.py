"""identify: a person and their attributes. SPEC 4."""

from msgspec import Raw

from .. import identity
from ..destination import Destination
from ..event import Event
from ..json_text import ABSENT, NULL, encode, first_byte, members, value
from ..limits import within_sizes
from ..operations import Attributes, Identify
from ..result import ErrorCode, Refused, Warning, WarningCode
from ..times import event_time, is_given, seconds_or_warn

_ADDRESS_PARTS = ("city", "country", "postalCode", "state", "street")
_YES = frozenset(("true", "yes", "y", "t", "on", "1"))
_NO = frozenset(("false", "no", "n", "f", "off", "0"))
_TRUE, _FALSE = Raw(b"true"), Raw(b"false")


def operation(
    event: Event, destination: Destination, warnings: list[Warning], now: int
) -> Identify:
    """What an identify tells Customer.io.

    now: seconds since 1970, for people nobody gave a sign-up time (4.5).
    """
    person = _person(event, destination, warnings)
    own = members(event.traits)
    traits = identity.with_mapped_id(_traits_in_use(event, own, warnings), event)
    attributes = _from_traits(traits)
    if event.user_properties:
        attributes |= members(event.user_properties)
    if destination.changes is not None:
        attributes = destination.changes.attributes(attributes)
    _drop_foreign_ids(attributes, person, warnings)
    timestamp = event_time(event, "identify", warnings, now)
    created_at = _created_at(event, own, destination, attributes, warnings, timestamp, now)
    if created_at is not None:
        attributes["created_at"] = Raw(b"%d" % created_at)
    if timestamp is not None:
        attributes["_timestamp"] = Raw(b"%d" % timestamp)
    anonymous_id = identity.attached_anonymous_id(event, person, warnings)
    if anonymous_id is not None:
        attributes["anonymous_id"] = Raw(encode(anonymous_id))
    if "unsubscribed" in attributes:
        _make_boolean(attributes, warnings)
    if destination.update_only:
        attributes = only_updating(attributes)
    return Identify(person, within_sizes(attributes, warnings), timestamp)


def only_updating(attributes: Attributes) -> Attributes:
    """13.5: the same for people who exist, and nothing for anybody else."""
    # In front, so that the limit of 4.9 on their number never takes it away.
    return {"_update": _TRUE} | attributes | {"_update": _TRUE}


def _person(event: Event, destination: Destination, warnings: list[Warning]) -> str:
    """3.3"""
    found = identity.user_id(event)
    if found is not None:
        return identity.within_limit(found, "the user id")
    if not destination.identify_by_email:
        found = identity.anonymous_id(event)
        if found is not None:
            if identity.email(event) is not None:
                warnings.append(
                    Warning(
                        WarningCode.ANONYMOUS_WITH_EMAIL,
                        "identified by anonymousId although an email is known: a later identify"
                        " with a userId will find the email taken (3.3)",
                    )
                )
            return found
    found = identity.email(event)
    if found is None and destination.phone_as_identifier:
        found = identity.phone(event)
    if found is None:
        tried = "email" if destination.identify_by_email else "anonymousId or email"
        if destination.phone_as_identifier:
            tried += ", or phone"
        raise Refused(
            ErrorCode.MISSING_IDENTITY, f"an identify needs a userId, or else {tried} (3.3)"
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


def _drop_foreign_ids(attributes: Attributes, person: str, warnings: list[Warning]) -> None:
    """4.2: an id in the body that is not the one in the path makes Customer.io drop the update."""
    for name in ("id", "cio_id"):
        raw = attributes.pop(name, ABSENT)
        if raw and _as_text(raw) != person:
            warnings.append(
                Warning(
                    WarningCode.ID_ATTRIBUTE_LEFT_OUT,
                    f"attribute '{name}' is not the id the person is addressed by"
                    " and was left out (4.2)",
                )
            )


def _as_text(raw: Raw) -> str | None:
    return identity.nested_id(raw)


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
    found = value(attributes["unsubscribed"])
    if isinstance(found, str):
        lowered = found.lower()
        meant = True if lowered in _YES else False if lowered in _NO else None
    else:
        meant = bool(found) if isinstance(found, (bool, int, float)) and found in (0, 1) else None
    if meant is None:
        del attributes["unsubscribed"]
        warnings.append(
            Warning(
                WarningCode.UNSUBSCRIBED_LEFT_OUT,
                "attribute 'unsubscribed' is neither yes nor no and was left out (4.8)",
            )
        )
    else:
        attributes["unsubscribed"] = _TRUE if meant else _FALSE
