"""The events of a workspace in order of arrival, and the anonymous events that wait for a person."""

import re
from collections import OrderedDict, deque
from typing import Any

from msgspec import Struct

from .sent_json import decode

MAX_DATA_BYTES_KEPT = 256 * 1024 * 1024
"""Limit of the data of all events together. Beyond it the oldest events are removed."""

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)


def is_ulid(text: str) -> bool:
    """Return True for a ULID, the only kind of event id by which Customer.io recognises repeats."""
    return _ULID.fullmatch(text) is not None


class Event(Struct, eq=False, gc=False):
    """One event, page or screen view."""

    number: int
    """Number of the event, from 1, in order of arrival."""
    at: float
    """Unix seconds of receipt."""
    timestamp: int
    """Unix seconds at which it happened."""
    kind: str
    """event, page, screen or form."""
    name: str
    data_json: bytes
    """JSON object, as sent."""
    id: str | None = None
    anonymous_id: str | None = None
    person: str | None = None
    """cio_id of the person; None for an anonymous event, and after the person was deleted."""

    @property
    def data(self) -> Any:
        """Return the decoded data, or its JSON text if it has numbers out of a double's range."""
        try:
            return decode(self.data_json)
        except ValueError:
            return self.data_json.decode()


class Events:
    """The latest events, and the ids of earlier ones."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.kept: deque[Event] = deque()
        """Events, oldest first."""
        self.received = 0
        self._bytes = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.waiting: dict[str, deque[Event]] = {}
        """Events that have no person yet, by anonymous id."""

    def is_repeat(self, event_id: str) -> bool:
        """Remember a ULID in any case; return True if an event with it came before."""
        key = event_id.upper()
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > self._keep:
            self._seen.popitem(last=False)
        return False

    def add(
        self, at: float, timestamp: int, kind: str, name: str, data_json: bytes
    ) -> tuple[Event, list[Event]]:
        """Add an event; return it and the oldest events, which were removed to make room."""
        self.received += 1
        event = Event(self.received, at, timestamp, kind, name, data_json)
        self.kept.append(event)
        self._bytes += len(data_json)
        removed = []
        while len(self.kept) > self._keep or self._bytes > MAX_DATA_BYTES_KEPT:
            oldest = self.kept.popleft()
            self._bytes -= len(oldest.data_json)
            if oldest.person is None and oldest.anonymous_id is not None:
                self._stop_waiting(oldest)
            removed.append(oldest)
        return event, removed

    def wait(self, event: Event, anonymous_id: str) -> None:
        """Keep an anonymous event for the person who is identified with the id."""
        event.anonymous_id = anonymous_id
        waiting = self.waiting.get(anonymous_id)
        if waiting is None:
            waiting = self.waiting[anonymous_id] = deque()
        waiting.append(event)

    def _stop_waiting(self, event: Event) -> None:
        waiting = self.waiting.get(event.anonymous_id or "")
        if waiting and waiting[0] is event:
            waiting.popleft()
            if not waiting:
                del self.waiting[event.anonymous_id or ""]

    def claim(self, anonymous_id: str) -> deque[Event]:
        """Return the events that wait for an anonymous id. They wait no longer."""
        return self.waiting.pop(anonymous_id, deque())
