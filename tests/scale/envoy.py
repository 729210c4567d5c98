"""Callers of four languages behind Envoy for some minutes, while processes are killed, drained and replaced at random.

    MINUTES=3 .venv/bin/python -m tests.scale envoy

It fails if a promise breaks (tests/engines/envoy/judging.py), or if a caller waits longer than the limit there. Then
it measures the CPU time that Envoy adds to each event.
"""

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ciosidecar import Client, StreamOptions, Tls

from tests.engines.envoy import proxy
from tests.engines.envoy.callers import Caller, calling, finish
from tests.engines.envoy.fleet import CONFIG, Arrival, Sidecar, event, now
from tests.engines.envoy.judging import Faults, problems, repeats, too_long
from tests.engines.envoy.standing import Standing, standing
from tests.polyglot.languages import LANGUAGES

SEED = 14
CALM_S = 10.0
MEASURED_EVENTS = 100_000
_CLOCK_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run both parts, and print their tables."""
    for language in LANGUAGES:
        language.make()
    with tempfile.TemporaryDirectory() as directory:
        found = endure(Path(directory) / "endure", float(os.environ.get("MINUTES", "3")))
        measure(Path(directory) / "measure")
    for problem in found[:20]:
        print(problem, file=sys.stderr)
    if found:
        sys.exit(1)


def endure(directory: Path, minutes: float) -> list[str]:
    """Let callers stream while processes end at random. Return the promises that broke."""
    dice, faults, done = random.Random(SEED), Faults(), Counter[str]()
    with standing(directory) as stands, contextlib.ExitStack() as envoys:
        with calling(stands.opening()) as callers:
            time.sleep(CALM_S)
            undisturbed_until = now()
            while now() < undisturbed_until + minutes * 60:
                kind = dice.choice(("sidecar killed", "sidecar drained", "Envoy replaced"))
                done[kind] += 1
                if kind == "Envoy replaced":
                    stands.envoy = _replaced(stands, envoys, faults, done[kind])
                else:
                    _ended(stands, faults, dice.choice(stands.fleet.sidecars), kind)
                time.sleep(dice.uniform(1, 5))
            finish(callers)
        arrivals = stands.fleet.arrivals()
    print(
        f"{minutes:g} minutes: "
        + ", ".join(f"{kind} {count} times" for kind, count in done.items())
    )
    _print_table(callers, arrivals)
    return problems(callers, arrivals, faults) + too_long(callers, undisturbed_until)


def _ended(stands: Standing, faults: Faults, sidecar: Sidecar, kind: str) -> None:
    """End a sidecar, and start it again."""
    drain = kind == "sidecar drained"
    with faults.fault(drain=drain):
        sidecar.end(signal.SIGTERM if drain else signal.SIGKILL)
    sidecar.start()
    stands.envoy.wait_until_healthy(len(stands.fleet.sidecars))


def _replaced(
    stands: Standing, envoys: contextlib.ExitStack, faults: Faults, number: int
) -> proxy.Envoy:
    """Start another Envoy on the port, and end the old one."""
    directory = stands.directory / f"envoy-{number}"
    another = envoys.enter_context(proxy.running(stands.configuration, directory))
    another.wait_until_healthy(len(stands.fleet.sidecars))
    stands.envoy.post("/drain_listeners?graceful&skip_exit")
    time.sleep(1)
    with faults.fault():
        stands.envoy.end()
    return another


def _print_table(callers: list[Caller], arrivals: list[Arrival]) -> None:
    again = repeats(arrivals)
    print(
        f"{'':<12}{'events':>9}{'answers':>9}{'given back':>12}{'again':>7}{'reconnects':>12}{'longest gap':>13}"
    )
    for caller in callers:
        record = caller.record
        given_back = sum(answer["status"] != 200 for answer in record.answers)
        print(
            f"{caller.name:<12}{len(record.sent_at):>9,}{len(record.answers):>9,}{given_back:>12,}"
            f"{again[caller.name]:>7,}{record.end['reconnects']:>12,}{record.longest_gap_s():>11.2f} s"
        )


def measure(directory: Path) -> None:
    """Print the CPU time of Envoy and of the sidecars for each event of a stream that transforms."""
    with standing(directory) as stands:
        files = stands.certificates.caller_files()
        tls = Tls.from_files(files["ca_file"], files["key_file"], files["certificate_file"])
        events = [event("load", index, 1000) for index in range(1000)]
        with Client(stands.address, tls=tls) as client:
            print(f"{'events a batch':<16}{'Envoy, µs':>12}{'sidecar, µs':>14}{'Envoy adds':>12}")
            for size in (1, 20, 200):
                _print_cpu(stands, client, events, size, MEASURED_EVENTS if size > 1 else 10_000)


def _print_cpu(
    stands: Standing, client: Client, events: list[bytes], size: int, count: int
) -> None:
    options = StreamOptions(max_batch_events=size, max_outstanding_events=2000)
    before = _cpu_s(stands)
    with client.stream(CONFIG.encode(), options=options) as stream:
        for _ in stream.map(events[index % 1000] for index in range(count)):
            pass
    envoy_s, sidecars_s = (
        after - earlier for after, earlier in zip(_cpu_s(stands), before, strict=True)
    )
    print(
        f"{size:<16}{envoy_s / count * 1e6:>12.1f}{sidecars_s / count * 1e6:>14.1f}"
        f"{envoy_s / sidecars_s:>12.0%}"
    )


def _cpu_s(stands: Standing) -> tuple[float, float]:
    return (
        _process_cpu_s(stands.envoy.process.pid),
        sum(_process_cpu_s(sidecar.process_id) for sidecar in stands.fleet.sidecars),
    )


def _process_cpu_s(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _CLOCK_TICK_S
