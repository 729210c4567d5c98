"""Who an event is about: ids, emails, and the kind of identifier a value is. Rules 2.1-2.3, 3."""

import re
import unicodedata
from decimal import Decimal
from typing import Literal, Self
from urllib.parse import quote

from msgspec import Raw, Struct

from .event import Event
from .json_text import ABSENT, VastNumber, elements, members, text_of, value
from .outcomes import ErrorCode, EventRejected, Warning, WarningCode

MAX_ID_BYTES = 150

IdentifierKind = Literal["id", "email", "cio_id"]
UserIdKind = Literal["id", "email", "phone", "cio_id"]
IdentifyFallback = Literal["anonymousId", "email"]

# Programs write these where they have no value. Each would be one person whom everybody shares.
_PLACEHOLDERS = frozenset(
    ("undefined", "null", "NaN", "None", "nil", "<nil>", "[object Object]"),
)

# Unicode's White_Space. str.isspace() has four control characters more.
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_LOCAL_PART = r'[^\s@"(),:;<>\[\]\\.]+(?:\.[^\s@"(),:;<>\[\]\\.]+)*'
_LABEL = r"""(?!-)[^\s@."(),:;<>\[\]\\/_!#$%&'*+=?^`{|}~]+(?<!-)"""
_EMAIL = re.compile(rf"({_LOCAL_PART})@(?:{_LABEL}\.)+({_LABEL})")
_E_164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_PHONE_PUNCTUATION = str.maketrans("", "", " .-()")
_ASCII_TOP_LEVEL = re.compile(r"[A-Za-z]{2,}|[Xx][Nn]--[A-Za-z0-9-]+")


class Addressing(Struct, frozen=True):
    """The settings that decide how a destination addresses people."""

    user_id_kind: UserIdKind | None = None
    """The kind of every user id (rule 3.8). None: the id's own shape decides (rule 3.7)."""
    identify_fallback: IdentifyFallback | None = "anonymousId"
    """What addresses an identify without user id (rule 3.3). None: nothing does (rule 3.8)."""
    by_phone: bool = False
    """Whether a phone number addresses a person who has no other identifier (rule 13.4)."""


def without_white_space(text: str) -> str:
    """Return the text without the Unicode white space around it."""
    return text.strip(_WHITE_SPACE)


def is_blank(text: str) -> bool:
    """Return whether a text has nothing but Unicode white space."""
    return not text.strip(_WHITE_SPACE)


def id_text(found: object) -> str | None:
    """Return a usable id as text, or None if there is none. Rule 2.1.

    Raises ValueError for a JSON type, or a number, that no id can be.
    """
    if type(found) is str:
        if found in _PLACEHOLDERS:
            return None
        if found and not found.isspace():
            return found
        return None if is_blank(found) else found
    if found is None:
        return None
    if type(found) is int:
        return str(found) if found else None
    if type(found) is float:
        if abs(found) >= 1e21:
            raise ValueError
        text = format(Decimal(repr(found)), "f") if found else ""
        return (text.rstrip("0").rstrip(".") if "." in text else text) or None
    if isinstance(found, VastNumber) and found.literal.lstrip("-").isdigit():
        return found.literal
    raise ValueError


def nested_id(raw: Raw, field: str = "", warnings: list[Warning] | None = None) -> str | None:
    """Return a usable id inside traits or device; any other JSON type counts as absent. Rule 2.1.

    warnings: where a placeholder is reported, if it is to be reported. field: its name there.
    """
    if not raw:
        return None
    found = value(raw)
    try:
        text = id_text(found)
    except ValueError:
        return None
    if text is None and warnings is not None:
        _warn_of_placeholder(found, field, warnings)
    return text


def top_level_id(found: object, field: str, warnings: list[Warning]) -> str | None:
    """Return a usable id that the event itself names, or None. Rule 2.1.

    Raises EventRejected(INVALID_ID).
    """
    if found is None:
        return None
    try:
        text = id_text(found)
    except ValueError:
        raise EventRejected(
            ErrorCode.INVALID_ID, f"{field} must be a text or a plain number (2.1)"
        ) from None
    if text is None:
        _warn_of_placeholder(found, field, warnings)
    return text


def _warn_of_placeholder(found: object, field: str, warnings: list[Warning]) -> None:
    if type(found) is not str or found not in _PLACEHOLDERS:
        return
    warning = Warning(
        WarningCode.PLACEHOLDER_ID,
        f"{field} is a placeholder such as undefined or null and counts as absent (2.1)",
    )
    # An anonymousId may be tried as the address and then be read again, to be attached.
    if warning not in warnings:
        warnings.append(warning)


def is_too_long(identifier: str) -> bool:
    """Return whether an identifier has more than 150 bytes. Rule 2.2."""
    return len(identifier) * 4 > MAX_ID_BYTES and len(identifier.encode()) > MAX_ID_BYTES


def within_limit(identifier: str, field: str) -> str:
    """The same identifier. Raises EventRejected(ID_TOO_LONG): a cut id is another person. rule 2.2."""
    if is_too_long(identifier):
        raise EventRejected(
            ErrorCode.ID_TOO_LONG, f"{field} has more than {MAX_ID_BYTES} bytes (2.2)"
        )
    return identifier


def is_email(text: str) -> bool:
    """Whether a text is an email address by rule 2.3."""
    match = _EMAIL.fullmatch(text) if "@" in text and len(text) <= 254 else None
    if match is None or len(match[1]) > 64:
        return False
    top_level = match[2]
    if top_level.isascii():
        return _ASCII_TOP_LEVEL.fullmatch(top_level) is not None
    # Scripts that write vowels as marks (Devanagari, Thai) need those in a word of letters.
    return len(top_level) >= 2 and all(
        letter.isalpha() or unicodedata.category(letter)[0] == "M" for letter in top_level
    )


def _is_mapped(event: Event) -> bool:
    flag = event.context.mapped_to_destination
    return flag is True or flag == "true"


def mapped_id(event: Event) -> Raw | None:
    """Return the external id that stands in for userId on a mapped event, or None. Rule 3.5."""
    if event.context.mapped_to_destination is None or not _is_mapped(event):
        return None
    found = _external_id(event).get("id", ABSENT)
    return found if nested_id(found) is not None else None


def with_mapped_id(traits: dict[str, Raw], event: Event) -> dict[str, Raw]:
    """The traits, and on a mapped event the external id under its own name over them. rule 3.5."""
    if not traits or event.context.mapped_to_destination is None:
        return traits
    found = mapped_id(event)
    name = text_of(_external_id(event).get("identifierType", ABSENT))
    return {**traits, name: found} if found and name else traits


def _external_id(event: Event) -> dict[str, Raw]:
    listed = elements(event.context.external_id)
    return members(listed[0]) if listed else {}


def own_user_id(event: Event, warnings: list[Warning]) -> str | None:
    """Return the userId that the event itself names; a mapped id takes its place. Rule 3.5."""
    if event.context.mapped_to_destination is not None:
        found = mapped_id(event)
        if found is not None:
            return nested_id(found)
        # Reports a placeholder: only on an event that is mapped is the external id read.
        if _is_mapped(event):
            external = _external_id(event).get("id", ABSENT)
            nested_id(external, "context.externalId[0].id", warnings)
    own = event.user_id
    if type(own) is str and own and not own.isspace() and own not in _PLACEHOLDERS:
        return own  # the usual case, a call early
    return top_level_id(own, "userId", warnings)


def user_id(event: Event, warnings: list[Warning]) -> str | None:
    """Return the user id, or None. Rule 3.1. Raises EventRejected(INVALID_ID)."""
    own = own_user_id(event, warnings)
    if own is not None:
        return own
    for place, raw in (("traits", event.traits), ("context.traits", event.context.traits)):
        if raw:
            traits = members(raw)
            for name in ("userId", "id"):
                found = nested_id(traits.get(name, ABSENT), f"{place}.{name}", warnings)
                if found is not None:
                    return found
    return None


def as_email(text: str | None) -> str | None:
    """Return the email that a text is, without white space around it, or None. Rule 2.3."""
    if not text or "@" not in text:
        return None
    trimmed = without_white_space(text)
    return trimmed if is_email(trimmed) else None


def first_email(*places: Raw) -> str | None:
    """Return the first valid `email` member of the given objects. Rule 3.2."""
    for raw in places:
        if raw:
            found = as_email(text_of(members(raw).get("email", ABSENT)))
            if found is not None:
                return found
    return None


def email(event: Event) -> str | None:
    """Return the email, or None. Rule 3.2."""
    found = first_email(event.traits, event.context.traits, event.properties)
    if found is None and event.context.external_id:
        return as_email(text_of(_external_id(event).get("id", ABSENT)))
    return found


class TypedIdentifier(str):
    """An identifier whose kind its text does not show, so no path of v1 can address it.

    A phone number (rules 3.8, 13.4), or an id that looks like an email or a cio_id (rule 3.8).
    """

    __slots__ = ("kind",)
    kind: UserIdKind

    def __new__(cls, text: str, kind: UserIdKind) -> Self:
        """kind: what Customer.io is told that the text is."""
        made = super().__new__(cls, text)
        made.kind = kind
        return made


def phone(event: Event) -> TypedIdentifier | None:
    """Return the phone number in E.164 form, or None. Rule 13.4."""
    for raw in (event.traits, event.context.traits):
        if raw:
            text = text_of(members(raw).get("phone", ABSENT))
            if text and _E_164.fullmatch(text):
                return TypedIdentifier(text, "phone")
    return None


def is_phone(identifier: str) -> bool:
    """Return whether an identifier addresses a person by phone number. Rules 3.8, 13.4."""
    return type(identifier) is TypedIdentifier and identifier.kind == "phone"


def of_kind(identifier: str, kind: UserIdKind, field: str) -> str:
    """Return the identifier so that it goes out under the kind, whatever its shape. Rule 3.8.

    field: its name in the text of a refusal. Raises EventRejected(INVALID_ID) and EventRejected(ID_TOO_LONG).
    """
    if kind == "cio_id":
        bare = within_limit(identifier.removeprefix("cio_"), field)
        if not bare:
            raise EventRejected(ErrorCode.INVALID_ID, f"{field} has nothing behind cio_ (3.8)")
        return "cio_" + bare
    if kind == "phone":
        identifier = identifier.translate(_PHONE_PUNCTUATION)
        if not _E_164.fullmatch(identifier):
            raise EventRejected(
                ErrorCode.INVALID_ID, f"{field} is no phone number in E.164 form (3.8)"
            )
    elif kind == "email" and not is_email(identifier):
        raise EventRejected(ErrorCode.INVALID_ID, f"{field} is no email (3.8)")
    within_limit(identifier, field)
    shown, _ = kind_and_value(identifier)
    return identifier if shown == kind else TypedIdentifier(identifier, kind)


def addressed(identifier: str, field: str, addressing: Addressing) -> str:
    """Return a user id as the destination addresses it. Rules 2.2, 3.7, 3.8.

    field: its name in the text of a refusal. Raises EventRejected(INVALID_ID) and EventRejected(ID_TOO_LONG).
    """
    if addressing.user_id_kind is None:
        return within_limit(identifier, field)
    return of_kind(identifier, addressing.user_id_kind, field)


def addressed_user(event: Event, addressing: Addressing, warnings: list[Warning]) -> str | None:
    """Return the user id as the destination addresses it, or None. Rules 3.1, 3.8."""
    found = user_id(event, warnings)
    if found is None or (addressing.user_id_kind is None and len(found) * 4 <= MAX_ID_BYTES):
        return found  # the usual case, two calls early
    return addressed(found, "the user id", addressing)


def known_person(event: Event, addressing: Addressing, warnings: list[Warning]) -> str | None:
    """Return what addresses the person of a track, page or screen, or None. Rule 3.4."""
    found = addressed_user(event, addressing, warnings)
    if found is not None:
        return found
    found = email(event)
    if found is None:
        return phone(event) if addressing.by_phone else None
    return within_limit(found, "the email")


def anonymous_id(event: Event, warnings: list[Warning]) -> str | None:
    """Return the anonymous id that an event is addressed by, or None. Rules 2.1, 2.2."""
    found = top_level_id(event.anonymous_id, "anonymousId", warnings)
    return found if found is None else within_limit(found, "anonymousId")


def attached_anonymous_id(event: Event, person: str, warnings: list[Warning]) -> str | None:
    """Return the anonymous id to attach to a person. One that cannot be sent warns. Rule 4.7."""
    try:
        found = anonymous_id(event, warnings)
    except EventRejected:
        warnings.append(
            Warning(
                WarningCode.ANONYMOUS_ID_LEFT_OUT,
                "anonymousId is not a usable id and was not attached (2.1, 2.2)",
            )
        )
        return None
    return None if found == person else found


def kind_and_value(identifier: str) -> tuple[str, str]:
    """Return the kind of identifier and the value under it, as v1 reads a path. Rules 3.7, 3.8."""
    if type(identifier) is TypedIdentifier:
        return identifier.kind, str(identifier)
    if identifier.startswith("cio_") and len(identifier) > 4:
        return "cio_id", identifier[4:]
    return ("email" if is_email(identifier) else "id"), identifier


def has_v1_path(identifier: str | None) -> bool:
    """Return whether v1 reads the identifier in a path as what it is. Rule 10.2.

    None, no known person, needs no path.
    """
    return type(identifier) is not TypedIdentifier


def in_path(identifier: str, field: str) -> str:
    """Return it percent-encoded for a URL's path. Raises EventRejected(INVALID_ID) for a dot segment.

    Rule 3.6.
    """
    if identifier.isascii() and identifier.replace("-", "").isalnum():
        return identifier
    if identifier in (".", ".."):
        raise EventRejected(ErrorCode.INVALID_ID, f"{field} is a dot segment of a URL (3.6)")
    return quote(identifier, safe="")


def as_cio_id(identifier: str) -> str:
    """Return a cio_id in the form in which it addresses a person: with its prefix. Rule 3.7."""
    prefixed = identifier.startswith("cio_") and len(identifier) > 4
    return identifier if prefixed else "cio_" + identifier
