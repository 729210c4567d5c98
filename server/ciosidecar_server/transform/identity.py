"""Who an event is about: ids, emails, and the kind of identifier a value is. SPEC 2.1-2.3, 3."""

import contextlib
import re
import unicodedata
from decimal import Decimal
from urllib.parse import quote

from msgspec import Raw

from .event import Event
from .json_text import ABSENT, VastNumber, elements, members, text_of, value
from .result import ErrorCode, Refused, Warning, WarningCode

MAX_ID_BYTES = 150

# Unicode's White_Space. str.isspace() has four control characters more.
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_LOCAL_PART = r'[^\s@"(),:;<>\[\]\\.]+(?:\.[^\s@"(),:;<>\[\]\\.]+)*'
_LABEL = r"""(?!-)[^\s@."(),:;<>\[\]\\/_!#$%&'*+=?^`{|}~]+(?<!-)"""
_EMAIL = re.compile(rf"({_LOCAL_PART})@(?:{_LABEL}\.)+({_LABEL})")
_E_164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_ASCII_TOP_LEVEL = re.compile(r"[A-Za-z]{2,}|[Xx][Nn]--[A-Za-z0-9-]+")


def is_blank(text: str) -> bool:
    """Whether a text has nothing but Unicode white space."""
    return not text.strip(_WHITE_SPACE)


def id_text(found: object) -> str | None:
    """A usable id as text, or None if there is none. SPEC 2.1.

    Raises ValueError for a JSON type, or a number, that no id can be.
    """
    if type(found) is str:
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


def nested_id(raw: Raw) -> str | None:
    """A usable id inside traits or device, where any other JSON type counts as absent. SPEC 2.1."""
    try:
        return id_text(value(raw)) if raw else None
    except ValueError:
        return None


def top_level_id(found: object, field: str) -> str | None:
    """A usable id that the event itself names, or None. Raises Refused(INVALID_ID). SPEC 2.1."""
    if found is None:
        return None
    try:
        return id_text(found)
    except ValueError:
        raise Refused(
            ErrorCode.INVALID_ID, f"{field} must be a text or a plain number (2.1)"
        ) from None


def within_limit(identifier: str, field: str) -> str:
    """The same identifier. Raises Refused(ID_TOO_LONG): a cut id is another person. SPEC 2.2."""
    if len(identifier) * 4 > MAX_ID_BYTES and len(identifier.encode()) > MAX_ID_BYTES:
        raise Refused(ErrorCode.ID_TOO_LONG, f"{field} has more than {MAX_ID_BYTES} bytes (2.2)")
    return identifier


def is_email(text: str) -> bool:
    """Whether a text is an email address by SPEC 2.3."""
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


def mapped_id(event: Event) -> Raw | None:
    """The external id that stands in for userId on a mapped warehouse event. SPEC 3.5."""
    flag = event.context.mapped_to_destination
    if flag is None or not (flag is True or flag == "true"):
        return None
    found = _external_id(event).get("id", ABSENT)
    return found if nested_id(found) is not None else None


def with_mapped_id(traits: dict[str, Raw], event: Event) -> dict[str, Raw]:
    """The traits, and on a mapped event the external id under its own name over them. SPEC 3.5."""
    if not traits or event.context.mapped_to_destination is None:
        return traits
    found = mapped_id(event)
    name = text_of(_external_id(event).get("identifierType", ABSENT))
    return {**traits, name: found} if found and name else traits


def _external_id(event: Event) -> dict[str, Raw]:
    listed = elements(event.context.external_id)
    return members(listed[0]) if listed else {}


def own_user_id(event: Event) -> str | None:
    """The userId that the event itself names: a mapped id in its place, if any. SPEC 3.5."""
    if event.context.mapped_to_destination is not None:
        found = mapped_id(event)
        if found is not None:
            return nested_id(found)
    own = event.user_id
    if type(own) is str and own and not own.isspace():
        return own  # the usual case, a call early
    return top_level_id(own, "userId")


def user_id(event: Event) -> str | None:
    """The user id, or None. SPEC 3.1. Raises Refused(INVALID_ID)."""
    own = own_user_id(event)
    if own is not None:
        return own
    for raw in (event.traits, event.context.traits):
        if raw:
            traits = members(raw)
            for name in ("userId", "id"):
                found = nested_id(traits.get(name, ABSENT))
                if found is not None:
                    return found
    return None


def first_email(*places: Raw) -> str | None:
    """The first valid `email` member of the given objects."""
    for raw in places:
        if raw:
            text = text_of(members(raw).get("email", ABSENT))
            if text and is_email(text):
                return text
    return None


def email(event: Event) -> str | None:
    """The email, or None. SPEC 3.2."""
    found = first_email(event.traits, event.context.traits, event.properties)
    if found is None and event.context.external_id:
        text = text_of(_external_id(event).get("id", ABSENT))
        if text and is_email(text):
            return text
    return found


class Phone(str):
    """A phone number that addresses a person. Its type sets it apart from a user id. Rule 13.4."""

    __slots__ = ()


def phone(event: Event) -> Phone | None:
    """The phone number in E.164 form, or None. Rule 13.4."""
    for raw in (event.traits, event.context.traits):
        if raw:
            text = text_of(members(raw).get("phone", ABSENT))
            if text and _E_164.fullmatch(text):
                return Phone(text)
    return None


def known_person(event: Event, *, by_phone: bool = False) -> str | None:
    """What addresses the person of a track, page or screen, or None. SPEC 3.4.

    by_phone: whether a phone number does where nothing else can (13.4).
    """
    found = user_id(event)
    if found is not None:
        return within_limit(found, "the user id")
    found = email(event)
    if found is None:
        return phone(event) if by_phone else None
    return within_limit(found, "the email")


def anonymous_id(event: Event) -> str | None:
    """The anonymous id that an event is addressed by, or None. SPEC 2.1, 2.2."""
    found = top_level_id(event.anonymous_id, "anonymousId")
    return found if found is None else within_limit(found, "anonymousId")


def attached_anonymous_id(event: Event, person: str, warnings: list[Warning]) -> str | None:
    """The anonymous id to attach to a person, or None. One that cannot be sent warns. SPEC 4.7."""
    try:
        found = anonymous_id(event)
    except Refused:
        warnings.append(
            Warning(
                WarningCode.ANONYMOUS_ID_LEFT_OUT,
                "anonymousId is not a usable id and was not attached (2.1, 2.2)",
            )
        )
        return None
    return None if found == person else found


def kind_and_value(identifier: str) -> tuple[str, str]:
    """The kind of identifier, and the value under it, as v1 reads them from a path. SPEC 3.7."""
    if identifier.startswith("cio_") and len(identifier) > 4:
        return "cio_id", identifier[4:]
    if is_email(identifier):
        return "email", identifier
    return ("phone", str(identifier)) if type(identifier) is Phone else ("id", identifier)


def in_path(identifier: str, field: str) -> str:
    """Percent-encoded for a URL's path. Raises Refused(INVALID_ID) for dot segments. SPEC 3.6."""
    if identifier.isascii() and identifier.replace("-", "").isalnum():
        return identifier
    if identifier in (".", ".."):
        raise Refused(ErrorCode.INVALID_ID, f"{field} is a dot segment of a URL (3.6)")
    return quote(identifier, safe="")


def comparable(identifier: str) -> str:
    """The identifier so that two spellings of one email are equal."""
    return identifier.casefold() if "@" in identifier else identifier


def row_ids(identifiers: Raw) -> dict[str, str]:
    """The usable `cio_id`, `id` and `email` of a warehouse row, in that order. SPEC 9.2."""
    found = members(identifiers)
    usable = {}
    for name in ("cio_id", "id", "email"):
        one = nested_id(found.get(name, ABSENT))
        if one is not None:
            usable[name] = one
    return usable


def as_cio_id(identifier: str) -> str:
    """A cio_id in the form in which it addresses a person anywhere: with its prefix. SPEC 3.7."""
    prefixed = identifier.startswith("cio_") and len(identifier) > 4
    return identifier if prefixed else "cio_" + identifier


_READERS = (user_id, email, anonymous_id)


def identifiers(event: Event, *, by_phone: bool = False) -> set[str]:
    """Everything the event's people may be known by, comparable. Never raises.

    What cannot be read names nobody: an event that is sent all the same does not go by it.
    by_phone: whether phone numbers address people (13.4).
    """
    found = set()
    for reader in (user_id, email, anonymous_id, phone) if by_phone else _READERS:
        try:
            one = reader(event)
        except (Refused, RecursionError):
            continue
        if one is not None:
            found.add(comparable(one))
    if type(event.previous_id) is str:
        found.add(comparable(event.previous_id))
    if event.identifiers:
        with contextlib.suppress(RecursionError):
            for name, one in row_ids(event.identifiers).items():
                found.add(as_cio_id(one) if name == "cio_id" else comparable(one))
    return found
