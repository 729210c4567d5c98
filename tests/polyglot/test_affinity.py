"""A fleet that changes under a stream whose persons stay on one sidecar, with every driver."""

import contextlib
import json
import signal
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.ports import free_port
from tests.processes import Server, server

from .languages import LANGUAGES, Language
from .playing import Driver
from .test_polyglot import built

EVENTS = 3000
PEOPLE = 100
CONNECTED_WITHIN_S = 60
# Below that of the pipes: what happens after an answer happens before most of the events are sent.
OUTSTANDING = 200


def numbered(number: int) -> bytes:
    """A line with an event whose name says whose it is and which."""
    name = f"user-{number % PEOPLE}:{number}"
    event = {"type": "track", "userId": name.partition(":")[0], "messageId": name, "event": name}
    return b"0\t" + json.dumps(event).encode()


def opened_streams(sidecar: Server) -> int:
    """How many streams a sidecar has opened, as its metrics say."""
    with urllib.request.urlopen(f"{sidecar.admin}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("ciosidecar_streams_opened_total ")]
    return int(float(counts[0].split()[1])) if counts else 0


def events_at(sidecar: Server) -> int:
    """How many events a sidecar has answered."""
    with urllib.request.urlopen(f"{sidecar.admin}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in lines
        if line.startswith("ciosidecar_events_total{")
    )


def wait_until_connected(sidecar: Server) -> None:
    """Wait for a stream. The driver is not read meanwhile."""
    ends_at = time.monotonic() + CONNECTED_WITHIN_S
    while not opened_streams(sidecar):
        assert time.monotonic() < ends_at, "the client does not connect to the sidecar"
        time.sleep(0.1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda found: found.name)
def test_order_holds_while_the_fleet_changes(language: Language) -> None:
    """One sidecar is killed, one is added, one drains, the killed one returns. Every event is answered exactly
    once, and Customer.io gets the events of each person in order."""
    language.require()
    with running_sandbox() as sandbox, contextlib.ExitStack() as stack:

        def start(listen: str = "127.0.0.1:0") -> Server:
            arguments = ("--listen", listen, "--customerio-url", sandbox.url)
            return stack.enter_context(server(*arguments, "--log-level", "error"))

        killed, drained, steady = start(), start(), start()
        addresses = [sidecar.addresses[0] for sidecar in (killed, drained, steady)]
        late_address = f"127.0.0.1:{free_port()}"
        opening = {
            "call": "stream",
            "addresses": [*addresses, late_address],
            "configs": ['{"siteID": "site", "apiKey": "key"}'],
            "options": {"affinity": "person", "max_outstanding_events": OUTSTANDING},
            "deliver": True,
        }
        driver = Driver(
            built(language),
            json.dumps(opening).encode(),
            [numbered(number) for number in range(EVENTS)],
            {},
            lockstep=False,
        )
        stack.callback(driver.end)
        answers = []
        for answer in driver.lines():
            answers.append(answer)
            if len(answers) == 500:
                killed.process.kill()
                killed.process.wait(30)
            elif len(answers) == 1000:
                added = start(late_address)
                wait_until_connected(added)
            elif len(answers) == 1500:
                drained.signal(signal.SIGTERM)
            elif len(answers) == 2000:
                returned = start(addresses[0])
                wait_until_connected(returned)
        end = answers.pop()
        assert end["end"] == "OK", end
        assert [answer["position"] for answer in answers] == list(range(EVENTS))
        assert {answer["status"] for answer in answers} == {200}
        assert all(events_at(sidecar) for sidecar in (added, returned, steady))
        seen = list(arrivals(sandbox.workspace.events.kept))
    by_person: dict[str, list[int]] = defaultdict(list)
    for person, number in dict.fromkeys(seen):
        by_person[person].append(number)
    assert sum(map(len, by_person.values())) == EVENTS
    for person, numbers in by_person.items():
        assert numbers == sorted(numbers), f"the events of {person} are out of order"


def arrivals(events: Iterable[Any]) -> Iterator[tuple[str, int]]:
    """Yield whose event and which, for each that Customer.io got."""
    for event in events:
        person, _, number = event.name.partition(":")
        yield person, int(number)
