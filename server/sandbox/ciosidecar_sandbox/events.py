"""All events: each once, in order of arrival, and the anonymous ones that wait for somebody."""

import re
from collections import OrderedDict, deque
from typing import Any

from msgspec import Struct
from msgspec.json import decode

MAX_DATA_BYTES_KEPT = 256 * 1024 * 1024
"""Bytes of data of all events together; beyond that the oldest go."""

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)


def is_ulid(text: str) -> bool:
    """Whether an event's id is one Customer.io says it recognises repeats by."""
    return _ULID.fullmatch(text) is not None


class Event(Struct, eq=False, gc=False):
    """One event, page or screen view."""

    number: int
    """Counts events, from 1, in order of arrival."""
    at: float
    """Unix seconds of receipt."""
    timestamp: int
    """Unix seconds at which it happened."""
    kind: str
    """event, page, screen or form."""
    name: str
    data_json: bytes
    """An object, as sent."""
    id: str | None = None
    anonymous_id: str | None = None
    person: str | None = None
    """cio_id of whose it is; None while it is anonymous, or once they are deleted."""

    @property
    def data(self) -> Any:
        """The object, read; its text if it holds numbers no double can."""
        try:
            return decode(self.data_json)
        except ValueError:
            return self.data_json.decode()


class Events:
    """The latest events, and the ids of those that came before."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.kept: deque[Event] = deque()
        """Oldest first."""
        self.received = 0
        self._bytes = 0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.waiting: dict[str, deque[Event]] = {}
        """By anonymous id: events that belong to nobody yet."""

    def is_repeat(self, event_id: str) -> bool:
        """Whether an event with this ULID came before; remembers it. Any case is the same."""
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
        """A new event, and the oldest ones that had to go for it."""
        self.received += 1
        event = Event(self.received, at, timestamp, kind, name, data_json)
        self.kept.append(event)
        self._bytes += len(data_json)
        gone = []
        while len(self.kept) > self._keep or self._bytes > MAX_DATA_BYTES_KEPT:
            oldest = self.kept.popleft()
            self._bytes -= len(oldest.data_json)
            if oldest.person is None and oldest.anonymous_id is not None:
                self._stop_waiting(oldest)
            gone.append(oldest)
        return event, gone

    def wait(self, event: Event, anonymous_id: str) -> None:
        """Keeps an anonymous event for whoever is identified with the id."""
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
        """The events that waited for somebody with the id; they wait no longer."""
        return self.waiting.pop(anonymous_id, deque())
