"""What each page shows, taken from the workspace a screenful at a time. No HTML in here."""

from collections.abc import Callable, Iterable, Iterator, Reversible
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from ..events import Event
from ..faults import Faults
from ..identifiers import Identifier
from ..objects import Object
from ..outcome import Outcome
from ..people import Person
from ..request_log import MAX_EXCERPT_BYTES, LogRow
from ..workspace import Workspace

PAGE_SIZE = 50
MAX_NAMES_FROM = 1000
"""Latest events whose names the filter suggests."""

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A screenful."""

    items: list[T]
    more: bool
    """Whether there is anything after these."""


def take(found: Iterable[T], offset: int = 0) -> Page[T]:
    """A screenful of what is found, without looking at what comes after."""
    items = list(islice(found, offset, offset + PAGE_SIZE + 1))
    return Page(items[:PAGE_SIZE], len(items) > PAGE_SIZE)


class LogFilter(NamedTuple):
    """Which rows of the log are wanted."""

    outcome: str = ""
    """One of Outcome; "" for all."""
    person: str = ""
    """cio_id of the person reached; "" for all."""

    def takes(self, row: LogRow) -> bool:
        """Whether a row is among them."""
        return (not self.outcome or row.outcome == self.outcome) and (
            not self.person or row.person == self.person
        )


def log_filter(outcome: str, person: str) -> LogFilter:
    """The filter of a query; an outcome there is not counts as none."""
    return LogFilter(outcome if outcome in list(Outcome) else "", person)


def log_page(workspace: Workspace, wanted: LogFilter, before: int | None) -> Page[LogRow]:
    """Rows of the log, newest first."""
    rows = workspace.log.newest_first(before)
    return take(filter(wanted.takes, rows) if any(wanted) else rows)


def log_row(workspace: Workspace, number: int) -> LogRow | None:
    """One row; None if it is gone or not yet there."""
    row = next(workspace.log.newest_first(number + 1), None)
    return row if row is not None and row.number == number else None


def same_request(workspace: Workspace, row: LogRow) -> Page[LogRow]:
    """The other rows of a row's batch, in its order, as far as a screenful goes."""
    if row.batch_index is None:
        return Page([], more=False)
    first = row.number - row.batch_index
    start = max(first, row.number - PAGE_SIZE // 2)
    rows = islice(workspace.log.newest_first(start + PAGE_SIZE + 1), PAGE_SIZE + 1)
    found = [one for one in rows if one.request == row.request and one is not row]
    return Page(found[::-1], len(found) >= PAGE_SIZE)


def is_excerpt(row: LogRow) -> bool:
    """Whether a row has the beginning of its body only."""
    return len(row.body.encode()) >= MAX_EXCERPT_BYTES


def event_page(events: Reversible[Event], name: str, before: int | None) -> Page[Event]:
    """Events out of those given (oldest first), newest first; name: a part of it in any case."""
    wanted = name.casefold()
    return take(
        event
        for event in reversed(events)
        if (before is None or event.number < before)
        and (not wanted or wanted in event.name.casefold())
    )


def event(workspace: Workspace, number: int) -> Event | None:
    """One event; None if it is gone or not yet there."""
    kept = workspace.events.kept
    index = number - kept[0].number if kept else -1
    return kept[index] if 0 <= index < len(kept) else None


def event_names(workspace: Workspace) -> list[str]:
    """Names of the latest events, for the filter to suggest."""
    latest = islice(reversed(workspace.events.kept), MAX_NAMES_FROM)
    return sorted({one.name for one in latest}, key=str.casefold)[:PAGE_SIZE]


def objects(workspace: Workspace, object_type_id: str) -> Iterator[Object]:
    """Objects of a type, or all for "", newest first."""
    for one in reversed(workspace.objects.by_cio_object_id.values()):
        if not object_type_id or one.object_type_id == object_type_id:
            yield one


def related_objects(
    workspace: Workspace, person: Person
) -> Iterator[tuple[Object, dict[str, Any]]]:
    """A person's objects, each with the relationship's attributes."""
    for cio_object_id, attributes in person.relationships.items():
        found = workspace.objects.by_cio_object_id.get(cio_object_id)
        if found is not None:
            yield found, attributes


def related_people(workspace: Workspace, found: Object) -> Iterator[tuple[Person, dict[str, Any]]]:
    """An object's people, each with the relationship's attributes."""
    for cio_id, attributes in found.people.items():
        person = workspace.people.by_cio_id.get(cio_id)
        if person is not None:
            yield person, attributes


def named_person(workspace: Workspace, query: Callable[[str], str | None]) -> Person | str | None:
    """Whom ?id=, ?email=, ?phone= or ?cio_id= names; the text if that is nobody; None if none is there."""
    for kind in ("id", "email", "phone", "cio_id"):
        value = query(kind)
        if value is not None:
            text = value.removeprefix("cio_") if kind == "cio_id" else value
            return workspace.people.find(Identifier(kind, text)) or f"{kind} {value}"
    return None


def person_title(person: Person) -> str:
    """What a person is called in headings and links."""
    return person.email or person.id or person.phone or person.cio_id


def frame(workspace: Workspace, faults: Faults) -> dict[str, Any]:
    """What is around every page: the counters, and the faults that are on."""
    log = workspace.log
    return {
        "counters": {
            "people": len(workspace.people),
            "objects": len(workspace.objects),
            "events": len(workspace.events.kept),
            "requests": log.requests,
            **{outcome.value: log.by_outcome[outcome] for outcome in Outcome},
        },
        "faults": faults.spec if faults.any else "",
        "injected": log.by_fault.total(),
    }
