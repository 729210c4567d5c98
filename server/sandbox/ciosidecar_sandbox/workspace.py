"""The state of a workspace and the limits of its size. The effects of calls are in rules/."""

import time
from asyncio import Queue
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from msgspec import Struct

from .arrivals import Arrivals
from .events import Event, Events
from .identifiers import Identifier
from .limits import usable_time
from .objects import Object, Objects
from .people import People, Person
from .request_log import LogRow, RequestLog

DEFAULT_KEEP = 100_000


class Claim(Struct, gc=False):
    """The person who has an anonymous id. No other person can get the same id later."""

    person: str
    """cio_id."""
    at: float
    """Unix seconds of the latest identify with the id."""


class Form(Struct, gc=False):
    """A form connection. The first submission creates it."""

    form_id: str
    submissions: int = 0


class Metric(Struct, frozen=True, gc=False):
    """What happened to a sent message, as reported by a call."""

    at: float
    """Unix seconds of receipt."""
    timestamp: int
    delivery_id: str
    metric: str
    """opened, clicked, …"""
    recipient: str
    """An email, id or device token; "" if the report has none."""


class Workspace:
    """One workspace in memory. Only one event loop may use it."""

    def __init__(
        self,
        keep: int = DEFAULT_KEEP,
        clock: Callable[[], float] = time.time,
        *,
        arrivals_bytes: int | None = None,
    ) -> None:
        self.keep = keep
        self.clock = clock
        self._arrivals_bytes = arrivals_bytes
        self.log = RequestLog(keep)
        self._begin()

    def _begin(self) -> None:
        self.people = People(self.keep)
        self.events = Events(self.keep)
        self.objects = Objects(self.keep)
        self.claims: OrderedDict[str, Claim] = OrderedDict()
        """Claims by anonymous id."""
        self.segments: OrderedDict[int, dict[str, None]] = OrderedDict()
        """Manual segments by id, each with the cio_ids of its people."""
        self.forms: OrderedDict[str, Form] = OrderedDict()
        self.metrics: deque[Metric] = deque(maxlen=self.keep)
        most = self._arrivals_bytes
        self.arrivals = None if most is None else Arrivals(self.keep, most)
        """Every arrival of an operation; None unless the sandbox keeps them."""
        self.forgotten = 0
        """Number of people that were removed because there were more than `keep`."""

    def reset(self) -> None:
        """Remove everything, counts and log included. Subscribers stay."""
        self._begin()
        self.log.clear()

    def subscribe(self) -> AbstractContextManager[Queue[LogRow]]:
        """Return a queue that receives every new row of the log until the block ends."""
        return self.log.subscribe()

    def time_of(self, timestamp: Any, remarks: list[str]) -> int:
        """Return a root timestamp in Unix seconds, or now if it is absent or unusable.

        Args:
            timestamp: The timestamp as sent, None if absent.
            remarks: Receives a remark if the timestamp is unusable.
        """
        if timestamp is None:
            return int(self.clock())
        seconds = usable_time(timestamp)
        if seconds is None:
            remarks.append("the timestamp is not in Unix seconds, so the current time is used")
            return int(self.clock())
        return seconds

    def create_person(self, *names: Identifier) -> Person:
        """Create a person, and remove the oldest person if there are more than `keep`."""
        person = self.people.create(self.clock(), *names)
        oldest = self.people.oldest_over_limit()
        if oldest is not None:
            self.forgotten += 1
            self.remove_person(oldest)
        return person

    def remove_person(self, person: Person) -> None:
        """Delete a person. The events stay in the list of all events, without a person."""
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
        """Create an object, and remove the oldest object if there are more than `keep`."""
        created = self.objects.create(object_type_id, object_id, self.clock())
        oldest = self.objects.oldest_over_limit()
        if oldest is not None:
            self.remove_object(oldest)
        return created

    def remove_object(self, removed: Object) -> None:
        """Delete an object and its relationships."""
        self.objects.remove(removed)
        for cio_id in removed.people:
            person = self.people.by_cio_id.get(cio_id)
            if person is not None:
                person.relationships.pop(removed.cio_object_id, None)

    def add_event(self, timestamp: int, kind: str, name: str, data_json: bytes) -> Event:
        """Add an event that has no person yet, and remove the oldest events if there are too many."""
        event, removed = self.events.add(self.clock(), timestamp, kind, name, data_json)
        for oldest in removed:
            if oldest.person is not None:
                owner = self.people.by_cio_id.get(oldest.person)
                if owner is not None and owner.timeline and owner.timeline[0] is oldest:
                    owner.timeline.popleft()
        return event

    def give(self, person: Person, event: Event) -> None:
        """Append a new event to a person's timeline."""
        event.person = person.cio_id
        person.events().append(event)

    def give_all(self, person: Person, events: deque[Event]) -> None:
        """Insert events into a person's timeline, which stays in order of arrival."""
        for event in events:
            event.person = person.cio_id
        merged = sorted((*(person.timeline or ()), *events), key=lambda event: event.number)
        person.timeline = deque(merged)

    def counters(self) -> dict[str, Any]:
        """Return the number of everything in the workspace, and of calls by kind."""
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
