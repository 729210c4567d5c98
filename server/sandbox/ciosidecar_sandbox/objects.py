"""The objects of a workspace (companies, courses, …), by type and id."""

from collections import OrderedDict
from typing import Any

from msgspec import Struct, field


class Object(Struct, eq=False):
    """One object."""

    cio_object_id: str
    """Customer.io's own identifier of the object."""
    object_type_id: str
    """A whole number as text, from "1"."""
    object_id: str
    created: float
    """Unix seconds of receipt."""
    attributes: dict[str, Any] = field(default_factory=dict)
    set_at: dict[str, float] = field(default_factory=dict)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Attributes of relationships by cio_id. The person has the same dict."""


class Objects:
    """All objects, oldest first."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.by_cio_object_id: OrderedDict[str, Object] = OrderedDict()
        self._by_key: dict[tuple[str, str], Object] = {}
        self.anonymous: OrderedDict[str, dict[str, dict[str, Any]]] = OrderedDict()
        """By anonymous id: relationships that wait for a person, by cio_object_id."""
        self._created = 0

    def __len__(self) -> int:
        return len(self.by_cio_object_id)

    def find(self, object_type_id: str, object_id: str) -> Object | None:
        """Return the object with a type and id; None if there is none."""
        return self._by_key.get((object_type_id, object_id))

    def create(self, object_type_id: str, object_id: str, at: float) -> Object:
        """Create an object."""
        self._created += 1
        created = Object(f"ob{self._created:06x}", object_type_id, object_id, at)
        self.by_cio_object_id[created.cio_object_id] = created
        self._by_key[object_type_id, object_id] = created
        return created

    def oldest_over_limit(self) -> Object | None:
        """Return the oldest object if there are more than may be kept, else None."""
        if len(self.by_cio_object_id) <= self._keep:
            return None
        return next(iter(self.by_cio_object_id.values()))

    def remove(self, removed: Object) -> None:
        """Remove an object."""
        self.by_cio_object_id.pop(removed.cio_object_id, None)
        self._by_key.pop((removed.object_type_id, removed.object_id), None)

    def wait(self, anonymous_id: str, related: Object, attributes: dict[str, Any]) -> None:
        """Keep a relationship for the person who is identified with the anonymous id."""
        self.anonymous.setdefault(anonymous_id, {})[related.cio_object_id] = attributes
        while len(self.anonymous) > self._keep:
            self.anonymous.popitem(last=False)
