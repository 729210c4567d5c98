"""What a sandbox holds after events were delivered, to compare API versions by."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
from ciosidecar import Client, DeliveryOptions
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.testing import server

CONFIG = {"siteID": "site", "apiKey": "key", "deviceTokenEventName": "Token Registered"}


def state_after(
    events: list[dict[str, Any]],
    api_version: str,
    connection: dict[str, Any] | None = None,
    *,
    first: Sequence[list[dict[str, Any]]] = (),
    **config: Any,
) -> dict[str, Any]:
    """Return what a sandbox holds after all events were delivered in an API version.

    first: events that come before, each list answered before the next is sent. config: settings
    beside the usual.
    """
    settings = CONFIG | {"apiVersion": api_version} | config
    with (
        running_sandbox() as sandbox,
        server(customerio_url=sandbox.url) as sidecar,
        Client(sidecar.address) as client,
    ):
        for stage in (*first, events):
            with client.stream(settings, deliver=DeliveryOptions(timeout_s=30)) as stream:
                answers = list(stream.map(stage, connection=connection))
            assert [answer.result.error for answer in answers if answer.result.status != 200] == []
        with httpx.Client(base_url=sandbox.url) as programs:
            return {"people": dict(_people(programs)), "objects": dict(_objects(programs))}


def _people(programs: httpx.Client) -> Iterator[tuple[str, Any]]:
    """By id or email: what is known of each person, without what differs from run to run."""
    for summary in programs.get("/sandbox/people", params={"limit": 1000}).json()["people"]:
        query = {"cio_id": summary["cio_id"], "limit": 1000}
        found = programs.get("/sandbox/person", params=query).json()
        events = programs.get(
            "/sandbox/events", params={"person": summary["cio_id"], "limit": 1000}
        )
        yield (
            found["id"] or found["email"],
            {
                "email": found["email"],
                "attributes": found["attributes"],
                "segments": sorted(found["segments"]),
                "devices": sorted(map(json.dumps, found["devices"])),
                "relationships": sorted(
                    json.dumps({**one, "cio_object_id": None}) for one in found["relationships"]
                ),
                "events": sorted(
                    json.dumps(
                        [one["id"], one["name"], _kind(one), one["data"], one["timestamp"]],
                        sort_keys=True,
                    )
                    for one in events.json()["events"]
                ),
            },
        )


def _kind(event: dict[str, Any]) -> str:
    """Track API v1 has no screen events: there they are ordinary ones (rule 5.4)."""
    return "event" if event["type"] == "screen" else str(event["type"])


def _objects(programs: httpx.Client) -> Iterator[tuple[str, Any]]:
    for found in programs.get("/sandbox/objects", params={"limit": 1000}).json()["objects"]:
        yield found["object_id"], {"attributes": found["attributes"], "people": found["people"]}
