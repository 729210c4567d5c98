"""A workspace: all that is kept, and what keeps it bounded. What calls do to it is in rules/."""

import time
from asyncio import Queue
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from msgspec import Struct

from .events import Event, Events
from .identifiers import Identifier
from .limits import usable_time
from .objects import Object, Objects
from .people import People, Person
from .request_log import LogRow, RequestLog

DEFAULT_KEEP = 100_000


class Claim(Struct, gc=False):
    """Whose an anonymous id is: it cannot be anyone else's again."""

    person: str
    """cio_id."""
    at: float
    """Unix seconds of the identify that said so last."""


class Form(Struct, gc=False):
    """A form connection, made by the first submission."""

    form_id: str
    submissions: int = 0


class Metric(Struct, frozen=True, gc=False):
    """A message's fate, as reported from outside."""

    at: float
    """Unix seconds of receipt."""
    timestamp: int
    delivery_id: str
    metric: str
    """opened, clicked, …"""
    recipient: str
    """An email, id or device token; "" if not said."""


class Workspace:
    """One workspace in memory. Not for several threads at once: one event loop owns it."""

    def __init__(self, keep: int = DEFAULT_KEEP, clock: Callable[[], float] = time.time) -> None:
        self.keep = keep
        self.clock = clock
        self.log = RequestLog(keep)
        self._begin()

    def _begin(self) -> None:
        self.people = People(self.keep)
        self.events = Events(self.keep)
        self.objects = Objects(self.keep)
        self.claims: OrderedDict[str, Claim] = OrderedDict()
        """By anonymous id."""
        self.segments: OrderedDict[int, dict[str, None]] = OrderedDict()
        """Manual segments by id: the cio_ids in them."""
        self.forms: OrderedDict[str, Form] = OrderedDict()
        self.metrics: deque[Metric] = deque(maxlen=self.keep)
        self.forgotten = 0
        """People that were forgotten because there are more than are kept."""

    def reset(self) -> None:
        """Forgets everything, counts and log included; subscribers stay."""
        self._begin()
        self.log.clear()

    def subscribe(self) -> AbstractContextManager[Queue[LogRow]]:
        """A queue that gets every row of the log from now on, until the block ends."""
        return self.log.subscribe()

    def time_of(self, timestamp: Any, remarks: list[str]) -> int:
        """Unix seconds of a root timestamp: now if it is absent, and now if it is unusable."""
        if timestamp is None:
            return int(self.clock())
        found = usable_time(timestamp)
        if found is None:
            remarks.append("the timestamp is not in Unix seconds, so now was taken")
            return int(self.clock())
        return found

    def create_person(self, *names: Identifier) -> Person:
        """A new person; the oldest one goes if there are too many."""
        person = self.people.create(self.clock(), *names)
        oldest = self.people.oldest_over_limit()
        if oldest is not None:
            self.forgotten += 1
            self.remove_person(oldest)
        return person

    def remove_person(self, person: Person) -> None:
        """Deletes a person; their events stay in the list of all, as nobody's."""
        self.people.remove(person)
        for event in person.timeline or ():
            event.person = None
        for cio_object_id in person.relationships:
            related = self.objects.by_cio_object_id.get(cio_object_id)
            if related is not None:
                related.people.pop(person.cio_id, None)
        for segment_id in person.segments:
            self.segments[segment_id].pop(person.cio_id, None)

    def create_object(self, object_type_id: str, object_id: str) -> Object:
        """A new object; the oldest one goes if there are too many."""
        made = self.objects.create(object_type_id, object_id, self.clock())
        oldest = self.objects.oldest_over_limit()
        if oldest is not None:
            self.remove_object(oldest)
        return made

    def remove_object(self, found: Object) -> None:
        """Deletes an object and its relationships."""
        self.objects.remove(found)
        for cio_id in found.people:
            person = self.people.by_cio_id.get(cio_id)
            if person is not None:
                person.relationships.pop(found.cio_object_id, None)

    def add_event(self, timestamp: int, kind: str, name: str, data_json: bytes) -> Event:
        """A new event that is nobody's yet; the oldest go if there are too many."""
        event, gone = self.events.add(self.clock(), timestamp, kind, name, data_json)
        for oldest in gone:
            if oldest.person is not None:
                owner = self.people.by_cio_id.get(oldest.person)
                if owner is not None and owner.timeline and owner.timeline[0] is oldest:
                    owner.timeline.popleft()
        return event

    def give(self, person: Person, event: Event) -> None:
        """Puts an event that has just arrived into a person's timeline."""
        event.person = person.cio_id
        person.events().append(event)

    def give_all(self, person: Person, events: deque[Event]) -> None:
        """Puts events into a person's timeline, which stays in order of arrival."""
        for event in events:
            event.person = person.cio_id
        merged = sorted((*(person.timeline or ()), *events), key=lambda event: event.number)
        person.timeline = deque(merged)

    def counters(self) -> dict[str, Any]:
        """How many there are of everything, and how many calls there were of each kind."""
        return {
            "people": len(self.people),
            "people_forgotten": self.forgotten,
            "suppressed": len(self.people.suppressed),
            "objects": len(self.objects),
            "events": len(self.events.kept),
            "events_received": self.events.received,
            "anonymous_ids_waiting": len(self.events.waiting),
            "segments": len(self.segments),
            "forms": len(self.forms),
            "metrics": len(self.metrics),
            "requests": self.log.requests,
            "operations": self.log.written,
            "by_outcome": dict(self.log.by_outcome),
            "by_call": dict(self.log.by_call),
            "by_status": {str(status): count for status, count in self.log.by_status.items()},
            "by_fault": dict(self.log.by_fault),
        }
