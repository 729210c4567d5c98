"""The example as a process, as an operator starts it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

from tests.engines.kafka.topics import Topic
from tests.soak.delivery import events_of

EXAMPLES = Path(__file__).parents[3] / "examples"
CONFIG = '{"siteID": "site", "apiKey": "key"}'
WITHIN_S = 90
# A member notices soon that another one joins, and a busy machine takes no member out of the group.
PATIENT = "consumer.session.timeout.ms=45000\nconsumer.heartbeat.interval.ms=500\n"
# A member that is killed or stopped leaves the group soon.
QUICK = "consumer.session.timeout.ms=2000\nconsumer.heartbeat.interval.ms=500\n"


class Example:
    """A running example."""

    def __init__(self, process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
        self.process = process
        self._errors = errors

    def log(self) -> str:
        """Return stderr so far."""
        return os.pread(self._errors.fileno(), 1 << 24, 0).decode()

    def says(self, *texts: str) -> None:
        """Wait until the log has each of the texts."""
        self.until(lambda: all(text in self.log() for text in texts), f"not said: {texts}")

    def until(
        self, condition: Callable[[], bool], what: str = "", within_s: float = WITHIN_S
    ) -> None:
        """Wait until a condition holds while the example runs."""

        def holds() -> bool:
            if condition():
                return True
            assert self.process.poll() is None, self.log()
            return False

        until(holds, lambda: f"{what}\n{self.log()}", within_s)

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal. Return the exit code and stderr."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(WITHIN_S), self.log()


@contextmanager
def example(
    directory: Path, *arguments: str, settings: str = PATIENT, config: str | None = CONFIG
) -> Iterator[Example]:
    """Yield an example with the given arguments, ended at the latest with the block.

    settings: of Kafka. config: of the destination, or None for no file of it.
    """
    files = ["--kafka-settings", _write(directory / "kafka.properties", settings)]
    if config is not None:
        files += ["--config", _write(directory / "destination.json", config)]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-m", "kafka_to_customerio", *files, *arguments],
            cwd=EXAMPLES,
            stdout=errors,
            stderr=errors,
        ) as process,
    ):
        try:
            yield Example(process, errors)
        finally:
            process.kill()


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def flags(topic: Topic, dead_letters: Topic, target: str, group: str = "group") -> list[str]:
    """Return the arguments that every test needs."""
    return [
        *("--bootstrap-servers", topic.address, "--topic", topic.name),
        *("--dead-letter-topic", dead_letters.name, "--group", f"{group}-{topic.name}"),
        *("--target", target, "--report-every-s", "1", "--commit-every-s", "0.2"),
        *("--max-pause-s", "1"),
    ]


def until(
    condition: Callable[[], bool], why: Callable[[], str] = str, within_s: float = WITHIN_S
) -> None:
    """Wait until a condition holds."""
    ends_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends_at, why()
        time.sleep(0.05)


def arrived(sandbox_url: str) -> dict[str, list[int]]:
    """Return the numbers of the events that the sandbox has, by person, in order of arrival."""
    found: dict[str, list[int]] = {}
    for event in events_of(sandbox_url):
        data: dict[str, Any] = event["data"]
        found.setdefault(data["person"], []).append(data["number"])
    return found


def counters(sandbox_url: str) -> dict[str, Any]:
    """Return the sandbox's counters."""
    found: dict[str, Any] = json.loads(httpx.get(f"{sandbox_url}/sandbox/counters").content)
    return found
