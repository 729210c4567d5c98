"""The identifiers in an event: user id, email, phone number, anonymous id. Rules 3.1, 3.2, 3.5, 13.4."""

from msgspec import Raw

from .event import Event
from .identifiers import (
    PLACEHOLDERS,
    TypedIdentifier,
    as_email,
    as_phone,
    nested_id,
    top_level_id,
    within_limit,
)
from .json_text import ABSENT, elements, members, text_of
from .outcomes import Warning


def own_user_id(event: Event, warnings: list[Warning]) -> str | None:
    """Return the userId at the top of the event; a mapped id takes its place. Rule 3.5."""
    if event.context.mapped_to_destination is not None:
        external_id = mapped_id(event)
        if external_id is not None:
            return nested_id(external_id)
        # Only a mapped event's external id is read, so only there a placeholder is reported.
        if _is_mapped(event):
            raw = _external_id(event).get("id", ABSENT)
            nested_id(raw, "context.externalId[0].id", warnings)
    user_id = event.user_id
    if type(user_id) is str and user_id and not user_id.isspace() and user_id not in PLACEHOLDERS:
        return user_id  # the usual case, a call early
    return top_level_id(user_id, "userId", warnings)


def user_id(event: Event, warnings: list[Warning]) -> str | None:
    """Return the user id, or None. Rule 3.1.

    Raises:
        EventRejected: INVALID_ID, for a userId that no id can be.
    """
    top_level = own_user_id(event, warnings)
    if top_level is not None:
        return top_level
    for place, raw in (("traits", event.traits), ("context.traits", event.context.traits)):
        if raw:
            traits = members(raw)
            for name in ("userId", "id"):
                in_traits = nested_id(traits.get(name, ABSENT), f"{place}.{name}", warnings)
                if in_traits is not None:
                    return in_traits
    return None


def anonymous_id(event: Event, warnings: list[Warning]) -> str | None:
    """Return the anonymous id that an event is addressed by, or None. Rules 2.1, 2.2.

    Raises:
        EventRejected: INVALID_ID or ID_TOO_LONG.
    """
    identifier = top_level_id(event.anonymous_id, "anonymousId", warnings)
    return identifier if identifier is None else within_limit(identifier, "anonymousId")


def email(event: Event) -> str | None:
    """Return the email, or None. Rule 3.2."""
    address = first_email(event.traits, event.context.traits, event.properties)
    if address is None and event.context.external_id:
        return as_email(text_of(_external_id(event).get("id", ABSENT)))
    return address


def first_email(*places: Raw) -> str | None:
    """Return the first valid `email` member of some JSON objects. Rule 3.2."""
    for raw in places:
        # To look for the name takes a tenth of decoding the members. JSON spells a letter as itself or with \\u.
        if raw and (b'"email"' in (text := bytes(raw)) or b"\\u" in text):
            address = as_email(text_of(members(raw).get("email", ABSENT)))
            if address is not None:
                return address
    return None


def phone(event: Event) -> TypedIdentifier | None:
    """Return the phone number in E.164 form, or None. Rule 13.4."""
    for raw in (event.traits, event.context.traits):
        if raw:
            number = as_phone(text_of(members(raw).get("phone", ABSENT)))
            if number is not None:
                return number
    return None


def mapped_id(event: Event) -> Raw | None:
    """Return the external id that replaces userId on a mapped event, or None. Rule 3.5."""
    if event.context.mapped_to_destination is None or not _is_mapped(event):
        return None
    raw = _external_id(event).get("id", ABSENT)
    return raw if nested_id(raw) is not None else None


def with_mapped_id(traits: dict[str, Raw], event: Event) -> dict[str, Raw]:
    """Return the traits, on a mapped event with the external id under its own name. Rule 3.5."""
    if not traits or event.context.mapped_to_destination is None:
        return traits
    external_id = mapped_id(event)
    name = text_of(_external_id(event).get("identifierType", ABSENT))
    return {**traits, name: external_id} if external_id and name else traits


def is_warehouse_row(event: Event) -> bool:
    """Return whether an event comes from a warehouse: rule 13.9 does not filter those."""
    return event.channel == "sources" or mapped_id(event) is not None


def _is_mapped(event: Event) -> bool:
    flag = event.context.mapped_to_destination
    return flag is True or flag == "true"


def _external_id(event: Event) -> dict[str, Raw]:
    """Return the members of the first external id; {} if there is none."""
    external_ids = elements(event.context.external_id)
    return members(external_ids[0]) if external_ids else {}
