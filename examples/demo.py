"""What `make demo` shows: a hundred events through a real sidecar, and what became of each."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from ciosidecar import Result, read_results, v1
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
_WIDTH = 132


@contextmanager
def running_sidecar() -> Iterator[str]:
    """A sidecar in a process of its own; its address."""
    command = Path(sys.executable).with_name("ciosidecar")
    server = subprocess.Popen(
        [command, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        yield ready["listen"][0]
    finally:
        server.terminate()
        server.communicate(timeout=15)


def requests(events: list[bytes], config: bytes) -> Iterator[v1.TransformStreamRequest]:
    """The stream's messages: open, batches of 25, finish."""
    destination = v1.Destination(number=1, destination_ref="demo", config_json=config)
    yield v1.TransformStreamRequest(open=v1.Open(destinations=[destination]))
    for start in range(0, len(events), 25):
        items = [v1.Item(json=event) for event in events[start : start + 25]]
        batch = v1.Batch(batch_id=start, destination=1, items=items)
        yield v1.TransformStreamRequest(batch=batch)
    yield v1.TransformStreamRequest(finish=v1.Finish())


def stream(address: str, events: list[bytes], config: bytes) -> dict[int, Result]:
    """Each event's result, by its place among the events."""
    found = {}
    with grpc.insecure_channel(address) as channel:
        stub = v1.SidecarServiceStub(channel)
        for response in stub.TransformStream(requests(events, config), timeout=60):
            if response.HasField("results"):
                for result in read_results(response.results):
                    found[response.results.batch_id + result.position] = result
    return found


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
        return "[dim]in the batch below[/]", remarks
    request = result.requests[0]
    path = request.url.split("/api", 1)[1]
    events = f" ({len(request.positions)} events)" if len(request.positions) > 1 else ""
    return f"{request.method} {path[:46]}{events}", f"[yellow]{remarks}[/]"


def main() -> None:
    """Starts the sidecar, streams the events, prints the table."""
    events = (HERE / "events.jsonl").read_bytes().splitlines()
    config = (HERE / "destination.json").read_bytes()
    with running_sidecar() as address:
        results = stream(address, events, config)
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=_WIDTH)
    table = Table("#", "event", "name", "status", "Customer.io request", "remarks", box=None)
    for index, event in enumerate(events):
        request, remarks = what_became_of_it(results[index])
        kind, name = what_came_in(event)
        table.add_row(str(index + 1), kind, name, str(results[index].status), request, remarks)
    console.print(table)
    outcomes = Counter(result.status for result in results.values())
    console.print(
        f"\n{len(results)} events, one result each: {outcomes[200]} became requests,"
        f" {outcomes[298]} were filtered, {outcomes[400]} were refused with a reason.\n"
        "The same by hand: .venv/bin/ciosidecar transform examples/events.jsonl"
        " --config examples/destination.json"
    )


if __name__ == "__main__":
    main()
