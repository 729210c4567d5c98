"""A sidecar under a load that has something of everything: deliveries, refusals, warnings, faults."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ciosidecar import Client, DeliveryOptions, Destination, StreamOptions
from ciosidecar_sandbox.testing import running_sandbox

from tests.processes import server

CONFIG = {"siteID": "site", "apiKey": "key", "apiVersion": "v2"}
FAULTS = "429=0.1,503=0.1"
_EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "identify", "userId": "u1", "traits": {"plan": "gold"}},
    {"type": "track", "userId": "u2", "event": "Order"},
    {"type": "track", "userId": "u3", "event": "x" * 500},
    {"type": "group", "userId": "u1", "groupId": "g1"},
    {"type": "track", "event": "nobody did this"},
    {"type": "nonsense", "userId": "u1"},
)


@contextmanager
def observed() -> Iterator[tuple[str, str]]:
    """Run a sandbox that fails now and then, and a sidecar. Yield the sidecar's address and its admin port."""
    with (
        running_sandbox(fault=FAULTS) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        yield sidecar.addresses[0], sidecar.ready_line["admin"]


def load(address: str, rounds: int = 1) -> None:
    """Send events with and without delivery, on streams of two destinations."""
    for _ in range(rounds):
        for api_version in ("v1", "v2"):
            _one_stream(address, api_version, delivery=True)
            _one_stream(address, api_version, delivery=False)


def _one_stream(address: str, api_version: str, *, delivery: bool) -> None:
    config = json.dumps(CONFIG | {"apiVersion": api_version}).encode()
    destination = Destination(config, f"crm-{api_version}")
    options = StreamOptions(client_name="load", max_batch_events=20)
    deliver = DeliveryOptions() if delivery else False
    events = [json.dumps(event).encode() for event in _EVENTS] * 10
    with Client(address) as client, client.stream(destination, options, deliver=deliver) as stream:
        assert len(list(stream.map(events))) == len(events)
