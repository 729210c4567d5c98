"""The moment in which a draining sidecar still takes calls, so that clients that watch its health can move on."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest
from ciosidecar_server.app import SERVICE_NAME
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests import processes
from tests.processes import TIMEOUT_S, Server, server

FLAGS = ("--listen", "127.0.0.1:0", "--grace", "120")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
REQUEST = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
LONG_S = 100
LONG_MOMENT = f"""
from ciosidecar_server import app, cli
app._MOVING_ON_S = {LONG_S}
cli.main()
"""


@contextmanager
def drained(running: Server) -> Iterator[Any]:
    """A stub of health whose Watch has read that the sidecar drains."""
    with grpc.insecure_channel(running.addresses[0]) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(REQUEST, timeout=TIMEOUT_S)
        assert next(watch).status == SERVING
        running.signal(signal.SIGTERM)
        assert [answer.status for answer in watch] == [NOT_SERVING]
        yield stub


def test_a_client_that_watches_anew_is_told_once_more_and_waits() -> None:
    """Its new Watch says NOT_SERVING, and ends when the server takes no more calls: no loop of calls."""
    watches = 0
    with server(*FLAGS) as running, drained(running) as stub:
        with suppress(grpc.RpcError):
            while True:
                statuses = [answer.status for answer in stub.Watch(REQUEST, timeout=TIMEOUT_S)]
                assert statuses == [NOT_SERVING]
                watches += 1
        assert running.end()[0] == 0
    assert 1 <= watches <= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_second_signal_ends_the_moment(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at once, and its end is logged once."""
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", LONG_MOMENT))
    with server(*FLAGS) as running, drained(running) as stub:
        watch = stub.Watch(REQUEST, timeout=TIMEOUT_S)
        assert next(watch).status == NOT_SERVING
        start = time.monotonic()
        running.signal(number)
        code, errors = running.end()
    assert code == 0
    assert time.monotonic() - start < LONG_S / 2
    assert errors.count("drain ended") == 1
    assert '"level": "error"' not in errors
