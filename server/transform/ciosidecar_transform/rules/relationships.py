"""The relationships of a person: those that Customer.io can read, within its limits. Rules 4.8b, 4.9."""

import re

from msgspec import Raw

from ..identifiers import is_too_long
from ..json_text import ABSENT, NULL, encode, first_byte, members, value
from ..limits import within_limits
from ..outcomes import WarningCode
from .context import RuleContext

OBJECT_TYPE = re.compile(r"[1-9][0-9]{0,17}")
"""The types of objects that Customer.io accepts (rule 8.2)."""
_ATTRIBUTES = "relationship_attributes"


def readable(context: RuleContext, relationship: Raw) -> Raw | None:
    """Return a relationship that Customer.io accepts, or None if it names no object.

    Customer.io refuses the whole request for one relationship that it cannot read.
    """
    fields = members(relationship)
    if not _names_an_object(members(fields.get("identifiers", ABSENT))):
        return None
    raw = fields.get(_ATTRIBUTES, NULL)
    if raw == NULL:
        return relationship
    if first_byte(raw) != b"{":
        context.warn(
            WarningCode.WRONG_TYPE,
            f"{_ATTRIBUTES} in attribute 'cio_relationships' is not an object and was ignored"
            " (rule 4.8b)",
        )
        del fields[_ATTRIBUTES]
        return Raw(encode(fields))
    attributes = members(raw)
    limited = within_limits(attributes, context.warnings)
    if limited == attributes:
        return relationship
    return Raw(encode(fields | {_ATTRIBUTES: Raw(encode(limited))}))


def _names_an_object(identifiers: dict[str, Raw]) -> bool:
    if "cio_object_id" in identifiers:
        return len(identifiers) == 1 and _id_text(identifiers["cio_object_id"]) is not None
    type_id = _id_text(identifiers.get("object_type_id", ABSENT))
    return (
        type_id is not None
        and OBJECT_TYPE.fullmatch(type_id) is not None
        and _id_text(identifiers.get("object_id", ABSENT)) is not None
    )


def _id_text(raw: Raw) -> str | None:
    """Return an identifier as text, or None if Customer.io does not accept it as it is written."""
    identifier = value(raw)
    if type(identifier) is int:
        identifier = str(identifier)
    if type(identifier) is not str or not identifier.strip() or is_too_long(identifier):
        return None
    return identifier
