"""What a sandbox holds, without what differs between the API versions by docs/rules.md."""

from typing import Any

from ciosidecar_sandbox.events import Event
from ciosidecar_sandbox.people import Person
from ciosidecar_sandbox.sent_json import encode
from ciosidecar_sandbox.workspace import Workspace


def _json(value: Any) -> bytes:
    return encode(value)


def _event(event: Event) -> tuple[Any, ...]:
    # Track API v1 has no screen events: there they are ordinary ones (rule 5.4).
    kind = "event" if event.kind == "screen" else event.kind
    return kind, event.name, event.data_json, event.timestamp, event.id, event.anonymous_id


def _person(workspace: Workspace, person: Person) -> dict[str, Any]:
    related = workspace.objects.by_cio_object_id
    return {
        "known by": (person.id, person.email, person.phone),
        "attributes": {name: _json(value) for name, value in person.attributes.items()},
        "devices": {token: _json(device) for token, device in person.devices.items()},
        "segments": sorted(person.segments),
        "anonymous ids": sorted(person.anonymous_ids),
        "relationships": sorted(
            (related[name].object_type_id, related[name].object_id, _json(attributes))
            for name, attributes in person.relationships.items()
        ),
        "events": [_event(event) for event in person.timeline or ()],
    }


def state_of(workspace: Workspace) -> dict[str, Any]:
    """Return people, objects, waiting events, suppressed identifiers and reports on messages."""
    return {
        "people": sorted((_person(workspace, person) for person in workspace.people), key=str),
        "objects": sorted(
            (one.object_type_id, one.object_id, _json(one.attributes), len(one.people))
            for one in workspace.objects.by_cio_object_id.values()
        ),
        "waiting": {
            anonymous_id: [_event(event) for event in events]
            for anonymous_id, events in sorted(workspace.events.waiting.items())
        },
        "suppressed": sorted(map(str, workspace.people.suppressed)),
        "reports": [_json(metric) for metric in workspace.metrics],
    }
