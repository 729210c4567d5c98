"""Profiles: `ci` tries the same examples in every run, `fuzz` tries new ones (`make fuzz`)."""

import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ciosidecar import Client, DeliveryOptions
from ciosidecar.events import Event
from ciosidecar.results import Result
from ciosidecar_sandbox.identifiers import Identifier
from ciosidecar_sandbox.testing import Running, running_sandbox
from ciosidecar_server.testing import server
from hypothesis import HealthCheck, Phase, settings

from .transformed import NOW

# hypothesis shrinks a failing example for five minutes at most, and documents no setting for less.
_TIMEOUT_S = 420
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW,
)
settings.register_profile(
    "fuzz",
    derandomize=False,
    database=None,
    deadline=None,
    print_blob=True,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "1000")),
    suppress_health_check=_SLOW,
    phases=(Phase.explicit, Phase.generate, Phase.target, Phase.shrink),
)
_UNTIL = float(os.environ.get("FUZZ_UNTIL", "inf"))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give a property that fails the time to shrink its example. Shuffle those of a round that may be cut."""
    if math.isfinite(_UNTIL):
        random.Random(config.getoption("hypothesis_seed")).shuffle(items)
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


def pytest_runtest_setup() -> None:
    """Begin no property once the time of the round is over."""
    if time.time() > _UNTIL:
        pytest.skip("the minutes are over")


class Engines:
    """A real sidecar that delivers to a real sandbox, whose clock stands still."""

    def __init__(self, client: Client, sandbox: Running) -> None:
        self._client = client
        self.sandbox = sandbox

    def transform(
        self, events: Sequence[Event], config: bytes, connection: bytes | None = None
    ) -> list[Result]:
        """Return what the server makes of a batch."""
        return self._client.transform(events, config, connection=connection)

    def reset(self) -> None:
        """Empty the sandbox, and let it know two people, whose cio_ids are then known too."""
        # Nothing is on its way here, so the sandbox's thread does not read its state.
        self.sandbox.workspace.reset()
        people = self.sandbox.workspace.people
        for name, email in (("u-1", "jane@example.com"), ("u-2", "joe@example.com")):
            people.create(NOW - 1000, Identifier("id", name), Identifier("email", email))

    def deliver(
        self, events: Sequence[bytes], config: bytes, connection: bytes | None = None
    ) -> list[Result]:
        """Deliver a batch to the sandbox; return the results."""
        options = DeliveryOptions(timeout_s=30)
        return self._client.deliver(events, config, connection=connection, options=options)


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """Yield a sidecar and a sandbox in this process, for all tests of a run."""
    with (
        running_sandbox() as sandbox,
        server(customerio_url=sandbox.url, max_event_bytes=4 << 20) as sidecar,
        Client(sidecar.address) as client,
    ):
        sandbox.workspace.clock = lambda: float(NOW)
        yield Engines(client, sandbox)
