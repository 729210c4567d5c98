"""Anonymous profiles: events and relationships wait until their id is identified."""

from typing import Any

from ..limits import MAX_ID_BYTES, longer_than
from ..people import Person
from ..workspace import Claim, Workspace
from .relations import connect

JOIN_AFTER_IDENTIFY_S = 300
"""Events that arrive later than this wait for another identify."""


def join(workspace: Workspace, person: Person, anonymous_id: Any) -> list[str]:
    """Give a person what waits for an anonymous id; return the reasons why that failed."""
    if anonymous_id is None or anonymous_id == "":
        return []
    if type(anonymous_id) is not str or longer_than(anonymous_id, MAX_ID_BYTES):
        return [f"anonymous_id is not a string of at most {MAX_ID_BYTES} bytes"]
    claim = workspace.claims.get(anonymous_id)
    now = workspace.clock()
    if claim is not None and claim.person != person.cio_id:
        return ["anonymous_id belongs to another person already, and cannot be reused"]
    if claim is None:
        workspace.claims[anonymous_id] = Claim(person.cio_id, now)
        if len(workspace.claims) > workspace.keep:
            workspace.claims.popitem(last=False)
        person.anonymous_ids.append(anonymous_id)
        del person.anonymous_ids[:-100]
    else:
        claim.at = now
    waiting = workspace.events.claim(anonymous_id)
    if waiting:
        workspace.give_all(person, waiting)
    for cio_object_id, attributes in workspace.objects.anonymous.pop(anonymous_id, {}).items():
        related = workspace.objects.by_cio_object_id.get(cio_object_id)
        if related is not None:
            connect(person, related, attributes)
    return []


def owner_now(workspace: Workspace, anonymous_id: str) -> Person | None:
    """Return the person who was identified with an anonymous id in the last 300 s, or None."""
    claim = workspace.claims.get(anonymous_id)
    if claim is None or workspace.clock() - claim.at > JOIN_AFTER_IDENTIFY_S:
        return None
    return workspace.people.by_cio_id.get(claim.person)
