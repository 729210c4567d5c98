"""Identifiers of people and objects: which values are usable, and of what kind. Rules 2.1-2.3, 3.6-3.8."""

import re
import unicodedata
from decimal import Decimal
from typing import Literal, Self
from urllib.parse import quote

from msgspec import Raw, Struct

from .json_text import VastNumber, value
from .outcomes import ErrorCode, EventRejected, Warning, WarningCode

MAX_ID_BYTES = 150

IdentifierKind = Literal["id", "email", "cio_id"]
UserIdKind = Literal["id", "email", "phone", "cio_id"]
IdentifyFallback = Literal["anonymousId", "email"]

# Programs write these in place of a missing value. Each would be one profile for many people.
PLACEHOLDERS = frozenset(
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
    """The kind of every user id (rule 3.8). None: the shape of the id decides (rule 3.7)."""
    identify_fallback: IdentifyFallback | None = "anonymousId"
    """What addresses an identify without user id (rule 3.3). None: nothing does (rule 3.8)."""
    by_phone: bool = False
    """Whether a phone number addresses a person who has no other identifier (rule 13.4)."""


class TypedIdentifier(str):
    """An identifier whose kind its text does not show, so no path of v1 can address it.

    A phone number (rules 3.8, 13.4), or an id that looks like an email or a cio_id (rule 3.8).
    """

    __slots__ = ("kind",)
    kind: UserIdKind

    def __new__(cls, text: str, kind: UserIdKind) -> Self:
        """Create the identifier. kind: the name under which it is sent to Customer.io."""
        identifier = super().__new__(cls, text)
        identifier.kind = kind
        return identifier


def without_white_space(text: str) -> str:
    """Return the text without the Unicode white space around it."""
    return text.strip(_WHITE_SPACE)


def is_blank(text: str) -> bool:
    """Return whether a text has nothing but Unicode white space."""
    return not text.strip(_WHITE_SPACE)


def id_text(json_value: object) -> str | None:
    """Return a usable id as text, or None if there is none. Rule 2.1.

    Raises:
        ValueError: The value is of a JSON type, or is a number, that no id can be.
    """
    if type(json_value) is str:
        if json_value in PLACEHOLDERS:
            return None
        if json_value and not json_value.isspace():
            return json_value
        return None if is_blank(json_value) else json_value
    if json_value is None:
        return None
    if type(json_value) is int:
        return str(json_value) if json_value else None
    if type(json_value) is float:
        return _float_text(json_value)
    if isinstance(json_value, VastNumber) and json_value.literal.lstrip("-").isdigit():
        return json_value.literal
    raise ValueError


def _float_text(number: float) -> str | None:
    """Return a number as plain decimal text, or None for 0. Raises ValueError from 1e21 on."""
    if abs(number) >= 1e21:
        raise ValueError
    text = format(Decimal(repr(number)), "f") if number else ""
    return (text.rstrip("0").rstrip(".") if "." in text else text) or None


def nested_id(raw: Raw, field: str = "", warnings: list[Warning] | None = None) -> str | None:
    """Return a usable id inside traits or device; any other JSON type counts as absent. Rule 2.1.

    Args:
        raw: The JSON text of the id, or ABSENT.
        field: The name of the id in a warning.
        warnings: Where a placeholder is reported. None: it is not reported.
    """
    if not raw:
        return None
    json_value = value(raw)
    try:
        text = id_text(json_value)
    except ValueError:
        return None
    if text is None and warnings is not None:
        _warn_of_placeholder(json_value, field, warnings)
    return text


def top_level_id(json_value: object, field: str, warnings: list[Warning]) -> str | None:
    """Return a usable id that the event itself names, or None. Rule 2.1.

    Raises:
        EventRejected: INVALID_ID, for a value that no id can be.
    """
    if json_value is None:
        return None
    try:
        text = id_text(json_value)
    except ValueError:
        raise EventRejected(
            ErrorCode.INVALID_ID, f"{field} must be a text or a plain number (rule 2.1)"
        ) from None
    if text is None:
        _warn_of_placeholder(json_value, field, warnings)
    return text


def _warn_of_placeholder(json_value: object, field: str, warnings: list[Warning]) -> None:
    if type(json_value) is not str or json_value not in PLACEHOLDERS:
        return
    warning = Warning(
        WarningCode.PLACEHOLDER_ID,
        f"{field} is a placeholder such as undefined or null and counts as absent (rule 2.1)",
    )
    # An anonymousId may be read twice: to address the person, and to be attached (rule 4.7).
    if warning not in warnings:
        warnings.append(warning)


def is_too_long(identifier: str) -> bool:
    """Return whether an identifier has more than 150 bytes. Rule 2.2."""
    return len(identifier) * 4 > MAX_ID_BYTES and len(identifier.encode()) > MAX_ID_BYTES


def within_limit(identifier: str, field: str) -> str:
    """Return the identifier unchanged: a cut identifier would be another person's. Rule 2.2.

    Raises:
        EventRejected: ID_TOO_LONG, for more than 150 bytes.
    """
    if is_too_long(identifier):
        raise EventRejected(
            ErrorCode.ID_TOO_LONG, f"{field} has more than {MAX_ID_BYTES} bytes (rule 2.2)"
        )
    return identifier


def is_email(text: str) -> bool:
    """Return whether a text is an email address. Rule 2.3."""
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


def as_email(text: str | None) -> str | None:
    """Return a text as an email, without white space around it, or None if it is none. Rule 2.3."""
    if not text or "@" not in text:
        return None
    trimmed = without_white_space(text)
    return trimmed if is_email(trimmed) else None


def as_phone(text: str | None) -> TypedIdentifier | None:
    """Return a text as a phone number, or None if it is not in E.164 form. Rule 13.4."""
    return TypedIdentifier(text, "phone") if text and _E_164.fullmatch(text) else None


def is_phone(identifier: str) -> bool:
    """Return whether an identifier addresses a person by phone number. Rules 3.8, 13.4."""
    return type(identifier) is TypedIdentifier and identifier.kind == "phone"


def as_cio_id(identifier: str) -> str:
    """Return a cio_id in the form that addresses a person: with its prefix. Rule 3.7."""
    prefixed = identifier.startswith("cio_") and len(identifier) > 4
    return identifier if prefixed else "cio_" + identifier


def of_kind(identifier: str, kind: UserIdKind, field: str) -> str:
    """Return the identifier so that it is sent under the kind, whatever its shape. Rule 3.8.

    Args:
        identifier: A usable identifier.
        kind: The kind that the destination's settings name.
        field: The name of the identifier in an error.

    Raises:
        EventRejected: INVALID_ID if it cannot be of the kind, ID_TOO_LONG if it is too long.
    """
    if kind == "cio_id":
        bare = within_limit(identifier.removeprefix("cio_"), field)
        if not bare:
            raise EventRejected(ErrorCode.INVALID_ID, f"{field} has nothing behind cio_ (rule 3.8)")
        return "cio_" + bare
    if kind == "phone":
        identifier = identifier.translate(_PHONE_PUNCTUATION)
        if not _E_164.fullmatch(identifier):
            raise EventRejected(
                ErrorCode.INVALID_ID, f"{field} is no phone number in E.164 form (rule 3.8)"
            )
    elif kind == "email" and not is_email(identifier):
        raise EventRejected(ErrorCode.INVALID_ID, f"{field} is no email (rule 3.8)")
    within_limit(identifier, field)
    shown, _ = kind_and_value(identifier)
    return identifier if shown == kind else TypedIdentifier(identifier, kind)


def addressed(identifier: str, field: str, addressing: Addressing) -> str:
    """Return a user id as the destination addresses it. Rules 2.2, 3.7, 3.8.

    Args:
        identifier: A usable user id.
        field: The name of the user id in an error.
        addressing: The settings of the destination.

    Raises:
        EventRejected: INVALID_ID or ID_TOO_LONG, as `of_kind` and `within_limit` say.
    """
    if addressing.user_id_kind is None:
        return within_limit(identifier, field)
    return of_kind(identifier, addressing.user_id_kind, field)


def kind_and_value(identifier: str) -> tuple[str, str]:
    """Return the kind of an identifier and the value under it, as v1 reads a path. Rules 3.7, 3.8."""
    if type(identifier) is TypedIdentifier:
        return identifier.kind, str(identifier)
    if identifier[:4] == "cio_" and len(identifier) > 4:
        return "cio_id", identifier[4:]
    return ("email" if "@" in identifier and is_email(identifier) else "id"), identifier


def has_v1_path(identifier: str | None) -> bool:
    """Return whether v1 reads the identifier in a path as the kind that it is. Rule 10.2.

    None means an anonymous event, which needs no path.
    """
    return type(identifier) is not TypedIdentifier


def in_path(identifier: str, field: str) -> str:
    """Return an identifier percent-encoded for the path of a URL. Rule 3.6.

    Raises:
        EventRejected: INVALID_ID, for a dot segment.
    """
    if identifier.isascii() and identifier.replace("-", "").isalnum():
        return identifier
    if identifier in (".", ".."):
        raise EventRejected(ErrorCode.INVALID_ID, f"{field} is a dot segment of a URL (rule 3.6)")
    return quote(identifier, safe="")
