"""The objects of a workspace (companies, courses, …), by type and id."""

from collections import OrderedDict
from typing import Any

from msgspec import Struct, field


class Object(Struct, eq=False):
    """One object."""

    cio_object_id: str
    """Customer.io's own identifier of it."""
    object_type_id: str
    """A whole number as text, from "1"."""
    object_id: str
    created: float
    """Unix seconds of receipt."""
    attributes: dict[str, Any] = field(default_factory=dict)
    set_at: dict[str, float] = field(default_factory=dict)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By cio_id: the relationship's attributes, the same dict that the person has."""


class Objects:
    """All objects, oldest first."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.by_cio_object_id: OrderedDict[str, Object] = OrderedDict()
        self._by_key: dict[tuple[str, str], Object] = {}
        self.anonymous: OrderedDict[str, dict[str, dict[str, Any]]] = OrderedDict()
        """By anonymous id: relationships by cio_object_id that wait for somebody."""
        self._created = 0

    def __len__(self) -> int:
        return len(self.by_cio_object_id)

    def find(self, object_type_id: str, object_id: str) -> Object | None:
        """The object of that type and id."""
        return self._by_key.get((object_type_id, object_id))

    def create(self, object_type_id: str, object_id: str, at: float) -> Object:
        """A new object."""
        self._created += 1
        made = Object(f"ob{self._created:06x}", object_type_id, object_id, at)
        self.by_cio_object_id[made.cio_object_id] = made
        self._by_key[object_type_id, object_id] = made
        return made

    def oldest_over_limit(self) -> Object | None:
        """Which has to go, if there are more than are kept."""
        if len(self.by_cio_object_id) <= self._keep:
            return None
        return next(iter(self.by_cio_object_id.values()))

    def remove(self, found: Object) -> None:
        """Forgets an object."""
        self.by_cio_object_id.pop(found.cio_object_id, None)
        self._by_key.pop((found.object_type_id, found.object_id), None)

    def wait(self, anonymous_id: str, found: Object, attributes: dict[str, Any]) -> None:
        """Keeps a relationship for whoever is identified with the anonymous id."""
        self.anonymous.setdefault(anonymous_id, {})[found.cio_object_id] = attributes
        while len(self.anonymous) > self._keep:
            self.anonymous.popitem(last=False)
