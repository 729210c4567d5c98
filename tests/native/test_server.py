"""The real server, compiled and in pure Python: the same bytes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_transform import read_destination, transform

from tests.conftest import batch, destination
from tests.native.events import cases
from tests.native.implementations import require_compiled
from tests.processes import server

pytestmark = pytest.mark.timeout(400)
TRANSFORM = "/ciosidecar.v1.SidecarService/Transform"


@contextmanager
def running(choice: str) -> Iterator[grpc.Channel]:
    """A channel to a server with a choice."""
    environment = {**os.environ, "CIOSIDECAR_NATIVE": choice}
    with (
        server("--listen", "127.0.0.1:0", env=environment) as process,
        grpc.insecure_channel(process.addresses[0]) as channel,
    ):
        yield channel


def requests() -> list[bytes]:
    """The worked cases as messages, one for each config, but not those that depend on the clock."""
    by_config: dict[str, list[bytes]] = {}
    for event, config in cases():
        if transformed(event, config, 1_790_000_000) == transformed(event, config, 2_000_000_000):
            by_config.setdefault(config, []).append(event.encode())
    return [
        v1.TransformRequest(
            destinations=[destination(config=config.encode())],
            batch=batch(*events),
        ).SerializeToString()
        for config, events in by_config.items()
    ]


def transformed(event: str, config: str, now: int) -> str:
    """What an event becomes at a time."""
    usable, _ = read_destination(config.encode())
    return "" if usable is None else repr(transform(event.encode(), usable, now=now))


def in_order(response: bytes) -> bytes:
    """A response with its headers in order: protobuf writes a map in an order that each process draws anew."""
    message = v1.TransformResponse.FromString(response)
    return bytes(message.SerializeToString(deterministic=True))


def test_without_the_compiled_package_every_byte_is_the_same() -> None:
    """All worked cases, v1 and v2, with the details of each."""
    require_compiled()
    answers = []
    for choice in ("require", "never"):
        with running(choice) as channel:
            call: Any = channel.unary_unary(TRANSFORM)
            answers.append([in_order(call(request, timeout=60)) for request in requests()])
    assert len(answers[0]) > 20
    assert answers[0] == answers[1]
