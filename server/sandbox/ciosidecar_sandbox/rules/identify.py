"""identify: whom it reaches, what of it counts, and the attribute updates that fail behind a 200."""

from typing import Any

from ..attributes import update
from ..identifiers import Identifier, comparable, looks_like_email
from ..outcome import Effect, applied, dropped, partly
from ..people import Person
from ..workspace import Workspace
from .anonymous import join
from .finding import suppressed, unknown
from .relations import RelatedObject, relate, unrelate

_NAMES: tuple[str, ...] = ("id", "email", "cio_id")
FAILED = "attribute update failed: "


def identify(
    workspace: Workspace,
    who: Identifier,
    attributes: dict[str, Any],
    timestamp: Any = None,
    relationships: "list[RelatedObject] | None" = None,
    *,
    removes_relationships: bool = False,
) -> Effect:
    """Creates or updates a person.

    attributes: as sent, checked against the limits; this takes out what is no attribute.
    timestamp: of v2's operation; v1 has it among the attributes as _timestamp.
    """
    attributes = dict(attributes)
    only_existing = attributes.pop("_update", False) is True
    timestamp = attributes.pop("_timestamp", None) if timestamp is None else timestamp
    attributes.pop("cio_relationships", None)
    names = {kind: attributes.pop(kind) for kind in _NAMES if kind in attributes}
    found = _reach(workspace, who, names, only_existing=only_existing)
    if isinstance(found, Effect):
        return found
    person, losses = found
    remarks: list[str] = []
    at = workspace.time_of(timestamp, remarks)
    if attributes:
        lost, noted = update(person.attributes, person.set_at, attributes, at)
        losses += lost
        remarks += noted
        if "phone" in attributes:
            _take_phone(workspace, person)
        if "anonymous_id" in attributes:
            losses += join(workspace, person, attributes["anonymous_id"])
    if relationships:
        act = unrelate if removes_relationships else relate
        losses += act(workspace, person, relationships)
    if losses:
        return partly(person.cio_id, losses + remarks)
    return applied(person.cio_id, remarks)


def _reach(
    workspace: Workspace, who: Identifier, names: dict[str, Any], *, only_existing: bool
) -> tuple[Person, list[str]] | Effect:
    """The person, with the names they are given, and what of those was lost."""
    people = workspace.people
    if people.is_suppressed(who):
        return suppressed(who)
    losses: list[str] = []
    claimed = _claimed(names, losses)
    for name in claimed:
        if people.is_suppressed(name):
            return suppressed(name)
    person = people.find(who)
    if "cio_id" in names and (person is None or names["cio_id"] != person.cio_id):
        return dropped(FAILED + "the cio_id is not that of the person addressed")
    if person is None:
        reached = _reach_nobody(workspace, who, claimed, only_existing=only_existing)
        if isinstance(reached, Effect):
            return reached
        person = reached
    if names.get("id", "") is None:
        return dropped(FAILED + "an id cannot be removed", person.cio_id)
    for name in claimed:
        failure = _rename(workspace, person, who, name)
        if isinstance(failure, Effect):
            return failure
        losses += failure
    return person, losses


def _claimed(names: dict[str, Any], losses: list[str]) -> list[Identifier]:
    """The identifiers among the attributes that can be ones."""
    claimed = []
    if type(names.get("id")) is str:
        claimed.append(Identifier("id", names["id"]))
    if "email" in names:
        email = names["email"]
        if type(email) is str and looks_like_email(email):
            claimed.append(Identifier("email", email))
        else:
            losses.append(FAILED + "the email is not an address")
    return claimed


def _reach_nobody(
    workspace: Workspace, who: Identifier, claimed: list[Identifier], *, only_existing: bool
) -> Person | Effect:
    """The person for an identifier that nobody has yet: someone by another name, or someone new."""
    people = workspace.people
    if who.kind == "cio_id":
        return unknown(who)
    for name in claimed:
        if name.kind == who.kind:
            if comparable(name) != comparable(who):
                return dropped(FAILED + f"the {name} is not the one addressed")
            continue
        owner = people.find(name)
        if owner is None:
            continue
        if getattr(owner, who.kind) is not None:
            return dropped(FAILED + f"the {name} belongs to someone else", owner.cio_id)
        people.name(owner, who)
        return owner
    if only_existing:
        return dropped(f"_update creates nobody, and nobody has the {who}")
    return workspace.create_person(who)


def _rename(
    workspace: Workspace, person: Person, who: Identifier, name: Identifier
) -> list[str] | Effect:
    """Gives the person a name among the attributes, if that may be."""
    owner = workspace.people.find(name)
    if owner is person:
        return []
    if owner is not None:
        return dropped(FAILED + f"the {name} belongs to someone else", person.cio_id)
    if getattr(person, name.kind) is None or who.kind == "cio_id":
        workspace.people.name(person, name)
        return []
    failure = FAILED + f"an {name.kind}, once set, is changed by cio_id only"
    return dropped(failure, person.cio_id) if name.kind == "id" else [failure]


def _take_phone(workspace: Workspace, person: Person) -> None:
    """A phone is also an identifier of v2; of several people with one phone, the first has it."""
    phone = person.attributes.get("phone")
    if type(phone) is str:
        name = Identifier("phone", phone)
        if workspace.people.find(name) is None:
            workspace.people.name(person, name)
