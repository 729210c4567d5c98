"""Kill the example and the sidecar at random while events flow, and compare what arrived."""

import json
import os
import random
import signal
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from tests.engines.kafka.example import QUICK, Example, counters, example, flags
from tests.engines.kafka.topics import Topic, track
from tests.processes import TIMEOUT_S, Server, server
from tests.soak.delivery import events_of

# Some failures are answered by the sidecar itself, others come back.
FAULTS = "503=0.03,429=0.02,reset=0.005,reset-after=0.005"
_DELIVERY_TIMEOUT_S = "1"
WAYS = ("example killed", "sidecar killed", "sidecar drained")


class Load(NamedTuple):
    """What flows, and how often it is disturbed."""

    people: int
    each: int
    """Events of each person."""
    per_s: int
    kills: int
    every_s: tuple[float, float]
    """The shortest and the longest time between two kills."""
    seed: int
    within_s: float
    """When everything must be done, after the last kill."""


class Outcome(NamedTuple):
    """What arrived."""

    events: int
    arrivals: int
    """Operations that the sandbox answered with 200, repeats included."""
    kills: dict[str, int]
    seconds: float
    longest_pause_s: float
    """Between two arrivals."""
    cpu_s: float
    """Of all the examples."""
    problems: list[str]


class Run:
    """An example and a sidecar, each started again whenever it is killed."""

    def __init__(
        self, topic: Topic, dead_letters: Topic, sandbox_url: str, directory: Path
    ) -> None:
        self.topic = topic
        self.group = f"group-{topic.name}"
        self._directory = directory
        self._sandbox_url = sandbox_url
        self._socket = f"unix:{directory}/sidecar.sock"
        self._serve = (
            *("--listen", self._socket, "--customerio-url", sandbox_url),
            *("--delivery-rate", "10000", "--log-level", "error"),
        )
        self._arguments = [
            *flags(topic, dead_letters, self._socket),
            *("--delivery-timeout-s", _DELIVERY_TIMEOUT_S),
        ]
        self._stacks = {"example": ExitStack(), "sidecar": ExitStack()}
        self.kills = dict.fromkeys(WAYS, 0)
        self.cpu_s = 0.0
        self.example: Example
        self.sidecar: Server

    def __enter__(self) -> Self:
        self._start("sidecar")
        self._start("example")
        return self

    def __exit__(self, *_exception: object) -> None:
        for stack in self._stacks.values():
            stack.close()

    def end(self, way: str) -> None:
        """End a process in one of the WAYS, and start it again."""
        self.kills[way] += 1
        which = way.partition(" ")[0]
        if which == "example":
            self.cpu_s += cpu_s(self.example.process.pid)
        if way == "sidecar drained":
            self.sidecar.signal(signal.SIGTERM)
            self.sidecar.process.wait(TIMEOUT_S)
        self._stacks[which].close()  # kills it
        self._start(which)

    def revive(self) -> None:
        """Start an example again that found no sidecar when it started, as a supervisor does.

        On a busy machine, the start of the killed sidecar may take longer than the example waits for it.
        """
        code = self.example.process.poll()
        if code is not None:
            log = self.example.log()
            found_no_sidecar = code == 1 and self._socket in log and "assigned" not in log
            assert found_no_sidecar, log
            self._stacks["example"].close()
            self._start("example")

    def _start(self, which: str) -> None:
        stack = self._stacks[which]
        if which == "sidecar":
            self.sidecar = stack.enter_context(server(*self._serve))
        else:
            self.example = stack.enter_context(
                example(self._directory, *self._arguments, settings=QUICK)
            )

    def answered(self) -> tuple[dict[int, int], set[tuple[str, int]]]:
        """Return what the group has committed and, looked up later, what the sandbox has."""
        committed = self.topic.committed(self.group)
        return committed, {_identity(event["data"]) for event in events_of(self._sandbox_url)}

    def is_done(self) -> bool:
        """Return true if everything in the topic is committed."""
        return self.topic.committed(self.group) == self.topic.ends()


def disturbed(
    topic: Topic, dead_letters: Topic, sandbox_url: str, directory: Path, load: Load
) -> Outcome:
    """Let events flow, kill now and then, wait until everything is done, and compare."""
    dice = random.Random(load.seed)
    httpx.put(f"{sandbox_url}/sandbox/faults", json={"spec": FAULTS, "seed": load.seed})
    began = time.monotonic()
    writing = threading.Thread(target=_write, args=(topic, load))
    samples = []
    with Run(topic, dead_letters, sandbox_url, directory) as run:
        writing.start()
        for _ in range(load.kills):
            time.sleep(dice.uniform(*load.every_s))
            run.revive()
            run.end(dice.choice(WAYS))
            samples.append(run.answered())
        writing.join()
        ends_at = time.monotonic() + load.within_s
        while not run.is_done():
            assert time.monotonic() < ends_at, run.example.log()
            run.revive()
            time.sleep(0.2)
        seconds = time.monotonic() - began
        samples.append(run.answered())
        run.cpu_s += cpu_s(run.example.process.pid)
    events = events_of(sandbox_url)
    by_outcome = counters(sandbox_url)["by_outcome"]
    times = [event["at"] for event in events]
    return Outcome(
        len(events),
        by_outcome.get("applied", 0) + by_outcome.get("dropped", 0),
        run.kills,
        seconds,
        max(later - earlier for earlier, later in pairwise(times)),
        run.cpu_s,
        [*_missing_or_late(events, load), *_committed_too_far(topic, samples)],
    )


def _write(topic: Topic, load: Load) -> None:
    """Write the events of all people in turns, about so many a second."""
    for number in range(load.each):
        topic.write(track(f"p{person}", number) for person in range(load.people))
        time.sleep(load.people / load.per_s)


def _missing_or_late(events: list[Any], load: Load) -> list[str]:
    """Compare with the order in which each person's events first arrived. Repeats have no effect."""
    found: dict[str, list[int]] = {f"p{person}": [] for person in range(load.people)}
    for event in events:
        person, number = _identity(event["data"])
        found[person].append(number)
    wanted = list(range(load.each))
    return [f"{person}: {numbers}" for person, numbers in found.items() if numbers != wanted]


def _committed_too_far(topic: Topic, samples: list[Any]) -> list[str]:
    """Look for commits of events that had not arrived."""
    content = {
        (message.partition(), message.offset()): _identity(
            json.loads(message.value() or b"")["properties"]
        )
        for message in topic.read(sum(topic.ends().values()))
    }
    return [
        f"{partition}/{offset} is committed, and {content[partition, offset]} has not arrived"
        for committed, arrived in samples
        for partition, end in committed.items()
        for offset in range(end)
        if content[partition, offset] not in arrived
    ]


def _identity(properties: dict[str, Any]) -> tuple[str, int]:
    return properties["person"], properties["number"]


def cpu_s(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
