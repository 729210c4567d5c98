"""How a sidecar sees the end of a stream whose caller has all its results."""

import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Server, server

from .languages import LANGUAGES, Language
from .playing import Driver
from .scenarios import Scenario, numbered
from .test_polyglot import built

WITHIN_S = 60
ROUNDS = 5


def reasons(running: Server) -> dict[str, float]:
    """How many streams have closed, by reason."""
    with urllib.request.urlopen(f"{running.admin}/metrics", timeout=WITHIN_S) as response:
        families = text_string_to_metric_families(response.read().decode())
    return {
        sample.labels["reason"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "ciosidecar_streams_closed_total" and sample.value
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda found: found.name)
def test_a_stream_that_has_all_its_results_is_finished(language: Language) -> None:
    """Cancelled streams are what an operator looks for, so a client cancels none that is about to end."""
    language.require()
    played = Scenario("ends", "", "stream", {})
    with server("--listen", "127.0.0.1:0", "--log-level", "error") as running:
        for _ in range(ROUNDS):
            lines = [numbered(index) for index in range(3)]
            opening = played.opening(running.addresses, {})
            driver = Driver(built(language), opening, lines, {}, lockstep=False)
            try:
                assert [line.get("status") for line in driver.lines()] == [200] * 3 + [None]
            finally:
                driver.end()
        give_up_at = time.monotonic() + WITHIN_S
        # The sidecar may notice the end after the driver is gone.
        while sum((found := reasons(running)).values()) < ROUNDS and time.monotonic() < give_up_at:
            pass
        assert found == {"finished": ROUNDS}
