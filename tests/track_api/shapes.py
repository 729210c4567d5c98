"""The pieces that JSON Schemas of the Track API are made of."""

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FILLED_TEXT: Schema = {"type": "string", "pattern": r"\S"}
YES_OR_NO: Schema = {"type": "boolean"}
WHOLE_NUMBER: Schema = {"type": "integer"}
TEXT_OR_NUMBER: Schema = {"type": ["string", "number"]}
ANYTHING: Schema = {"type": "object"}
"""An object whose names and values are the caller's."""
NOTHING: Schema = {"const": {}}


def removable(schema: Schema) -> Schema:
    """Return the schema of an attribute that null takes away."""
    return {"anyOf": [schema, {"type": "null"}]}


def choice(*texts: str) -> Schema:
    """Return the schema of a closed set of texts."""
    return {"enum": list(texts)}


def listed(items: Schema, at_least: int = 0, at_most: int | None = None) -> Schema:
    """Return the schema of an array."""
    bounds = {} if at_most is None else {"maxItems": at_most}
    return {"type": "array", "items": items, "minItems": at_least} | bounds


def fields(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object with these members. Other members are ignored by the API."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
    }


def only(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object with these members and no others."""
    return fields(required, optional) | {"additionalProperties": False}


def exactly_one(members: Schema) -> Schema:
    """Return the schema of an object with one of these members."""
    return {"anyOf": [only({name: schema}) for name, schema in members.items()]}


def any_of(schemas: Iterable[Schema]) -> Schema:
    """Return the schema of a value that fits one schema or several."""
    return {"anyOf": list(schemas)}
