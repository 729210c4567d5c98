"""The data of each page, taken from the workspace one page at a time, without HTML."""

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
"""Number of the latest events whose names the filter suggests."""

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """One page of a list."""

    items: list[T]
    more: bool
    """True if further items follow."""


def take(items: Iterable[T], offset: int = 0) -> Page[T]:
    """Return one page of the items, without iterating over the rest."""
    page = list(islice(items, offset, offset + PAGE_SIZE + 1))
    return Page(page[:PAGE_SIZE], len(page) > PAGE_SIZE)


class LogFilter(NamedTuple):
    """A filter of the log's rows."""

    outcome: str = ""
    """A member of Outcome; "" for all."""
    person: str = ""
    """cio_id of the person that the operation concerned; "" for all."""

    def matches(self, row: LogRow) -> bool:
        """Return True if the filter lets a row pass."""
        return (not self.outcome or row.outcome == self.outcome) and (
            not self.person or row.person == self.person
        )


def log_filter(outcome: str, person: str) -> LogFilter:
    """Return the filter of a query. An unknown outcome counts as none."""
    return LogFilter(outcome if outcome in list(Outcome) else "", person)


def log_page(workspace: Workspace, row_filter: LogFilter, before: int | None) -> Page[LogRow]:
    """Return a page of the log, newest first."""
    rows = workspace.log.newest_first(before)
    return take(filter(row_filter.matches, rows) if any(row_filter) else rows)


def log_row(workspace: Workspace, number: int) -> LogRow | None:
    """Return a row; None if it was removed or does not exist yet."""
    row = next(workspace.log.newest_first(number + 1), None)
    return row if row is not None and row.number == number else None


def same_request(workspace: Workspace, row: LogRow) -> Page[LogRow]:
    """Return the other rows of a row's batch in their order, up to one page."""
    if row.batch_index is None:
        return Page([], more=False)
    first = row.number - row.batch_index
    start = max(first, row.number - PAGE_SIZE // 2)
    rows = islice(workspace.log.newest_first(start + PAGE_SIZE + 1), PAGE_SIZE + 1)
    siblings = [
        sibling for sibling in rows if sibling.request == row.request and sibling is not row
    ]
    return Page(siblings[::-1], len(siblings) >= PAGE_SIZE)


def is_excerpt(row: LogRow) -> bool:
    """Return True if a row may have only the beginning of its body."""
    return len(row.body.encode()) >= MAX_EXCERPT_BYTES


def event_page(events: Reversible[Event], name: str, before: int | None) -> Page[Event]:
    """Return a page of events, newest first.

    Args:
        events: The events to choose from, oldest first.
        name: A part of the events' names, in any case; "" for all.
        before: Only events with a lower number; None for all.
    """
    folded = name.casefold()
    return take(
        event
        for event in reversed(events)
        if (before is None or event.number < before)
        and (not folded or folded in event.name.casefold())
    )


def event(workspace: Workspace, number: int) -> Event | None:
    """Return an event; None if it was removed or does not exist yet."""
    latest = workspace.events.kept
    index = number - latest[0].number if latest else -1
    return latest[index] if 0 <= index < len(latest) else None


def event_names(workspace: Workspace) -> list[str]:
    """Return the names of the latest events, which the filter suggests."""
    latest = islice(reversed(workspace.events.kept), MAX_NAMES_FROM)
    return sorted({event_.name for event_ in latest}, key=str.casefold)[:PAGE_SIZE]


def objects(workspace: Workspace, object_type_id: str) -> Iterator[Object]:
    """Return the objects of a type, or all for "", newest first."""
    for object_ in reversed(workspace.objects.by_cio_object_id.values()):
        if not object_type_id or object_.object_type_id == object_type_id:
            yield object_


def related_objects(
    workspace: Workspace, person: Person
) -> Iterator[tuple[Object, dict[str, Any]]]:
    """Return a person's objects, each with the attributes of the relationship."""
    for cio_object_id, attributes in person.relationships.items():
        related = workspace.objects.by_cio_object_id.get(cio_object_id)
        if related is not None:
            yield related, attributes


def related_people(
    workspace: Workspace, related: Object
) -> Iterator[tuple[Person, dict[str, Any]]]:
    """Return an object's people, each with the attributes of the relationship."""
    for cio_id, attributes in related.people.items():
        person = workspace.people.by_cio_id.get(cio_id)
        if person is not None:
            yield person, attributes


def named_person(workspace: Workspace, query: Callable[[str], str | None]) -> Person | str | None:
    """Return the person that the parameter id, email, phone or cio_id of a query names.

    Returns:
        The person; the identifier as text if no person has it; None without such a parameter.
    """
    for kind in ("id", "email", "phone", "cio_id"):
        value = query(kind)
        if value is not None:
            text = value.removeprefix("cio_") if kind == "cio_id" else value
            return workspace.people.find(Identifier(kind, text)) or f"{kind} {value}"
    return None


def person_title(person: Person) -> str:
    """Return a person's name in headings and links."""
    return person.email or person.id or person.phone or person.cio_id


def frame(workspace: Workspace, faults: Faults) -> dict[str, Any]:
    """Return what every page shows: the counters, and the faults in force."""
    log = workspace.log
    return {
        "counters": {
            "people": len(workspace.people),
            "objects": len(workspace.objects),
            "events": len(workspace.events.kept),
            "requests": log.requests,
            "operations": log.written,
            **{outcome.value: log.by_outcome[outcome] for outcome in Outcome},
        },
        "faults": faults.spec if faults.any else "",
        "injected": log.by_fault.total(),
    }
