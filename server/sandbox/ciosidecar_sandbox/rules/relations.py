"""The calls about objects, and relationships between objects and people."""

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
"""Limit of one person in the sandbox. The oldest are removed."""


class ObjectName(NamedTuple):
    """The identifier of an object: type and id, or an empty type and the cio_object_id."""

    object_type_id: str
    object_id: str

    def __str__(self) -> str:
        if self.object_type_id:
            return f"object {self.object_type_id}/{self.object_id}"
        return f"cio_object_id {self.object_id}"


class RelatedObject(NamedTuple):
    """A relationship in a person's call."""

    name: ObjectName
    attributes: dict[str, Any]


class RelatedPerson(NamedTuple):
    """A relationship in an object's call; in identify_anonymous, with an anonymous_id."""

    who: Identifier
    attributes: dict[str, Any]


def find_object(workspace: Workspace, name: ObjectName) -> Object | None:
    """Return the object with a name; None if there is none."""
    if name.object_type_id:
        return workspace.objects.find(name.object_type_id, name.object_id)
    return workspace.objects.by_cio_object_id.get(name.object_id)


def _find_or_create(workspace: Workspace, name: ObjectName) -> Object | None:
    object_ = find_object(workspace, name)
    if object_ is None and name.object_type_id:
        return workspace.create_object(name.object_type_id, name.object_id)
    return object_


def connect(person: Person, related: Object, attributes: dict[str, Any]) -> None:
    """Relate a person and an object, or change the relationship. null and "" remove an attribute."""
    shared = person.relationships.setdefault(related.cio_object_id, {})
    related.people[person.cio_id] = shared
    for name, value in attributes.items():
        if is_empty(value):
            shared.pop(name, None)
        elif name in shared or len(shared) < MAX_ATTRIBUTES:
            shared[name] = value


def relate(workspace: Workspace, person: Person, objects: list[RelatedObject]) -> list[str]:
    """Relate a person to objects, created if they do not exist; return the reasons of failures."""
    losses = []
    for name, attributes in objects:
        related = _find_or_create(workspace, name)
        if related is None:
            losses.append(f"there is no {name}")
            continue
        connect(person, related, attributes)
        if len(person.relationships) > MAX_RELATIONSHIPS:
            oldest = next(iter(person.relationships))
            del person.relationships[oldest]
            workspace.objects.by_cio_object_id[oldest].people.pop(person.cio_id, None)
    return losses


def unrelate(workspace: Workspace, person: Person, objects: list[RelatedObject]) -> list[str]:
    """Remove relationships of a person; return the reasons of failures."""
    losses = []
    for name, _ in objects:
        related = find_object(workspace, name)
        if related is None or person.relationships.pop(related.cio_object_id, None) is None:
            losses.append(f"there is no relationship to {name}")
        else:
            related.people.pop(person.cio_id, None)
    return losses


def change_relationships(
    workspace: Workspace, who: Identifier, objects: list[RelatedObject], *, removes: bool
) -> Effect:
    """Apply a person's add_relationships or delete_relationships."""
    person = find_or_create(workspace, who)
    if isinstance(person, Effect):
        return person
    losses = (unrelate if removes else relate)(workspace, person, objects)
    return partly(person.cio_id, losses) if losses else applied(person.cio_id)


def identify_object(
    workspace: Workspace, name: ObjectName, attributes: dict[str, Any], people: list[RelatedPerson]
) -> Effect:
    """Create or update an object, and relate people or anonymous ids to it."""
    object_ = _find_or_create(workspace, name)
    if object_ is None:
        return dropped(f"there is no {name}")
    remarks: list[str] = []
    losses, noted = update(object_.attributes, object_.set_at, attributes, workspace.clock())
    losses += _relate_people(workspace, object_, people)
    return partly("", losses + remarks + noted) if losses else applied("", remarks + noted)


def _relate_people(workspace: Workspace, related: Object, people: list[RelatedPerson]) -> list[str]:
    losses = []
    for who, attributes in people:
        if who.kind == "anonymous_id":
            claim = workspace.claims.get(who.value)
            owner = workspace.people.by_cio_id.get(claim.person) if claim else None
            if owner is None:
                workspace.objects.wait(who.value, related, attributes)
            else:
                connect(owner, related, attributes)
            continue
        person = find_or_create(workspace, who)
        if isinstance(person, Effect):
            losses.append(person.reason)
            continue
        losses += relate(
            workspace,
            person,
            [RelatedObject(ObjectName(related.object_type_id, related.object_id), attributes)],
        )
    return losses


def change_people(
    workspace: Workspace, name: ObjectName, people: list[RelatedPerson], *, removes: bool
) -> Effect:
    """Apply an object's add_relationships or delete_relationships."""
    if not removes:
        return identify_object(workspace, name, {}, people)
    object_ = find_object(workspace, name)
    if object_ is None:
        return dropped(f"there is no {name}")
    losses = []
    for who, _ in people:
        person = workspace.people.find(who)
        if person is None or object_.people.pop(person.cio_id, None) is None:
            losses.append(f"there is no relationship to {who}")
        else:
            person.relationships.pop(object_.cio_object_id, None)
    return partly("", losses) if losses else applied()


def delete_object(workspace: Workspace, name: ObjectName) -> Effect:
    """Delete an object and its relationships."""
    object_ = find_object(workspace, name)
    if object_ is None:
        return dropped(f"there is no {name}")
    workspace.remove_object(object_)
    return applied()
