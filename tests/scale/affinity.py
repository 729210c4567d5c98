"""What affinity costs an event: the CPU time of the client, beside a plain stream's, in one run.

`.venv/bin/python -m tests.scale affinity` (or `make scale`) prints the table of docs/scaling/affinity.md.
"""

import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

from ciosidecar import Affinity, Client, StreamOptions
from ciosidecar.affinity import person_key, slot_of

from tests.processes import server

EVENTS = 10_000
ROUNDS = 3
SIDECARS = 2
CONFIG = b'{"siteID": "site", "apiKey": "key"}'


def tracks(count: int) -> list[bytes]:
    """Return events of a usual size, of a thousand persons."""
    properties = {f"property_{number}": "x" * 20 for number in range(12)}
    return [
        json.dumps(
            {
                "type": "track",
                "messageId": f"m-{number}",
                "context": {"traits": {"userId": "not this one"}, "locale": "en-GB"},
                "event": "Order Completed",
                "properties": properties,
                "userId": f"user-{number % 1000}",
            }
        ).encode()
        for number in range(count)
    ]


def cpu_us(step: Callable[[], None], count: int) -> float:
    """Return the CPU time of this process for a step, in microseconds for each of its events."""
    began = time.process_time()
    step()
    return (time.process_time() - began) * 1e6 / count


def main() -> None:
    """Print the cost of an event on a plain stream, on one with affinity, and of its key alone."""
    events = tracks(EVENTS)
    with ExitStack() as stack:
        fleet = [
            stack.enter_context(server("--listen", "127.0.0.1:0", "--log-level", "error"))
            for _ in range(SIDECARS)
        ]
        client = stack.enter_context(Client([sidecar.addresses[0] for sidecar in fleet]))

        def play(affinity: Affinity | None) -> None:
            with client.stream(CONFIG, StreamOptions(affinity=affinity)) as stream:
                assert sum(1 for _ in stream.map(events)) == EVENTS

        def keys() -> None:
            for event in events:
                slot_of(person_key(event, event))

        play(Affinity.PERSON)
        costs: dict[str, list[float]] = {"plain": [], "affinity": [], "its key": []}
        for _ in range(ROUNDS):
            costs["plain"].append(cpu_us(lambda: play(None), EVENTS))
            costs["affinity"].append(cpu_us(lambda: play(Affinity.PERSON), EVENTS))
            costs["its key"].append(cpu_us(keys, EVENTS))
    medians = {name: statistics.median(values) for name, values in costs.items()}
    print(f"{EVENTS} events of {len(events[0])} bytes, {SIDECARS} sidecars, median of {ROUNDS}")
    for name, microseconds in medians.items():
        ratio = microseconds / medians["plain"]
        print(f"{name:10} {microseconds:7.1f} µs CPU an event  {ratio:5.2f} of a plain stream")


if __name__ == "__main__":
    main()
