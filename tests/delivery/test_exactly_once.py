"""Many events of many people under several identifiers, through faults: one result each, and the truth about each."""

import json
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from ciosidecar import Client, DeliveryOptions, StreamOptions
from ciosidecar_sandbox.outcome import Outcome
from ciosidecar_sandbox.testing import Running, running_sandbox
from ciosidecar_server.testing import server

from tests import processes
from tests.ports import free_port

FAULTS = "429=0.05,503=0.05,reset=0.005,reset-after=0.005,slow=0.01:50ms"
PEOPLE = 200
# Many messages, so that an API version of large requests meets faults too.
SMALL = StreamOptions(max_batch_events=20)
API_VERSIONS = pytest.mark.parametrize("api_version", ["v1", "v2"])


def events(number: int, seed: int) -> list[dict[str, Any]]:
    """Identifies, and tracks by user id, email and anonymous id, in turns of many people."""
    dice = random.Random(seed)
    found = []
    steps: dict[int, int] = defaultdict(int)
    for position in range(number):
        person = position if position < PEOPLE else dice.randrange(PEOPLE)
        user, email, anonymous_id = f"u{person}", f"u{person}@people.example", f"v{person}"
        steps[person] += 1
        event: dict[str, Any] = {"messageId": f"m{seed}-{position}"}
        kind = "all" if position < PEOPLE else dice.choice(("all", "user", "email", "anonymous"))
        if kind == "all":
            event |= {"type": "identify", "userId": user, "anonymousId": anonymous_id}
            event["traits"] = {"email": email, "step": steps[person]}
        else:
            event |= {"type": "track", "event": "Step"}
            event["properties"] = {"person": person, "step": steps[person]}
            if kind == "user":
                event["userId"] = user
            elif kind == "email":
                event["properties"]["email"] = email
            else:
                event["anonymousId"] = anonymous_id
        found.append(event)
    return found


def check(sandbox: Running, sent: list[dict[str, Any]]) -> None:
    """All that was sent, and reported delivered, is there, once, and in the order of whoever it names."""
    kept = sandbox.workspace.events.kept
    arrived = sorted((event.data["person"], event.data["step"]) for event in kept)
    marks = (event.get("properties") for event in sent)
    assert arrived == sorted((one["person"], one["step"]) for one in marks if one is not None)
    last: dict[tuple[int, str], int] = defaultdict(int)
    identified: dict[int, set[int]] = defaultdict(set)
    for row in sandbox.workspace.log.rows:
        if row.outcome is not Outcome.APPLIED:
            continue
        told = json.loads(row.body)
        told = told.get("data") or told.get("attributes") or told
        step = told["step"]
        if row.call == "identify":
            # It names the person in every way. Having no id it may come twice: a batch that was
            # taken, and its answer lost, is sent again as a whole.
            person = int(told["anonymous_id"][1:])
            if step not in identified[person]:
                identified[person].add(step)
                for kind in ("id", "email", "anonymous_id"):
                    assert last[person, kind] < step, f"person {person} is out of order"
                    last[person, kind] = step
        else:
            who = told["person"], row.who.partition(" ")[0]
            assert last[who] < step, f"{who} is out of order"
            last[who] = step
    for number, steps in identified.items():
        found = sandbox.workspace.people.find_any(f"u{number}")
        assert found is not None
        assert found.attributes["step"] == max(steps)


@API_VERSIONS
def test_through_faults_everything_arrives_once_and_in_order(api_version: str) -> None:
    """5 % throttled, 5 % failing, resets before and after the event was taken, slow answers."""
    config = {"siteID": "site", "apiKey": "key", "apiVersion": api_version}
    sent = events(2000, seed=1)
    with (
        running_sandbox(fault=FAULTS, seed=1) as sandbox,
        server(customerio_url=sandbox.url, delivery_rate=5000) as sidecar,
        Client(sidecar.address) as client,
        client.stream(config, options=SMALL, deliver=DeliveryOptions(timeout_s=60)) as stream,
    ):
        answers = list(stream.map(sent))
        assert [event for event, _ in answers] == sent
        assert {result.status for _, result in answers} == {200}
        check(sandbox, sent)
        injected = sandbox.workspace.log.by_fault
        assert injected["429"] + injected["503"] > 0


def test_what_comes_back_and_is_sent_again_arrives_once_and_in_order() -> None:
    """A caller whose batches have little time gets failures, sends those again in order, until all is delivered."""
    config = {"siteID": "site", "apiKey": "key"}
    sent = events(600, seed=2)
    left, rounds, timeout_s = sent, 0, 0.2
    with (
        running_sandbox(fault="503=0.3,reset-after=0.05", seed=2) as sandbox,
        server(customerio_url=sandbox.url, delivery_rate=5000) as sidecar,
        Client(sidecar.address) as client,
        client.stream(config, deliver=True) as stream,
    ):
        taken = iter(stream)
        while left:
            rounds += 1
            assert rounds < 200
            for first in range(0, len(left), 50):
                stream.send_batch(left[first : first + 50], timeout_s=timeout_s)
            answers = [next(taken) for _ in left]
            assert {result.status for _, result in answers} <= {200, 503, 504}
            left = [event for event, result in answers if result.status != 200]
            # A busy machine delivers nothing in so little time, in no number of rounds.
            timeout_s = min(timeout_s * 1.2, 60)
        assert rounds > 1
        check(sandbox, sent)


def test_a_killed_server_loses_nothing_and_repeats_nothing() -> None:
    """kill -9 in mid-stream and a start at the same address: the client sends again, all is there once."""
    config = {"siteID": "site", "apiKey": "key"}
    sent = events(2000, seed=3)
    address = f"127.0.0.1:{free_port()}"
    with running_sandbox() as sandbox, Client(address) as client:
        arguments = ("--listen", address, "--customerio-url", sandbox.url)
        with (
            processes.server(*arguments) as first,
            client.stream(config, options=SMALL, deliver=DeliveryOptions(timeout_s=30)) as stream,
        ):
            answers = stream.map(sent)
            found = [next(answers) for _ in range(300)]
            first.process.kill()
            first.process.wait(processes.TIMEOUT_S)
            with processes.server(*arguments):
                found += _within(answers, 60)
                assert stream.reconnects >= 1
        assert [event for event, _ in found] == sent
        assert {result.status for _, result in found} == {200}
        check(sandbox, sent)


def _within(answers: Iterator[Any], seconds: float) -> list[Any]:
    """All that are left, if they come in time."""
    found: list[Any] = []
    thread = threading.Thread(target=found.extend, args=(answers,), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "the answers did not come"
    return found
