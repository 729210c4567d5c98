"""The people of a workspace by their identifiers, and the suppressed identifiers."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from .events import Event
from .identifiers import Identifier, comparable


class Device(Struct):
    """A device that receives push messages."""

    token: str
    platform: str
    """ios or android."""
    last_used: int
    """Unix seconds."""
    attributes: dict[str, str]


class Person(Struct, eq=False):
    """One person."""

    cio_id: str
    """Customer.io's own identifier, without the prefix cio_ that v1 paths need."""
    created: float
    """Unix seconds of receipt."""
    id: str | None = None
    email: str | None = None
    """Email as first sent. It is compared without regard to case."""
    phone: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    set_at: dict[str, float] = field(default_factory=dict)
    """When each attribute was set, in Unix seconds of the request's timestamp."""
    devices: dict[str, Device] = field(default_factory=dict)
    relationships: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Attributes of relationships by cio_object_id."""
    segments: dict[int, None] = field(default_factory=dict)
    """Ids of the manual segments that the person is in."""
    anonymous_ids: list[str] = field(default_factory=list)
    timeline: deque[Event] | None = None
    """Events, oldest first, because the oldest are removed first; None if there were none."""

    def events(self) -> deque[Event]:
        """Return the timeline, and create it if there is none."""
        if self.timeline is None:
            self.timeline = deque()
        return self.timeline

    def identifiers(self) -> list[Identifier]:
        """Return the person's identifiers, in the form for comparison."""
        identifiers = [Identifier("cio_id", self.cio_id)]
        for kind in ("id", "email", "phone"):
            value = getattr(self, kind)
            if value is not None:
                identifiers.append(comparable(Identifier(kind, value)))
        return identifiers


class People:
    """All people, oldest first."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.by_cio_id: OrderedDict[str, Person] = OrderedDict()
        self._known: dict[str, dict[str, Person]] = {"id": {}, "email": {}, "phone": {}}
        self.suppressed: OrderedDict[Identifier, tuple[Identifier, ...]] = OrderedDict()
        """Suppressed identifiers, each with those that were suppressed together with it."""
        self._created = 0

    def __len__(self) -> int:
        return len(self.by_cio_id)

    def __iter__(self) -> Iterator[Person]:
        return iter(self.by_cio_id.values())

    def find(self, who: Identifier) -> Person | None:
        """Return the person with an identifier; None if there is none."""
        if who.kind == "cio_id":
            return self.by_cio_id.get(who.value)
        value = who.value.lower() if who.kind == "email" else who.value
        return self._known[who.kind].get(value)

    def find_any(self, text: str) -> Person | None:
        """Return the person with an identifier of any kind; a cio_id may start with cio_."""
        for kind in ("id", "email", "phone"):
            person = self.find(Identifier(kind, text))
            if person is not None:
                return person
        return self.by_cio_id.get(text.removeprefix("cio_"))

    def is_suppressed(self, who: Identifier) -> bool:
        """Return True if calls about an identifier are ignored."""
        return bool(self.suppressed) and comparable(who) in self.suppressed

    def create(self, at: float, *names: Identifier) -> Person:
        """Create a person with identifiers that no other person has."""
        self._created += 1
        person = Person(f"{0x03000000 + self._created:08x}", at)
        self.by_cio_id[person.cio_id] = person
        for name in names:
            self.name(person, name)
        return person

    def name(self, person: Person, who: Identifier) -> None:
        """Set a person's identifier of a kind. It replaces an earlier identifier of that kind."""
        old = getattr(person, who.kind)
        known = self._known[who.kind]
        if old is not None:
            known.pop(comparable(Identifier(who.kind, old)).value, None)
        setattr(person, who.kind, who.value)
        known[comparable(who).value] = person

    def oldest_over_limit(self) -> Person | None:
        """Return the oldest person if there are more than may be kept, else None."""
        if len(self.by_cio_id) <= self._keep:
            return None
        return next(iter(self.by_cio_id.values()))

    def remove(self, person: Person) -> None:
        """Remove a person and free the person's identifiers."""
        self.by_cio_id.pop(person.cio_id, None)
        for who in person.identifiers():
            known = self._known.get(who.kind)
            if known is not None and known.get(who.value) is person:
                del known[who.value]

    def suppress(self, names: list[Identifier]) -> None:
        """Suppress identifiers together."""
        together = tuple(map(comparable, names))
        for name in together:
            self.suppressed[name] = together
        while len(self.suppressed) > self._keep:
            self.suppressed.popitem(last=False)

    def unsuppress(self, who: Identifier) -> bool:
        """Free an identifier and those suppressed with it; return False if it was not suppressed."""
        together = self.suppressed.get(comparable(who))
        for name in together or ():
            self.suppressed.pop(name, None)
        return together is not None

    def search(self, text: str) -> Iterator[Person]:
        """Return the people with a text in an identifier or a string attribute, newest first."""
        folded = text.casefold()
        for person in reversed(self.by_cio_id.values()):
            if not folded or _mentions(person, folded):
                yield person


def _mentions(person: Person, folded: str) -> bool:
    for name in (person.id, person.email, person.phone, person.cio_id):
        if name is not None and folded in name.casefold():
            return True
    return any(
        type(value) is str and folded in value.casefold() for value in person.attributes.values()
    )
