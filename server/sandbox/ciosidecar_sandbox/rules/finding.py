"""The person that a call concerns: an existing profile, a new one, or none and the reason."""

from ..identifiers import Identifier
from ..outcome import Effect, dropped
from ..people import Person
from ..workspace import Workspace


def find_or_create(workspace: Workspace, who: Identifier) -> Person | Effect:
    """Return the person with an identifier, created if necessary; an Effect if that is impossible."""
    person = workspace.people.find(who)
    if person is not None:
        return person
    if workspace.people.is_suppressed(who):
        return suppressed(who)
    if who.kind == "cio_id":
        return unknown(who)
    return workspace.create_person(who)


def suppressed(who: Identifier) -> Effect:
    """Return the effect of a call about a suppressed identifier: it is ignored."""
    return dropped(f"{who} is suppressed")


def unknown(who: Identifier) -> Effect:
    """Return the effect of a call that needs an existing person and has none."""
    hint = ""
    if who.kind == "cio_id" and who.value.startswith("cio_"):
        hint = "; in v2 a cio_id is sent without cio_"
    return dropped(f"no person has the {who}{hint}")
