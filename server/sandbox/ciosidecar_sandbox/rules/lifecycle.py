"""The end of people: delete, suppress, unsuppress, merge."""

from collections import deque

from ..attributes import fill_gaps
from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped
from ..people import Person
from ..workspace import Workspace
from .finding import suppressed, unknown
from .relations import connect


def delete(workspace: Workspace, who: Identifier) -> Effect:
    """Deletes a person; a later call brings them back, without what they had."""
    person = workspace.people.find(who)
    if person is None:
        return suppressed(who) if workspace.people.is_suppressed(who) else unknown(who)
    workspace.remove_person(person)
    return applied(person.cio_id)


def suppress(workspace: Workspace, who: Identifier) -> Effect:
    """Deletes a person and blocks all their identifiers, or the one given if nobody has it."""
    person = workspace.people.find(who)
    if person is None:
        if who.kind == "cio_id":
            return unknown(who)
        workspace.people.suppress([who])
        return applied()
    workspace.people.suppress(person.identifiers())
    workspace.remove_person(person)
    return applied(person.cio_id)


def unsuppress(workspace: Workspace, who: Identifier) -> Effect:
    """Lets the identifiers come back; what was deleted stays deleted."""
    if not workspace.people.unsuppress(who):
        return dropped(f"the {who} is not suppressed")
    return applied()


def merge(workspace: Workspace, primary: Identifier, secondary: Identifier) -> Effect:
    """Moves what the secondary has to the primary, fills gaps, and deletes the secondary.

    Does nothing unless both exist.
    """
    kept, gone = workspace.people.find(primary), workspace.people.find(secondary)
    if kept is None:
        return _missing(workspace, "primary", primary, "")
    if gone is None:
        return _missing(workspace, "secondary", secondary, kept.cio_id)
    if kept is gone:
        return dropped("primary and secondary are the same person", kept.cio_id)
    relationships, segments = dict(gone.relationships), list(gone.segments)
    names = gone.identifiers()
    events = gone.timeline or deque()
    gone.timeline = None
    workspace.remove_person(gone)
    fill_gaps(kept.attributes, gone.attributes)
    for name in names:
        if name.kind != "cio_id" and getattr(kept, name.kind) is None:
            workspace.people.name(kept, Identifier(name.kind, getattr(gone, name.kind)))
    for token, device in gone.devices.items():
        kept.devices.setdefault(token, device)
    for cio_object_id, attributes in relationships.items():
        related = workspace.objects.by_cio_object_id.get(cio_object_id)
        if related is not None and cio_object_id not in kept.relationships:
            connect(kept, related, attributes)
    for segment_id in segments:
        kept.segments[segment_id] = None
        workspace.segments[segment_id][kept.cio_id] = None
    if events:
        workspace.give_all(kept, events)
    _take_claims(workspace, kept, gone)
    return applied(kept.cio_id)


def _missing(workspace: Workspace, side: str, who: Identifier, person: str) -> Effect:
    reason = "is suppressed" if workspace.people.is_suppressed(who) else "does not exist"
    return dropped(f"the {side} ({who}) {reason}", person)


def _take_claims(workspace: Workspace, kept: Person, gone: Person) -> None:
    for anonymous_id in gone.anonymous_ids:
        claim = workspace.claims.get(anonymous_id)
        if claim is not None:
            claim.person = kept.cio_id
            kept.anonymous_ids.append(anonymous_id)
