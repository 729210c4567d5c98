"""Customer.io's limits on attributes: a value beyond a limit would lose the whole request. Rule 4.9."""

import re

from msgspec import Raw

from .json_text import compact_size, encode, first_byte, value
from .native import twin
from .operations import Attributes
from .outcomes import Warning, WarningCode

MAX_NAME_BYTES = 150
MAX_VALUE_BYTES = 1000
MAX_ATTRIBUTES = 300

RESERVED = frozenset(
    [
        "email",
        "phone",
        "created_at",
        "unsubscribed",
        "cio_subscription_preferences",
        "cio_relationships",
        "anonymous_id",
        "_timestamp",
    ]
)
_PLAIN_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$ -]{0,63}")


def named(name: str) -> str:
    """Return words for an attribute: its name, unless that can be personal data (rule 12.2)."""
    return f"attribute {name!r}" if _PLAIN_NAME.fullmatch(name) else "an attribute"


def cut(text: str, max_bytes: int) -> str:
    """Return the text cut at a code point to at most `max_bytes` of UTF-8."""
    if len(text) * 4 <= max_bytes:
        return text
    return text.encode()[:max_bytes].decode(errors="ignore")


def within_limits(attributes: Attributes, warnings: list[Warning]) -> Attributes:
    """Return the attributes that Customer.io accepts, with a warning for each change. Rule 4.9."""
    return within_count(within_sizes(attributes, warnings), warnings)


def within_sizes(attributes: Attributes, warnings: list[Warning]) -> Attributes:
    """Return the attributes with names and values within the limits, of any number. Rule 4.9."""
    # A character has four bytes at most.
    if any_longer(attributes, MAX_NAME_BYTES // 4, MAX_VALUE_BYTES):
        return _cut_to_size(attributes, warnings)
    return attributes


@twin
def any_longer(attributes: Attributes, name_chars: int, value_bytes: int, /) -> bool:
    """Return whether a name has more characters, or a value more bytes, than is given."""
    return bool(attributes) and (
        max(map(len, attributes.values())) > value_bytes or max(map(len, attributes)) > name_chars
    )


def within_count(attributes: Attributes, warnings: list[Warning]) -> Attributes:
    """Return as many attributes as Customer.io accepts, the reserved ones first. Rule 4.9.

    A writer counts those of a person: v1 sends as attributes what v2 sends elsewhere (rule 10.1).
    """
    if len(attributes) > MAX_ATTRIBUTES:
        warnings.append(
            Warning(
                WarningCode.TOO_MANY_ATTRIBUTES,
                f"{len(attributes) - MAX_ATTRIBUTES} attributes beyond {MAX_ATTRIBUTES}"
                " were left out (rule 4.9)",
            )
        )
        reserved_first = sorted(attributes, key=lambda name: name not in RESERVED)
        attributes = {name: attributes[name] for name in reserved_first[:MAX_ATTRIBUTES]}
    return attributes


def _cut_to_size(attributes: Attributes, warnings: list[Warning]) -> Attributes:
    fitting = {}
    for name, raw in attributes.items():
        if len(name.encode()) > MAX_NAME_BYTES:
            warnings.append(
                Warning(
                    WarningCode.ATTRIBUTE_NAME_TOO_LONG,
                    f"an attribute's name has more than {MAX_NAME_BYTES} bytes;"
                    " the attribute was left out (rule 4.9)",
                )
            )
            continue
        fitting_value: Raw | None = raw
        if len(raw) > MAX_VALUE_BYTES and name not in RESERVED:
            fitting_value = _cut_value(name, raw, warnings)
        if fitting_value is not None:
            fitting[name] = fitting_value
    return fitting


def _cut_value(name: str, raw: Raw, warnings: list[Warning]) -> Raw | None:
    """Return the value within the limit, or None if it has to be left out."""
    kind = first_byte(raw)
    if kind == b'"':
        text: str = value(raw)
        if len(text.encode()) > MAX_VALUE_BYTES:
            warnings.append(
                Warning(
                    WarningCode.TEXT_CUT,
                    f"{named(name)} was cut to {MAX_VALUE_BYTES} bytes (rule 4.9)",
                )
            )
            return Raw(encode(cut(text, MAX_VALUE_BYTES)))
    elif kind in (b"{", b"[") and compact_size(raw) > MAX_VALUE_BYTES:
        warnings.append(
            Warning(
                WarningCode.VALUE_TOO_LARGE,
                f"{named(name)} has more than {MAX_VALUE_BYTES} bytes and was left out (rule 4.9)",
            )
        )
        return None
    return raw
