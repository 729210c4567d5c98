"""Events a second through each client, sent one at a time, with and without sharing messages."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ciosidecar import Client, StreamOptions

from tests.polyglot.languages import LANGUAGES, ROOT

from .events import CONFIG, events
from .implementations import SERVE
from .server_process import ServerProcess
from .tables import Table, counted

EVENTS = 5_000
WAYS = ("coalesced", "one_a_message", "one_at_a_time")
"""Gathered into messages by the stream; each in a message of its own, without waiting; each when the
one before is answered."""
_WITHIN_S = 300

Rates = dict[str, float]


def python(address: str, _file: Path) -> Rates:
    """Measure the synchronous Python client in this process."""
    mix = [event for _, event in events(EVENTS)]
    found = {}
    for way, options, count in (
        ("coalesced", StreamOptions(max_batch_events=100), 4 * EVENTS),
        ("one_a_message", StreamOptions(max_batch_events=1), EVENTS),
        ("one_at_a_time", StreamOptions(max_batch_events=1, max_outstanding_events=1), EVENTS // 2),
    ):
        sent = (mix * 4)[:count]
        with Client(address) as client, client.stream(CONFIG, options) as stream:
            start = time.perf_counter()
            answered = sum(answer.result.status == 200 for answer in stream.map(sent))
            found[way] = answered / (time.perf_counter() - start)
    return found


def go(_address: str, _file: Path) -> Rates:
    """Run the client's own benchmarks, which start their own sidecar."""
    ways = {"coalesced": "coalesced", "message-each": "one_a_message"}
    ways["one-at-a-time"] = "one_at_a_time"
    command = ("go", "test", "-run", "^$", "-bench", "Stream", "-benchtime", "2s", ".")
    output = _output(command, ROOT / "client" / "go")
    measured = re.findall(
        r"^BenchmarkStream/([\w-]+?)(?:-\d+)?\s.*?([\d.]+) ev/s", output, re.MULTILINE
    )
    return {ways[name]: float(rate) for name, rate in measured}


def typescript(address: str, file: Path) -> Rates:
    """Run `npm run bench`."""
    command = ("npm", "run", "bench", "--silent", "--", address, str(file))
    return _ways(json.loads(_output(command, ROOT / "client" / "node").splitlines()[-1]))


def java(address: str, file: Path) -> Rates:
    """Run the client's benchmark program."""
    classes = 'target/test-classes:target/classes:$(cat target/test-classpath.txt)"'
    command = f'exec java -Xmx512m -cp "{classes} dev.ciosidecar.bench.Benchmark "$@"'
    output = _output(("sh", "-c", command, "sh", address, str(file)), ROOT / "client" / "java")
    return _ways(json.loads(output.splitlines()[-1]))


def _ways(told: Rates) -> Rates:
    return {
        name.removesuffix("_events_per_s").replace("one_event_a", "one_a"): rate
        for name, rate in told.items()
    }


def _output(command: tuple[str, ...], directory: Path) -> str:
    environment = os.environ | {"CIOSIDECAR": str(Path(sys.executable).parent / "ciosidecar")}
    return subprocess.run(
        command,
        cwd=directory,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_WITHIN_S,
        process_group=0,  # Ctrl-C at the terminal reaches the bench alone
    ).stdout


_MEASURE: dict[str, Callable[[str, Path], Rates]] = {
    "python": python,
    "go": go,
    "typescript": typescript,
    "java": java,
}


def measure() -> dict[str, Rates]:
    """Measure events a second by language and way; print the languages whose tools are missing."""
    found = {}
    # The clients start processes of their own, which inherit this: they may use both cores.
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with tempfile.TemporaryDirectory() as directory, ServerProcess(*SERVE) as sidecar:
        file = Path(directory) / "events.jsonl"
        file.write_bytes(b"".join(event + b"\n" for _, event in events(EVENTS)))
        for language in LANGUAGES:
            if reason := language.missing():
                print(f"NOT MEASURED: {language.name}: {reason}", file=sys.stderr)
                continue
            language.make()
            found[language.name] = _MEASURE[language.name](sidecar.address, file)
    return found


def tables(found: dict[str, Rates]) -> list[Table]:
    """Return the table of what `measure` returned."""
    rows = [
        [name, *(counted(rates[way]) for way in WAYS), f"{rates[WAYS[0]] / rates[WAYS[-1]]:.0f}"]
        for name, rates in found.items()
    ]
    header = [
        "",
        "gathered by the client",
        "one event a message, without waiting",
        "one event a message, after the previous result",
        "gathered is so many times as fast",
    ]
    return [Table("events a second, by client", header, rows)]
