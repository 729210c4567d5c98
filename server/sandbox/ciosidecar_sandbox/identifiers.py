"""Identifiers of people, and how the two versions of the API read them."""

import re
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .limits import MAX_ID_BYTES, longer_than
from .outcome import Refusal

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+[0-9]{1,15}")
_ANONYMOUS = "anonymous_id"
PERSON_KINDS = ("id", "email", "phone", "cio_id")
MERGE_KINDS = ("id", "email", "cio_id")


class Identifier(NamedTuple):
    """An identifier of a person. Its kind is id, email, phone, cio_id or anonymous_id."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


def looks_like_email(text: str) -> bool:
    """Return True if v1 takes a value in a path as an email."""
    return "@" in text and _EMAIL.fullmatch(text) is not None


def comparable(who: Identifier) -> Identifier:
    """Return an identifier for comparison: emails in lower case, others as they are."""
    return Identifier("email", who.value.lower()) if who.kind == "email" else who


def unquoted(segment: bytes, field: str) -> str:
    """Return a path's segment, percent-decoded once.

    Raises:
        Refusal: The segment is not UTF-8.
    """
    try:
        return (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise Refusal(f"{field} is not UTF-8", field) from None


def from_path(segment: bytes) -> Identifier:
    """Return the identifier in a v1 path: a cio_id if it starts with cio_, an email, else an id.

    Raises:
        Refusal: The value cannot be an identifier.
    """
    text = unquoted(segment, "id")
    if not text:
        raise Refusal("id attribute cannot be an empty string", "id", "required")
    if longer_than(text, MAX_ID_BYTES):
        raise Refusal(f"id cannot be longer than {MAX_ID_BYTES} bytes", "id")
    if text.startswith("cio_"):
        return Identifier("cio_id", text[4:])
    return Identifier("email" if looks_like_email(text) else "id", text)


def from_object(identifiers: Any, field: str, kinds: tuple[str, ...] = PERSON_KINDS) -> Identifier:
    """Return the identifier of a v2 operation: an object with exactly one of the kinds.

    Args:
        identifiers: The object as sent.
        field: Its name in errors.
        kinds: The kinds that the operation accepts.

    Raises:
        Refusal: The object has not exactly one of the kinds, or its value cannot be an identifier.
    """
    if identifiers is None:
        raise Refusal("is required", field, "required")
    if type(identifiers) is not dict:
        raise Refusal("must be an object", field)
    if len(identifiers) != 1:
        known = [kind for kind in identifiers if kind in kinds]
        if len(known) > 1:
            raise Refusal("cannot have multiple identifiers", field)
        if not known:
            raise Refusal(f"must have one of {', '.join(kinds)}", field, "required")
        identifiers = {known[0]: identifiers[known[0]]}
    ((kind, value),) = identifiers.items()
    if kind not in kinds:
        raise Refusal(f"must have one of {', '.join(kinds)}", field, "required")
    return Identifier(kind, identifier_text(value, kind, f"{field}.{kind}"))


def identifier_text(value: Any, kind: str, field: str) -> str:
    """Return an identifier's value as text. In v2 it may also be a number.

    Raises:
        Refusal: The value cannot be an identifier.
    """
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        raise Refusal("must be a string or a number", field)
    if not value.strip():
        raise Refusal("cannot be an empty string", field, "required")
    if longer_than(value, MAX_ID_BYTES):
        raise Refusal(f"cannot be longer than {MAX_ID_BYTES} bytes", field)
    if kind == "phone" and _PHONE.fullmatch(value) is None:
        raise Refusal("must be a phone number in E.164 format", field)
    return value
