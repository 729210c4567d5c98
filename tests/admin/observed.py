"""A sidecar as a process that delivers to a sandbox, and how tests look at it from outside."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from time import monotonic
from typing import Any

from ciosidecar import Answer, Client, DeliveryOptions, Destination, StreamOptions
from ciosidecar_sandbox.testing import running_sandbox

from tests.processes import TIMEOUT_S, Server, server

SECRET = "a-secret-api-key"
CONFIG = json.dumps({"siteID": "a-site-id", "apiKey": SECRET}).encode()
PERSON = "jane.doe@example.com"
HOSTILE = "<script>document.title='owned'</script>\x1b]0;owned\x07[red]\x1b[31m"


@contextmanager
def observed(fault: str = "", *flags: str) -> Iterator[Server]:
    """Yield a sidecar that delivers to a sandbox with injected faults."""
    with (
        running_sandbox(**({"fault": fault} if fault else {})) as sandbox,
        server(
            *("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url),
            *("--log-level", "error", *flags),
        ) as running,
    ):
        yield running


def event(number: int = 1) -> bytes:
    """Return an event with personal data in it."""
    traits = {"email": f"{number}.{PERSON}", "number": number}
    return json.dumps(
        {"type": "identify", "userId": f"{PERSON}-{number}", "traits": traits}
    ).encode()


def deliver(
    running: Server, events: list[bytes], ref: str = "orders", client_name: str = "a-test"
) -> list[Answer]:
    """Deliver events on one stream, and return the answers. What fails is tried for half a second."""
    options = StreamOptions(client_name=client_name, client_version="1.2")
    delivery = DeliveryOptions(timeout_s=0.5)
    with (
        Client(running.addresses[0]) as client,
        client.stream(Destination(CONFIG, ref), options, deliver=delivery) as stream,
    ):
        return list(stream.map(events))


def get(running: Server, path: str) -> tuple[int, bytes]:
    """Return the status and the body of a response."""
    connection = HTTPConnection(running.ready_line["admin"], timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def state(running: Server) -> dict[str, Any]:
    """Return what /api/state says."""
    status, body = get(running, "/api/state")
    assert status == 200, body
    return dict(json.loads(body))


def state_once(running: Server, reached: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait for a state of which something holds, and return it."""
    until = monotonic() + TIMEOUT_S
    while True:
        found = state(running)
        if reached(found):
            return found
        assert monotonic() < until, found


def row(found: dict[str, Any], ref: str = "orders") -> dict[str, Any]:
    """Return a destination in a state; empty if it is not there."""
    return next((one for one in found["destinations"] if one["destination_ref"] == ref), {})
