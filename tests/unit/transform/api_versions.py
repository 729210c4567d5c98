"""One event through both API versions, where they must say the same of a person."""

from typing import Any

from .support import Event, request_of

PERSON = {"object": "person"}


def v2_item(event: Event, *warnings: str, **config: Any) -> Any:
    """Return the one item of the batch that a good event becomes in v2."""
    (item,) = request_of(event, *warnings, **config | {"apiVersion": "v2"})["body"]["batch"]
    return item


def v1_body(event: Event, *warnings: str, **config: Any) -> Any:
    """Return the body that a good event becomes in v1."""
    return request_of(event, *warnings, **config | {"apiVersion": "v1"})["body"]


def attributes_of_both(event: Event, *warnings: str, **config: Any) -> dict[str, Any]:
    """Return the attributes of an identify, once both API versions agree on them and on the warnings.

    They are in v1's form: with `_timestamp`, and without `cio_relationships`, whose form differs.
    A made-up `created_at` is left out unless it is asked for.
    """
    settings = {"createdAtFallback": "none"} | config
    in_v1 = v1_body(event, *warnings, **settings)
    item = v2_item(event, *warnings, **settings)
    assert (item["type"], item["action"]) == ("person", "identify")
    in_v2 = dict(item["attributes"])
    if "timestamp" in item:
        assert "_timestamp" not in in_v2
        in_v2["_timestamp"] = item["timestamp"]
    relationships = in_v1.pop("cio_relationships", None)
    assert item.get("cio_relationships") == (relationships and relationships["relationships"])
    assert in_v1 == in_v2
    return dict(in_v1)


def in_either_place(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an identify that has the attributes as traits, and one as `user_properties`."""
    identify = {"type": "identify", "userId": "u"}
    return [identify | {"traits": attributes}, identify | {"user_properties": attributes}]
