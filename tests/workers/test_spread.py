"""How the streams of a client spread over the workers."""

import time
from contextlib import ExitStack

import pytest
from ciosidecar import Client

from tests.processes import TIMEOUT_S, Server
from tests.workers.group import group
from tests.workers.test_admin import CONFIG, asked

pytestmark = pytest.mark.serial
EVENT = {"type": "track", "userId": "u", "event": "Step"}
STREAMS = 8


def _open(client: Client, number: int, stack: ExitStack) -> None:
    """So many streams, each of which has an answer."""
    for _ in range(number):
        stream = stack.enter_context(client.stream(CONFIG))
        stream.send(EVENT)
        next(iter(stream))


def _until(running: Server, streams_open: list[int], within_s: float = TIMEOUT_S) -> bool:
    """Whether the workers soon have so many streams: a worker looks twice a second at most."""
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        _, state = asked(running, "/api/state")
        if [worker["streams_open"] for worker in state["workers"]] == streams_open:
            return True
    return False


def _connect_to_both(client: Client, running: Server) -> None:
    """Waits until two streams land on two workers: until then one connection is not ready."""
    give_up_at = time.monotonic() + TIMEOUT_S
    while time.monotonic() < give_up_at:
        with ExitStack() as stack:
            _open(client, 2, stack)
            if _until(running, [1, 1], 2.0):
                break
    else:
        pytest.fail("one worker gets no stream")
    assert _until(running, [0, 0])


def test_eight_streams_spread_evenly_over_two_workers() -> None:
    """Four each, once the client is connected to both."""
    with group(2) as running, Client(running.addresses) as client:
        _connect_to_both(client, running)
        with ExitStack() as stack:
            _open(client, STREAMS, stack)
            assert _until(running, [STREAMS // 2, STREAMS // 2])
