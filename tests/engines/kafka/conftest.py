"""What the tests with Kafka share: one broker for all, a sandbox, and a sidecar that delivers to it."""

from collections.abc import Iterator

import pytest

from tests.engines.kafka.broker import Broker, broker
from tests.processes import Server, server
from tests.sandbox.support import Process, sandbox_process


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for the whole session."""
    with broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def sandbox() -> Iterator[Process]:
    """A sandbox without faults."""
    with sandbox_process() as running:
        yield running


@pytest.fixture
def sidecar(sandbox: Process) -> Iterator[Server]:
    """A sidecar that delivers to the sandbox."""
    with server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running:
        yield running
