"""Objects, and the relationships between them and people, from both sides."""

from typing import Any, NamedTuple

from ..attributes import is_empty, update
from ..identifiers import Identifier
from ..limits import MAX_ATTRIBUTES
from ..objects import Object
from ..outcome import Effect, applied, dropped, partly
from ..people import Person
from ..workspace import Workspace
from .finding import find_or_create

MAX_RELATIONSHIPS = 1000
"""Of one person, here; the oldest go."""


class ObjectName(NamedTuple):
    """An object by type and id, or, with an empty type, by its cio_object_id."""

    object_type_id: str
    object_id: str

    def __str__(self) -> str:
        if self.object_type_id:
            return f"object {self.object_type_id}/{self.object_id}"
        return f"cio_object_id {self.object_id}"


class RelatedObject(NamedTuple):
    """A relationship as a person's call gives it."""

    name: ObjectName
    attributes: dict[str, Any]


class RelatedPerson(NamedTuple):
    """A relationship as an object's call gives it; of identify_anonymous, to an anonymous_id."""

    who: Identifier
    attributes: dict[str, Any]


def find_object(workspace: Workspace, name: ObjectName) -> Object | None:
    """The object of that name."""
    if name.object_type_id:
        return workspace.objects.find(name.object_type_id, name.object_id)
    return workspace.objects.by_cio_object_id.get(name.object_id)


def _find_or_create(workspace: Workspace, name: ObjectName) -> Object | None:
    found = find_object(workspace, name)
    if found is None and name.object_type_id:
        return workspace.create_object(name.object_type_id, name.object_id)
    return found


def connect(person: Person, related: Object, attributes: dict[str, Any]) -> None:
    """Relates the two, or changes the attributes of their relationship; null and "" remove one."""
    shared = person.relationships.setdefault(related.cio_object_id, {})
    related.people[person.cio_id] = shared
    for name, value in attributes.items():
        if is_empty(value):
            shared.pop(name, None)
        elif name in shared or len(shared) < MAX_ATTRIBUTES:
            shared[name] = value


def relate(workspace: Workspace, person: Person, objects: list[RelatedObject]) -> list[str]:
    """Relates a person to objects, made if need be; answers which could not be."""
    losses = []
    for name, attributes in objects:
        found = _find_or_create(workspace, name)
        if found is None:
            losses.append(f"there is no {name}")
            continue
        connect(person, found, attributes)
        if len(person.relationships) > MAX_RELATIONSHIPS:
            oldest = next(iter(person.relationships))
            del person.relationships[oldest]
            workspace.objects.by_cio_object_id[oldest].people.pop(person.cio_id, None)
    return losses


def unrelate(workspace: Workspace, person: Person, objects: list[RelatedObject]) -> list[str]:
    """Ends a person's relationships; answers which there were not."""
    losses = []
    for name, _ in objects:
        found = find_object(workspace, name)
        if found is None or person.relationships.pop(found.cio_object_id, None) is None:
            losses.append(f"there is no relationship to {name}")
        else:
            found.people.pop(person.cio_id, None)
    return losses


def change_relationships(
    workspace: Workspace, who: Identifier, objects: list[RelatedObject], *, removes: bool
) -> Effect:
    """A person's add_relationships and delete_relationships."""
    person = find_or_create(workspace, who)
    if isinstance(person, Effect):
        return person
    losses = (unrelate if removes else relate)(workspace, person, objects)
    return partly(person.cio_id, losses) if losses else applied(person.cio_id)


def identify_object(
    workspace: Workspace, name: ObjectName, attributes: dict[str, Any], people: list[RelatedPerson]
) -> Effect:
    """Creates or updates an object and relates people, or anonymous ids, to it."""
    found = _find_or_create(workspace, name)
    if found is None:
        return dropped(f"there is no {name}")
    remarks: list[str] = []
    losses, noted = update(found.attributes, found.set_at, attributes, workspace.clock())
    losses += _relate_people(workspace, found, people)
    return partly("", losses + remarks + noted) if losses else applied("", remarks + noted)


def _relate_people(workspace: Workspace, found: Object, people: list[RelatedPerson]) -> list[str]:
    losses = []
    for who, attributes in people:
        if who.kind == "anonymous_id":
            claim = workspace.claims.get(who.value)
            owner = workspace.people.by_cio_id.get(claim.person) if claim else None
            if owner is None:
                workspace.objects.wait(who.value, found, attributes)
            else:
                connect(owner, found, attributes)
            continue
        person = find_or_create(workspace, who)
        if isinstance(person, Effect):
            losses.append(person.reason)
            continue
        losses += relate(
            workspace,
            person,
            [RelatedObject(ObjectName(found.object_type_id, found.object_id), attributes)],
        )
    return losses


def change_people(
    workspace: Workspace, name: ObjectName, people: list[RelatedPerson], *, removes: bool
) -> Effect:
    """An object's add_relationships and delete_relationships."""
    if not removes:
        return identify_object(workspace, name, {}, people)
    found = find_object(workspace, name)
    if found is None:
        return dropped(f"there is no {name}")
    losses = []
    for who, _ in people:
        person = workspace.people.find(who)
        if person is None or found.people.pop(person.cio_id, None) is None:
            losses.append(f"there is no relationship to {who}")
        else:
            person.relationships.pop(found.cio_object_id, None)
    return partly("", losses) if losses else applied()


def delete_object(workspace: Workspace, name: ObjectName) -> Effect:
    """Deletes an object and its relationships."""
    found = find_object(workspace, name)
    if found is None:
        return dropped(f"there is no {name}")
    workspace.remove_object(found)
    return applied()
