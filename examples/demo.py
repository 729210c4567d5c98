"""Deliver a hundred events with a real sidecar to a sandbox that injects faults, for `make demo`.

With KEEP=1 in the environment, the sidecar and the sandbox run until Ctrl-C.
"""

import json
import os
import signal
import socket
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
_WIDTH = 80
_REQUEST_WIDTH = 33
# About every tenth request fails, so that the demo shows retries.
_FAULTS = "503=0.06,429=0.04"
_NOT_ACCEPTED = ("fault", "refused")
_LISTEN = "127.0.0.1:8089"
_ANY_PORT = "127.0.0.1:0"


@contextmanager
def running(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run a command of ciosidecar as a process, and return the members of its ready line."""
    command = Path(sys.executable).with_name("ciosidecar")
    with subprocess.Popen([command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise SystemExit(1)  # the command printed the reason on stderr
            yield json.loads(ready)
        finally:
            process.terminate()


def deliver(address: str, events: list[bytes], destination: bytes) -> list[Answer]:
    """Deliver events and return their answers, in order."""
    options = StreamOptions(max_batch_events=25, client_name="demo")
    delivery = DeliveryOptions(include_requests=True)
    with Client(address) as client, client.stream(destination, options, deliver=delivery) as stream:
        return list(stream.map(events))


def get(url: str) -> Any:
    """Return JSON from the sandbox's admin API."""
    with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
        return json.load(answer)


def reported(answers: list[Answer]) -> Counter[str]:
    """Count the operations that the sidecar reported as delivered, by path."""
    return Counter(
        urlsplit(request.url).path
        for answer in answers
        if answer.result.status == 200
        for request in answer.result.requests
        for _ in request.positions
    )


def accepted(url: str) -> Counter[str]:
    """Count the operations that the sandbox accepted, by path."""
    rows = get(f"{url}/sandbox/requests?limit=1000")["requests"]
    return Counter(row["path"] for row in rows if row["outcome"] not in _NOT_ACCEPTED)


def event_columns(event: bytes) -> tuple[str, str]:
    """Return the type and the name of an event, for the table."""
    decoded = json.loads(event)
    name = decoded.get("event") or decoded.get("name") or decoded.get("groupId") or ""
    return str(decoded.get("type", "-")), str(name)[:16]


def result_columns(result: Result) -> tuple[str, str, str]:
    """Return the outcome, the attempts, and the request or the reason, for the table."""
    attempts = str(result.delivery.attempts) if result.delivery is not None else ""
    if result.error is not None:
        return "[red]rejected[/]", attempts, f"[red]{result.error.code}[/]"
    if result.filter_reason is not None:
        return "[yellow]filtered[/]", attempts, f"[yellow]{result.filter_reason}[/]"
    warnings = "".join(f"\n[yellow]{warning.code}[/]" for warning in result.warnings)
    return "delivered", attempts, call(result) + warnings


def call(result: Result) -> str:
    """Return the request of a result, for the table."""
    if not result.requests:
        return "[dim]in a batch below[/]"
    request = result.requests[0]
    events = f" ({len(request.positions)} events)" if len(request.positions) > 1 else ""
    words = f"{request.method} {request.url.split('/api', 1)[1]}{events}"
    return words if len(words) <= _REQUEST_WIDTH else words[: _REQUEST_WIDTH - 1] + "…"


def show(console: Console, answers: list[Answer]) -> None:
    """Print the table of events with their outcomes, and the totals."""
    columns = ("#", "event", "name", "outcome", "tries", "request, or reason")
    table = Table(*columns, box=None, padding=(0, 1, 0, 0))
    for number, (event, result) in enumerate(answers, 1):
        table.add_row(str(number), *event_columns(event), *result_columns(result))
    console.print(table)
    outcomes = Counter(result.status for _, result in answers)
    retried = sum(
        result.delivery is not None and result.delivery.attempts > 1 for _, result in answers
    )
    console.print(
        f"\n{len(answers)} events, one result each: {outcomes[200]} were delivered ({retried} of them"
        f" took another attempt), {outcomes[298]} were filtered, {outcomes[400]} were rejected by the"
        " sidecar, which sent nothing for them."
    )


def compare(console: Console, url: str, delivered: Counter[str]) -> None:
    """Print what the sandbox has, and why its page counts otherwise than the table.

    Raises:
        SystemExit: The sandbox does not have what the sidecar reported as delivered.
    """
    if delivered != accepted(url):
        raise SystemExit("the sandbox does not have what the sidecar reported as delivered")
    counters = get(f"{url}/sandbox/counters")
    outcomes = Counter(counters["by_outcome"])
    console.print(
        f"\nThe sandbox, a local simulator of Customer.io, has each of the {delivered.total()} once:"
        f" {counters['people']} people, {counters['events']} events and"
        f" {counters['objects']} objects. Its page counts what reached it:"
    )
    console.print(
        f"  {outcomes['fault']} attempts that failed by an injected fault and were retried,"
    )
    console.print(f"  {outcomes['refused']} refused: the sidecar had rejected those events before,")
    console.print(f"  {outcomes['dropped']} dropped: answered with 200, and without any effect:")
    for row in get(f"{url}/sandbox/requests?limit=1000")["requests"]:
        if row["outcome"] == "dropped":
            console.print(f"    {row['call']}: {row['reason']}")


def free(listen: str) -> str:
    """Return an address if no other program has its port, else an address with any free port."""
    host, _, port = listen.rpartition(":")
    with suppress(OSError), socket.create_server((host, int(port))):
        return listen
    print(f"{listen} is taken, so the sandbox's page has another port.", file=sys.stderr)
    return _ANY_PORT


def main() -> None:
    """Run the demo, and compare the sidecar's results with the sandbox's log."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the processes end with this one
    events = (HERE / "events.jsonl").read_bytes().splitlines()
    destination = (HERE / "destination.json").read_bytes()
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_WIDTH)
    keep = bool(os.environ.get("KEEP"))
    listen = free(_LISTEN) if keep else _ANY_PORT
    with (
        running("sandbox", "--listen", listen, "--fault", _FAULTS, "--seed", "7") as sandbox,
        running(
            *("serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"),
            *("--log-level", "error"),
            *("--customerio-url", sandbox["url"]),
        ) as sidecar,
    ):
        url = sandbox["url"]
        answers = deliver(sidecar["listen"][0], events, destination)
        show(console, answers)
        compare(console, url, reported(answers))
        console.print("\nTo do the same by hand, start ciosidecar sandbox, then:")
        console.print("  .venv/bin/ciosidecar deliver examples/events.jsonl \\")
        console.print(
            "    --config examples/destination.json --customerio-url http://127.0.0.1:8089"
        )
        if keep:
            console.print(f"The page is on {url}/ until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        else:
            console.print(f"The page was on {url}/; make demo KEEP=1 keeps it.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
