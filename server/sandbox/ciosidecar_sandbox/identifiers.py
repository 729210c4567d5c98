"""By what people are known, and how the two versions of the API read it."""

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
    """One name of a person: kind is id, email, phone, cio_id or anonymous_id."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


def looks_like_email(text: str) -> bool:
    """Whether v1 takes a value in a path for an email."""
    return "@" in text and _EMAIL.fullmatch(text) is not None


def comparable(who: Identifier) -> Identifier:
    """Emails are the same in any case; ids are not."""
    return Identifier("email", who.value.lower()) if who.kind == "email" else who


def unquoted(segment: bytes, field: str) -> str:
    """A path's segment, percent-decoded once. Raises Refusal if it is not UTF-8."""
    try:
        return (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise Refusal(f"{field} is not UTF-8", field) from None


def from_path(segment: bytes) -> Identifier:
    """Whom a v1 path names, by the shape of the value: cio_… is a cio_id, then email, else id.

    Raises Refusal.
    """
    text = unquoted(segment, "id")
    if not text:
        raise Refusal("id attribute cannot be an empty string", "id", "required")
    if longer_than(text, MAX_ID_BYTES):
        raise Refusal(f"id cannot be longer than {MAX_ID_BYTES} bytes", "id")
    if text.startswith("cio_"):
        return Identifier("cio_id", text[4:])
    return Identifier("email" if looks_like_email(text) else "id", text)


def from_object(found: Any, field: str, kinds: tuple[str, ...] = PERSON_KINDS) -> Identifier:
    """Whom a v2 operation names: an object with exactly one of the kinds. Raises Refusal."""
    if found is None:
        raise Refusal("is required", field, "required")
    if type(found) is not dict:
        raise Refusal("must be an object", field)
    if len(found) != 1:
        known = [kind for kind in found if kind in kinds]
        if len(known) > 1:
            raise Refusal("cannot have multiple identifiers", field)
        if not known:
            raise Refusal(f"must have one of {', '.join(kinds)}", field, "required")
        found = {known[0]: found[known[0]]}
    ((kind, value),) = found.items()
    if kind not in kinds:
        raise Refusal(f"must have one of {', '.join(kinds)}", field, "required")
    return Identifier(kind, identifier_text(value, kind, f"{field}.{kind}"))


def identifier_text(value: Any, kind: str, field: str) -> str:
    """An identifier's value as text; v2 takes numbers too. Raises Refusal."""
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
