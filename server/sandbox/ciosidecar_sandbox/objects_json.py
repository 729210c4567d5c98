"""Objects and relationships in requests."""

from typing import Any

from .identifiers import MERGE_KINDS, from_object, identifier_text
from .limits import check_attributes
from .outcome import Refusal
from .rules.relations import ObjectName, RelatedObject, RelatedPerson

_RELATIONSHIP_ACTIONS = ("add_relationships", "delete_relationships")


def object_name(identifiers: Any, field: str) -> ObjectName:
    """Read {object_type_id, object_id} or {cio_object_id}.

    Raises:
        Refusal: The value is neither.
    """
    if identifiers is None:
        raise Refusal("is required", field, "required")
    if type(identifiers) is not dict:
        raise Refusal("must be an object", field)
    if "cio_object_id" in identifiers:
        if len(identifiers) > 1:
            raise Refusal("cannot have multiple identifiers", field)
        kind = "cio_object_id"
        return ObjectName("", identifier_text(identifiers[kind], kind, f"{field}.{kind}"))
    for kind in ("object_type_id", "object_id"):
        if identifiers.get(kind) is None:
            raise Refusal("is required", f"{field}.{kind}", "required")
    type_id = identifier_text(identifiers["object_type_id"], "id", f"{field}.object_type_id")
    if not (type_id.isascii() and type_id.isdigit() and type_id.strip("0")):
        raise Refusal("must be a whole number as a string, from 1", f"{field}.object_type_id")
    return ObjectName(
        type_id, identifier_text(identifiers["object_id"], "id", f"{field}.object_id")
    )


def related_objects(relationships: Any, field: str = "cio_relationships") -> list[RelatedObject]:
    """Read the relationships of a person: [{identifiers, relationship_attributes}].

    Raises:
        Refusal: The value is no such list.
    """
    return [
        RelatedObject(
            object_name(relationship.get("identifiers"), f"{place}.identifiers"),
            _attributes(relationship, place),
        )
        for place, relationship in _elements(relationships, field)
    ]


def related_people(relationships: Any, *, anonymous: bool) -> list[RelatedPerson]:
    """Read the relationships of an object, to people or to anonymous ids.

    Raises:
        Refusal: The value is no list of relationships.
    """
    kinds = ("anonymous_id",) if anonymous else MERGE_KINDS
    return [
        RelatedPerson(
            from_object(relationship.get("identifiers"), f"{place}.identifiers", kinds),
            _attributes(relationship, place),
        )
        for place, relationship in _elements(relationships, "cio_relationships")
    ]


def v1_relationships(value: Any) -> tuple[list[RelatedObject] | None, bool]:
    """Read v1's {action, relationships}.

    Returns:
        The relationships, None if absent, and True if the action removes them.

    Raises:
        Refusal: The value is not valid.
    """
    if value is None:
        return None, False
    if type(value) is not dict:
        raise Refusal("cio_relationships must be an object", "cio_relationships")
    action = value.get("action", "add_relationships")
    if action not in _RELATIONSHIP_ACTIONS:
        raise Refusal(
            "action must be add_relationships or delete_relationships", "cio_relationships.action"
        )
    listed = related_objects(value.get("relationships"), "cio_relationships.relationships")
    return listed, action == "delete_relationships"


def _elements(value: Any, field: str) -> list[tuple[str, dict[str, Any]]]:
    if value is None:
        return []
    if type(value) is not list:
        raise Refusal("must be an array", field)
    for number, element in enumerate(value):
        if type(element) is not dict:
            raise Refusal("must be an object", f"{field}[{number}]")
    return [(f"{field}[{number}]", element) for number, element in enumerate(value)]


def _attributes(relationship: dict[str, Any], field: str) -> dict[str, Any]:
    attributes = relationship.get("relationship_attributes")
    if attributes is None:
        return {}
    if type(attributes) is not dict:
        raise Refusal("must be an object", f"{field}.relationship_attributes")
    check_attributes(attributes, v2=True, field=f"{field}.relationship_attributes")
    return attributes
