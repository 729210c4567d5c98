"""Objects and relationships as requests describe them."""

from typing import Any

from .identifiers import MERGE_KINDS, from_object, identifier_text
from .limits import check_attributes
from .outcome import Refusal
from .rules.relations import ObjectName, RelatedObject, RelatedPerson

_RELATIONSHIP_ACTIONS = ("add_relationships", "delete_relationships")


def object_name(found: Any, field: str) -> ObjectName:
    """{object_type_id, object_id} or {cio_object_id}. Raises Refusal."""
    if found is None:
        raise Refusal("is required", field, "required")
    if type(found) is not dict:
        raise Refusal("must be an object", field)
    if "cio_object_id" in found:
        if len(found) > 1:
            raise Refusal("cannot have multiple identifiers", field)
        kind = "cio_object_id"
        return ObjectName("", identifier_text(found[kind], kind, f"{field}.{kind}"))
    for kind in ("object_type_id", "object_id"):
        if found.get(kind) is None:
            raise Refusal("is required", f"{field}.{kind}", "required")
    type_id = identifier_text(found["object_type_id"], "id", f"{field}.object_type_id")
    if not (type_id.isascii() and type_id.isdigit() and type_id.strip("0")):
        raise Refusal("must be a whole number as a string, from 1", f"{field}.object_type_id")
    return ObjectName(type_id, identifier_text(found["object_id"], "id", f"{field}.object_id"))


def related_objects(found: Any, field: str = "cio_relationships") -> list[RelatedObject]:
    """A person's relationships: [{identifiers, relationship_attributes}]. Raises Refusal."""
    return [
        RelatedObject(
            object_name(one.get("identifiers"), f"{at}.identifiers"), _attributes(one, at)
        )
        for at, one in _elements(found, field)
    ]


def related_people(found: Any, *, anonymous: bool) -> list[RelatedPerson]:
    """An object's relationships, to people or to anonymous ids. Raises Refusal."""
    kinds = ("anonymous_id",) if anonymous else MERGE_KINDS
    return [
        RelatedPerson(
            from_object(one.get("identifiers"), f"{at}.identifiers", kinds), _attributes(one, at)
        )
        for at, one in _elements(found, "cio_relationships")
    ]


def v1_relationships(found: Any) -> tuple[list[RelatedObject] | None, bool]:
    """v1's {action, relationships}, and whether it removes them. Raises Refusal."""
    if found is None:
        return None, False
    if type(found) is not dict:
        raise Refusal("cio_relationships must be an object", "cio_relationships")
    action = found.get("action", "add_relationships")
    if action not in _RELATIONSHIP_ACTIONS:
        raise Refusal(
            "action must be add_relationships or delete_relationships", "cio_relationships.action"
        )
    listed = related_objects(found.get("relationships"), "cio_relationships.relationships")
    return listed, action == "delete_relationships"


def _elements(found: Any, field: str) -> list[tuple[str, dict[str, Any]]]:
    if found is None:
        return []
    if type(found) is not list:
        raise Refusal("must be an array", field)
    for number, one in enumerate(found):
        if type(one) is not dict:
            raise Refusal("must be an object", f"{field}[{number}]")
    return [(f"{field}[{number}]", one) for number, one in enumerate(found)]


def _attributes(one: dict[str, Any], field: str) -> dict[str, Any]:
    found = one.get("relationship_attributes")
    if found is None:
        return {}
    if type(found) is not dict:
        raise Refusal("must be an object", f"{field}.relationship_attributes")
    check_attributes(found, v2=True, field=f"{field}.relationship_attributes")
    return found
