"""What the tests with Kafka share: one broker for all, a sandbox, and a sidecar that delivers to it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.engines.kafka.broker import Broker, broker
from tests.processes import Server, server
from tests.sandbox.support import Process, sandbox_process


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Yield a broker for the whole session."""
    with broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def one_sandbox() -> Iterator[Process]:
    """Yield a sandbox for the whole session."""
    with sandbox_process() as running:
        yield running


@pytest.fixture
def sandbox(one_sandbox: Process) -> Process:
    """Return an empty sandbox without faults."""
    httpx.post(f"{one_sandbox.url}/sandbox/reset").raise_for_status()
    return one_sandbox


@pytest.fixture(scope="session")
def sidecar(one_sandbox: Process) -> Iterator[Server]:
    """Yield a sidecar for the whole session, which delivers to the sandbox."""
    with server("--listen", "127.0.0.1:0", "--customerio-url", one_sandbox.url) as running:
        yield running
