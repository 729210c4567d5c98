"""Memory of a server after many events, compared with a tenth of them. Each event is another one."""

from typing import Any

from . import load
from .events import events
from .implementations import ENVIRONMENTS, LABELS, SERVE, installed
from .machine import log
from .server_process import ServerProcess
from .tables import Table, counted

EVENTS = 1_000_000
"""Events of one implementation unless told otherwise. Both take less than two minutes."""
GROWS_WITHIN = 0.05
ROUND = 10_000
LEAST_EVENTS = 10 * ROUND


async def measure(count: int = EVENTS) -> dict[str, Any]:
    """Measure memory in MB of each installed implementation, after a tenth of the events and after all."""
    rounds = count // ROUND
    found: dict[str, Any] = {"events": rounds * ROUND}
    mix = [event for _, event in events(ROUND)]
    for name in installed():
        with ServerProcess(*SERVE, environment=ENVIRONMENTS[name]) as server:
            before = server.memory_bytes()
            for number in range(rounds):
                if number % max(1, rounds // 10) == 0:
                    log(f"memory: {LABELS[name]}, {number * ROUND:,} of {rounds * ROUND:,} events")
                await load.stream(server, fresh(mix, number), 100, 1)
                if number + 1 == rounds // 10:
                    tenth = server.memory_bytes()
            after = server.memory_bytes()
        found[name] = {
            "at_start_mb": before / 1e6,
            "after_a_tenth_mb": tenth / 1e6,
            "after_all_mb": after / 1e6,
            "growth": after / tenth - 1,
        }
    return found


def fresh(mix: list[bytes], number: int) -> list[bytes]:
    """Return the events with ids of their own: another user and another message in every round."""
    return [
        event.replace(b'"userId":"', b'"userId":"%d-' % number, 1).replace(
            b'"messageId":"', b'"messageId":"%d-' % number, 1
        )
        for event in mix
    ]


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure` returned, with whether the bound is met."""
    names = [name for name in LABELS if name in found]
    rows = []
    for name in names:
        one = found[name]
        sizes = (one["at_start_mb"], one["after_a_tenth_mb"], one["after_all_mb"])
        rows.append([LABELS[name], *(f"{size:.1f} MB" for size in sizes), f"{one['growth']:+.1%}"])
    missed = [LABELS[name] for name in names if found[name]["growth"] > GROWS_WITHIN]
    verdict = f"**missed** by {' and '.join(missed)}" if missed else "met"
    count = found["events"]
    header = [
        "",
        "at start",
        f"after {counted(count / 10)} events",
        f"after {counted(count)}",
        "growth",
    ]
    notes = [f"Bound: a growth of at most {GROWS_WITHIN:.0%}: {verdict}."]
    return [Table("memory of the server", header, rows, notes)]
