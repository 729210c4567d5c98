"""The people of a workspace, by every identifier, and those who must not come back."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from .events import Event
from .identifiers import Identifier, comparable


class Device(Struct):
    """A phone that can be sent push messages."""

    token: str
    platform: str
    """ios or android."""
    last_used: int
    """Unix seconds."""
    attributes: dict[str, str]


class Person(Struct, eq=False):
    """One person. Events are a deque because the oldest go first."""

    cio_id: str
    """Customer.io's own identifier, without the cio_ that v1 paths need."""
    created: float
    """Unix seconds of receipt."""
    id: str | None = None
    email: str | None = None
    """As it was first written; compared without regard to case."""
    phone: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    set_at: dict[str, float] = field(default_factory=dict)
    """When each attribute was set, in Unix seconds as the sender says."""
    devices: dict[str, Device] = field(default_factory=dict)
    relationships: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By cio_object_id: the relationship's attributes."""
    segments: dict[int, None] = field(default_factory=dict)
    """The manual segments the person is in."""
    anonymous_ids: list[str] = field(default_factory=list)
    timeline: deque[Event] | None = None
    """Events, oldest first; None for none yet."""

    def events(self) -> deque[Event]:
        """The timeline to add to."""
        if self.timeline is None:
            self.timeline = deque()
        return self.timeline

    def identifiers(self) -> list[Identifier]:
        """All that the person is known by, comparable."""
        found = [Identifier("cio_id", self.cio_id)]
        for kind in ("id", "email", "phone"):
            value = getattr(self, kind)
            if value is not None:
                found.append(comparable(Identifier(kind, value)))
        return found


class People:
    """Everyone, oldest first."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.by_cio_id: OrderedDict[str, Person] = OrderedDict()
        self._known: dict[str, dict[str, Person]] = {"id": {}, "email": {}, "phone": {}}
        self.suppressed: OrderedDict[Identifier, tuple[Identifier, ...]] = OrderedDict()
        """What must not come back, each with all that was suppressed together with it."""
        self._created = 0

    def __len__(self) -> int:
        return len(self.by_cio_id)

    def __iter__(self) -> Iterator[Person]:
        return iter(self.by_cio_id.values())

    def find(self, who: Identifier) -> Person | None:
        """Whom an identifier belongs to."""
        if who.kind == "cio_id":
            return self.by_cio_id.get(who.value)
        value = who.value.lower() if who.kind == "email" else who.value
        return self._known[who.kind].get(value)

    def find_any(self, text: str) -> Person | None:
        """Whom a text names by any kind of identifier; a cio_id with or without its cio_."""
        for kind in ("id", "email", "phone"):
            found = self.find(Identifier(kind, text))
            if found is not None:
                return found
        return self.by_cio_id.get(text.removeprefix("cio_"))

    def is_suppressed(self, who: Identifier) -> bool:
        """Whether calls about this identifier are ignored."""
        return bool(self.suppressed) and comparable(who) in self.suppressed

    def create(self, at: float, *names: Identifier) -> Person:
        """A new person known by the given names, which nobody else has."""
        self._created += 1
        person = Person(f"{0x03000000 + self._created:08x}", at)
        self.by_cio_id[person.cio_id] = person
        for name in names:
            self.name(person, name)
        return person

    def name(self, person: Person, who: Identifier) -> None:
        """Gives a person an identifier in place of the one of that kind they had, if any."""
        old = getattr(person, who.kind)
        known = self._known[who.kind]
        if old is not None:
            known.pop(comparable(Identifier(who.kind, old)).value, None)
        setattr(person, who.kind, who.value)
        known[comparable(who).value] = person

    def oldest_over_limit(self) -> Person | None:
        """Who has to go, if there are more people than are kept."""
        if len(self.by_cio_id) <= self._keep:
            return None
        return next(iter(self.by_cio_id.values()))

    def remove(self, person: Person) -> None:
        """Forgets a person and frees their identifiers."""
        self.by_cio_id.pop(person.cio_id, None)
        for who in person.identifiers():
            known = self._known.get(who.kind)
            if known is not None and known.get(who.value) is person:
                del known[who.value]

    def suppress(self, names: list[Identifier]) -> None:
        """Lets none of these names come back."""
        together = tuple(map(comparable, names))
        for name in together:
            self.suppressed[name] = together
        while len(self.suppressed) > self._keep:
            self.suppressed.popitem(last=False)

    def unsuppress(self, who: Identifier) -> bool:
        """Frees a name, and those that were suppressed with it; False if it was free."""
        together = self.suppressed.get(comparable(who))
        for name in together or ():
            self.suppressed.pop(name, None)
        return together is not None

    def search(self, text: str) -> Iterator[Person]:
        """Newest first, those in whose identifiers or texts of attributes the text occurs."""
        wanted = text.casefold()
        for person in reversed(self.by_cio_id.values()):
            if not wanted or _mentions(person, wanted):
                yield person


def _mentions(person: Person, wanted: str) -> bool:
    for name in (person.id, person.email, person.phone, person.cio_id):
        if name is not None and wanted in name.casefold():
            return True
    return any(
        type(value) is str and wanted in value.casefold() for value in person.attributes.values()
    )
