"""The calls delete, suppress, unsuppress and merge."""

from collections import deque

from ..attributes import fill_gaps
from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped
from ..people import Person
from ..workspace import Workspace
from .finding import suppressed, unknown
from .relations import connect


def delete(workspace: Workspace, who: Identifier) -> Effect:
    """Delete a person. A later call creates the person again, without the old state."""
    person = workspace.people.find(who)
    if person is None:
        return suppressed(who) if workspace.people.is_suppressed(who) else unknown(who)
    workspace.remove_person(person)
    return applied(person.cio_id)


def suppress(workspace: Workspace, who: Identifier) -> Effect:
    """Delete a person and suppress all identifiers of the person, or `who` if no person has it."""
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
    """Free the identifiers. What was deleted stays deleted."""
    if not workspace.people.unsuppress(who):
        return dropped(f"the {who} is not suppressed")
    return applied()


def merge(workspace: Workspace, primary: Identifier, secondary: Identifier) -> Effect:
    """Move what the secondary person has to the primary, and delete the secondary.

    Attributes move where the primary has none. If one of the two does not exist, nothing changes.
    """
    remaining, merged = workspace.people.find(primary), workspace.people.find(secondary)
    if remaining is None:
        return _missing(workspace, "primary", primary, "")
    if merged is None:
        return _missing(workspace, "secondary", secondary, remaining.cio_id)
    if remaining is merged:
        return dropped("primary and secondary are the same person", remaining.cio_id)
    relationships, segments = dict(merged.relationships), list(merged.segments)
    events = merged.timeline or deque()
    merged.timeline = None
    workspace.remove_person(merged)
    fill_gaps(remaining.attributes, merged.attributes)
    _take_identifiers(workspace, remaining, merged)
    for token, device in merged.devices.items():
        remaining.devices.setdefault(token, device)
    for cio_object_id, attributes in relationships.items():
        related = workspace.objects.by_cio_object_id.get(cio_object_id)
        if related is not None and cio_object_id not in remaining.relationships:
            connect(remaining, related, attributes)
    for segment_id in segments:
        remaining.segments[segment_id] = None
        workspace.segments[segment_id][remaining.cio_id] = None
    if events:
        workspace.give_all(remaining, events)
    _take_claims(workspace, remaining, merged)
    return applied(remaining.cio_id)


def _missing(workspace: Workspace, side: str, who: Identifier, person: str) -> Effect:
    reason = "is suppressed" if workspace.people.is_suppressed(who) else "does not exist"
    return dropped(f"the {side} ({who}) {reason}", person)


def _take_identifiers(workspace: Workspace, remaining: Person, merged: Person) -> None:
    for name in merged.identifiers():
        if name.kind != "cio_id" and getattr(remaining, name.kind) is None:
            workspace.people.name(remaining, Identifier(name.kind, getattr(merged, name.kind)))


def _take_claims(workspace: Workspace, remaining: Person, merged: Person) -> None:
    for anonymous_id in merged.anonymous_ids:
        claim = workspace.claims.get(anonymous_id)
        if claim is not None:
            claim.person = remaining.cio_id
            remaining.anonymous_ids.append(anonymous_id)
