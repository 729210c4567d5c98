"""The item of an object. Only /api/v2/batch takes objects, so v1 and v2 share it. Rule 8."""

from typing import Any

from msgspec.json import encode

from .identifiers import kind_and_value
from .operations import UpdateObject
from .outcomes import Warning
from .requests import Endpoints, SharedItem, batch_item


def update_object(
    operation: UpdateObject, endpoints: Endpoints, _warnings: list[Warning]
) -> SharedItem:
    """Write an object. Rule 8.1.

    Raises:
        EventRejected: TOO_LARGE.
    """
    item = {
        "type": "object",
        "action": operation.action,
        "identifiers": {
            "object_type_id": operation.object_type_id,
            "object_id": operation.object_id,
        },
        "attributes": operation.attributes,
        "cio_relationships": _relationships(operation),
    }
    return batch_item(endpoints, encode(item), "group")


def _relationships(operation: UpdateObject) -> list[dict[str, Any]]:
    """Return the relationships of an object. Rules 8.5, 13.3."""
    if operation.person is not None:
        relationship: dict[str, Any] = {"identifiers": dict([kind_and_value(operation.person)])}
    elif operation.anonymous_id is not None:
        relationship = {"identifiers": {"anonymous_id": operation.anonymous_id}}
    else:
        return []
    if operation.relationship_attributes:
        relationship["relationship_attributes"] = operation.relationship_attributes
    return [relationship]
