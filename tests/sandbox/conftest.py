"""One sandbox for all tests, empty at the beginning of each."""

from collections.abc import Iterator

import pytest
from ciosidecar_sandbox.testing import Running, running_sandbox

from tests.sandbox.support import Track


@pytest.fixture(scope="session")
def shared() -> Iterator[Running]:
    """Yield a sandbox in a thread of this process."""
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def connected(shared: Running) -> Iterator[Track]:
    """Yield the client of the shared sandbox."""
    track = Track(shared)
    with track.http:
        yield track


@pytest.fixture
def track(connected: Track) -> Track:
    """Return a client of an empty sandbox without faults."""
    connected.fault("")
    connected.http.post("/sandbox/reset").raise_for_status()
    return connected
