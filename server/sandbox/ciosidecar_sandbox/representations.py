"""People, events and objects as the admin API shows them, in JSON."""

from itertools import islice
from typing import Any

from .events import Event
from .objects import Object
from .people import Person
from .workspace import Workspace


def person_summary(person: Person) -> dict[str, Any]:
    """Return a person as a list of people shows them."""
    return {
        "cio_id": person.cio_id,
        "id": person.id,
        "email": person.email,
        "phone": person.phone,
        "created": person.created,
        "attributes": len(person.attributes),
        "devices": len(person.devices),
        "events": len(person.timeline or ()),
    }


def person_details(workspace: Workspace, person: Person, events: int) -> dict[str, Any]:
    """Return everything about a person, with up to `events` of the latest events."""
    relationships = []
    for cio_object_id, attributes in person.relationships.items():
        related = workspace.objects.by_cio_object_id[cio_object_id]
        relationships.append(
            {
                "cio_object_id": cio_object_id,
                "object_type_id": related.object_type_id,
                "object_id": related.object_id,
                "relationship_attributes": attributes,
            }
        )
    return person_summary(person) | {
        "attributes": person.attributes,
        "devices": list(person.devices.values()),
        "relationships": relationships,
        "segments": list(person.segments),
        "anonymous_ids": person.anonymous_ids,
        "event_count": len(person.timeline or ()),
        "events": [
            event_details(event) for event in islice(reversed(person.timeline or ()), events)
        ],
    }


def event_details(event: Event) -> dict[str, Any]:
    """Return an event with its data."""
    return {
        "number": event.number,
        "at": event.at,
        "timestamp": event.timestamp,
        "type": event.kind,
        "name": event.name,
        "data": event.data,
        "id": event.id,
        "anonymous_id": event.anonymous_id,
        "person": event.person,
    }


def object_summary(object_: Object) -> dict[str, Any]:
    """Return an object as a list of objects shows it."""
    return {
        "cio_object_id": object_.cio_object_id,
        "object_type_id": object_.object_type_id,
        "object_id": object_.object_id,
        "created": object_.created,
        "attributes": object_.attributes,
        "people": len(object_.people),
    }


def object_details(workspace: Workspace, object_: Object, people: int) -> dict[str, Any]:
    """Return an object with up to `people` of its people."""
    related = []
    for cio_id, attributes in islice(object_.people.items(), people):
        person = workspace.people.by_cio_id[cio_id]
        related.append(
            {
                "cio_id": cio_id,
                "id": person.id,
                "email": person.email,
                "relationship_attributes": attributes,
            }
        )
    return object_summary(object_) | {"people_count": len(object_.people), "people": related}
