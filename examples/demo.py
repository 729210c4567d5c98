"""What `make demo` shows: a hundred events through a real sidecar, their requests to a sandbox.

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

import httpx
from ciosidecar import Answer, Client, Request, Result, StreamOptions
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
_WIDTH = 132
_SANDBOXED = "https://track-eu.customer.io"


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


def transform(address: str, events: list[bytes], destination: bytes) -> list[Answer]:
    """Every event with its result, in order."""
    options = StreamOptions(max_batch_events=25, client_name="demo")
    with Client(address) as client, client.stream(destination, options) as stream:
        return list(stream.map(events))


def deliver(url: str, requests: list[Request]) -> Counter[int]:
    """Sends the requests to the sandbox, one after another; how often it answered what."""
    statuses = Counter[int]()
    with httpx.Client(trust_env=False) as client:
        for request in requests:
            target = request.url.replace(_SANDBOXED, url)
            answer = client.request(
                request.method, target, content=request.body, headers=request.headers
            )
            statuses[answer.status_code] += 1
    return statuses


def what_came_in(event: bytes) -> tuple[str, str]:
    """The type and the name of an event, for the table."""
    found = json.loads(event)
    name = found.get("event") or found.get("name") or found.get("groupId") or ""
    return str(found.get("type", "-")), str(name)[:28]


def what_became_of_it(result: Result) -> tuple[str, str]:
    """The request and the remarks, for the table."""
    remarks = ", ".join(warning.code for warning in result.warnings)
    if result.error is not None:
        return "", f"[red]{result.error.code}[/]"
    if result.filter_reason is not None:
        return "", f"[yellow]filtered: {result.filter_reason}[/]"
    if not result.requests:
        return "[dim]in a batch below[/]", remarks
    request = result.requests[0]
    path = request.url.split("/api", 1)[1]
    events = f" ({len(request.positions)} events)" if len(request.positions) > 1 else ""
    return f"{request.method} {path[:46]}{events}", f"[yellow]{remarks}[/]"


def show(console: Console, answers: list[Answer]) -> None:
    """The table: what came in, what it became."""
    table = Table("#", "event", "name", "status", "Customer.io request", "remarks", box=None)
    for number, (event, result) in enumerate(answers, 1):
        request, remarks = what_became_of_it(result)
        kind, name = what_came_in(event)
        table.add_row(str(number), kind, name, str(result.status), request, remarks)
    console.print(table)
    outcomes = Counter(result.status for _, result in answers)
    console.print(
        f"\n{len(answers)} events, one result each: {outcomes[200]} became requests,"
        f" {outcomes[298]} were filtered, {outcomes[400]} were refused with a reason."
    )


def main() -> None:
    """Starts both, streams the events, prints what became of them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that both end with this
    events = (HERE / "events.jsonl").read_bytes().splitlines()
    destination = (HERE / "destination.json").read_bytes()
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_WIDTH)
    keep = bool(os.environ.get("KEEP"))
    listen = "127.0.0.1:8089" if keep else "127.0.0.1:0"
    with (
        running("serve", "--listen", "127.0.0.1:0") as sidecar,
        running("sandbox", "--listen", listen) as sandbox,
    ):
        answers = transform(sidecar["listen"][0], events, destination)
        show(console, answers)
        requests = [request for _, result in answers for request in result.requests]
        statuses = deliver(sandbox["url"], requests)
        counters = httpx.get(f"{sandbox['url']}/sandbox/counters", trust_env=False).json()
        console.print(
            f"{len(requests)} requests to a Customer.io on loopback, answered {dict(statuses)}:"
            f" it has {counters['people']} people, {counters['events']} events and"
            f" {counters['objects']} objects now."
        )
        console.print("The same by hand: .venv/bin/ciosidecar transform examples/events.jsonl")
        console.print("                     --config examples/destination.json")
        if keep:
            console.print(f"Look at them on {sandbox['url']}/ until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        else:
            console.print(
                f"They were on {sandbox['url']}/; make demo KEEP=1 lets you look at them."
            )


if __name__ == "__main__":
    main()
