"""What `make demo` shows: a hundred events, delivered by a real sidecar to a sandbox that fails at times.

With KEEP=1 in the environment both stay up until Ctrl-C, to be looked at.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from ciosidecar import Answer, Client, DeliveryOptions, Result, StreamOptions
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
_WIDTH = 132
# Every tenth request or so fails, so that there is something to try again.
_FAULTS = "503=0.06,429=0.04"
_NOT_TAKEN = ("fault", "refused")


@contextmanager
def running(*arguments: str) -> Iterator[dict[str, Any]]:
    """A command of ours in a process of its own; what it says when it is ready."""
    command = Path(sys.executable).with_name("ciosidecar")
    with subprocess.Popen([command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise SystemExit(1)  # it has said why
            yield json.loads(ready)
        finally:
            process.terminate()


def deliver(address: str, events: list[bytes], destination: bytes) -> list[Answer]:
    """Every event with what became of it, in order."""
    options = StreamOptions(max_batch_events=25, client_name="demo")
    how = DeliveryOptions(include_requests=True)
    with Client(address) as client, client.stream(destination, options, deliver=how) as stream:
        return list(stream.map(events))


def get(url: str) -> Any:
    """JSON of the sandbox's."""
    with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
        return json.load(answer)


def reported(answers: list[Answer]) -> Counter[str]:
    """The path of each operation that was reported delivered, and how often it was."""
    return Counter(
        urlsplit(request.url).path
        for answer in answers
        if answer.result.status == 200
        for request in answer.result.requests
        for _ in request.positions
    )


def taken(url: str) -> Counter[str]:
    """The same of the operations that the sandbox has taken."""
    rows = get(f"{url}/sandbox/requests?limit=1000")["requests"]
    return Counter(row["path"] for row in rows if row["outcome"] not in _NOT_TAKEN)


def what_came_in(event: bytes) -> tuple[str, str]:
    """The type and the name of an event, for the table."""
    found = json.loads(event)
    name = found.get("event") or found.get("name") or found.get("groupId") or ""
    return str(found.get("type", "-")), str(name)[:28]


def what_became_of_it(result: Result) -> tuple[str, str, str]:
    """The outcome, the attempts it took and the remarks, for the table."""
    remarks = ", ".join(warning.code for warning in result.warnings)
    attempts = str(result.delivery.attempts) if result.delivery is not None else ""
    if result.error is not None:
        return "[red]refused[/]", attempts, f"[red]{result.error.code}[/]"
    if result.filter_reason is not None:
        return "[yellow]filtered[/]", attempts, f"[yellow]{result.filter_reason}[/]"
    return "delivered", attempts, f"[yellow]{remarks}[/]"


def call(result: Result) -> str:
    """The request, for the table."""
    if not result.requests:
        return "[dim]in a batch below[/]" if result.status == 200 else ""
    request = result.requests[0]
    events = f" ({len(request.positions)} events)" if len(request.positions) > 1 else ""
    return f"{request.method} {request.url.split('/api', 1)[1][:34]}{events}"


def show(console: Console, answers: list[Answer]) -> None:
    """The table, what came in and what became of it, and the sum of it."""
    columns = ("#", "event", "name", "outcome", "attempts", "Customer.io request", "remarks")
    table = Table(*columns, box=None)
    for number, (event, result) in enumerate(answers, 1):
        kind, name = what_came_in(event)
        outcome, attempts, remarks = what_became_of_it(result)
        table.add_row(str(number), kind, name, outcome, attempts, call(result), remarks)
    console.print(table)
    outcomes = Counter(result.status for _, result in answers)
    retried = sum(
        result.delivery is not None and result.delivery.attempts > 1 for _, result in answers
    )
    console.print(
        f"\n{len(answers)} events, one result each: {outcomes[200]} were delivered ({retried} of them"
        f" took another attempt), {outcomes[298]} were filtered, {outcomes[400]} were refused."
    )


def main() -> None:
    """Starts both, streams the events, prints what became of them, and looks whether it is true."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that both end with this
    events = (HERE / "events.jsonl").read_bytes().splitlines()
    destination = (HERE / "destination.json").read_bytes()
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_WIDTH)
    keep = bool(os.environ.get("KEEP"))
    listen = "127.0.0.1:8089" if keep else "127.0.0.1:0"
    with (
        running("sandbox", "--listen", listen, "--fault", _FAULTS, "--seed", "7") as sandbox,
        running("serve", "--listen", "127.0.0.1:0", "--customerio-url", sandbox["url"]) as sidecar,
    ):
        url = sandbox["url"]
        answers = deliver(sidecar["listen"][0], events, destination)
        show(console, answers)
        counters = get(f"{url}/sandbox/counters")
        told = reported(answers)
        if told != taken(url):
            raise SystemExit("what was reported delivered is not what the sandbox has")
        console.print(
            f"The sandbox, a Customer.io on loopback, has each of the {told.total()} once:"
            f" {counters['people']} people, {counters['events']} events and"
            f" {counters['objects']} objects."
        )
        console.print("The same by hand, with a sandbox of your own (ciosidecar sandbox):")
        console.print("  .venv/bin/ciosidecar deliver examples/events.jsonl \\")
        console.print(
            "    --config examples/destination.json --customerio-url http://127.0.0.1:8089"
        )
        if keep:
            console.print(f"Look at them on {url}/ until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        else:
            console.print(f"They were on {url}/; make demo KEEP=1 lets you look at them.")


if __name__ == "__main__":
    main()
