"""Whom a call reaches: somebody there, somebody new, or nobody and why."""

from ..identifiers import Identifier
from ..outcome import Effect, dropped
from ..people import Person
from ..workspace import Workspace


def find_or_create(workspace: Workspace, who: Identifier) -> Person | Effect:
    """The person, made by their first call if need be; an Effect if nobody can be reached."""
    person = workspace.people.find(who)
    if person is not None:
        return person
    if workspace.people.is_suppressed(who):
        return suppressed(who)
    if who.kind == "cio_id":
        return unknown(who)
    return workspace.create_person(who)


def suppressed(who: Identifier) -> Effect:
    """Calls about a suppressed identifier are ignored."""
    return dropped(f"{who} is suppressed")


def unknown(who: Identifier) -> Effect:
    """Nobody has the identifier, and this call makes nobody."""
    hint = ""
    if who.kind == "cio_id" and who.value.startswith("cio_"):
        hint = "; in v2 a cio_id is given without its cio_"
    return dropped(f"nobody has the {who}{hint}")
