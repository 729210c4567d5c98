"""The call identify, including the attribute updates that fail although it returns 200."""

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
    """Create or update a person.

    Args:
        workspace: The workspace to change.
        who: The identifier of the call.
        attributes: The attributes as sent, already checked against the limits. Members that are
            no attributes, as _update, are taken out.
        timestamp: The timestamp of a v2 operation. In v1 it is the attribute _timestamp.
        relationships: Objects to relate to the person.
        removes_relationships: Remove the relationships instead.
    """
    attributes = dict(attributes)
    only_existing = attributes.pop("_update", False) is True
    timestamp = attributes.pop("_timestamp", None) if timestamp is None else timestamp
    attributes.pop("cio_relationships", None)
    names = {kind: attributes.pop(kind) for kind in _NAMES if kind in attributes}
    person_and_losses = _find_or_create(workspace, who, names, only_existing=only_existing)
    if isinstance(person_and_losses, Effect):
        return person_and_losses
    person, losses = person_and_losses
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


def _find_or_create(
    workspace: Workspace, who: Identifier, names: dict[str, Any], *, only_existing: bool
) -> tuple[Person, list[str]] | Effect:
    """Return the person with the identifiers in the call, and the reasons why some were not set."""
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
        created = _create_or_rename(workspace, who, claimed, only_existing=only_existing)
        if isinstance(created, Effect):
            return created
        person = created
    if names.get("id", "") is None:
        return dropped(FAILED + "an id cannot be removed", person.cio_id)
    for name in claimed:
        failure = _rename(workspace, person, who, name)
        if isinstance(failure, Effect):
            return failure
        losses += failure
    return person, losses


def _claimed(names: dict[str, Any], losses: list[str]) -> list[Identifier]:
    """Return the valid identifiers among the attributes; add the reasons for the others."""
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


def _create_or_rename(
    workspace: Workspace, who: Identifier, claimed: list[Identifier], *, only_existing: bool
) -> Person | Effect:
    """Return the person for an identifier without a person.

    This is the person with another identifier in the call, or else a new person.
    """
    people = workspace.people
    if who.kind == "cio_id":
        return unknown(who)
    for name in claimed:
        if name.kind == who.kind:
            if comparable(name) != comparable(who):
                return dropped(FAILED + f"the {name} is not that of the person addressed")
            continue
        owner = people.find(name)
        if owner is None:
            continue
        if getattr(owner, who.kind) is not None:
            return dropped(FAILED + f"the {name} belongs to another person", owner.cio_id)
        people.name(owner, who)
        return owner
    if only_existing:
        return dropped(f"_update creates no person, and no person has the {who}")
    return workspace.create_person(who)


def _rename(
    workspace: Workspace, person: Person, who: Identifier, name: Identifier
) -> list[str] | Effect:
    """Give a person an identifier among the attributes, if that is allowed."""
    owner = workspace.people.find(name)
    if owner is person:
        return []
    if owner is not None:
        return dropped(FAILED + f"the {name} belongs to another person", person.cio_id)
    if getattr(person, name.kind) is None or who.kind == "cio_id":
        workspace.people.name(person, name)
        return []
    failure = FAILED + f"an {name.kind} that is set can be changed by cio_id only"
    return dropped(failure, person.cio_id) if name.kind == "id" else [failure]


def _take_phone(workspace: Workspace, person: Person) -> None:
    """Make a phone attribute an identifier too, unless another person has it already."""
    phone = person.attributes.get("phone")
    if type(phone) is str:
        name = Identifier("phone", phone)
        if workspace.people.find(name) is None:
            workspace.people.name(person, name)
