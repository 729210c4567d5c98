"""Load on a sandbox in a process of its own: `.venv/bin/python -m tests.sandbox.load`. Figures, no test."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.arguments import parser_of

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 16
SECONDS = 5.0
PEOPLE = 1000
BATCH_ITEMS = 1000
AUTHORIZATION = "Basic c2l0ZTprZXk="


def request(method: str, path: str, body: object) -> bytes:
    """Return one HTTP request as bytes."""
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {AUTHORIZATION}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def v1_requests() -> list[bytes]:
    """Return identify and event in turn, of a thousand people."""
    found = []
    for number in range(PEOPLE):
        attributes = {
            "email": f"person{number}@example.com",
            "first_name": "Jane",
            "plan": "premium",
            "created_at": 1_700_000_000,
            "_timestamp": 1_700_000_000,
            "address": {"city": "Berlin"},
        }
        found.append(request("PUT", f"/api/v1/customers/user-{number}", attributes))
        event = {
            "name": "Order Completed",
            "type": "event",
            "timestamp": 1_700_000_000,
            "data": {"order_id": f"o{number}", "total": 99.5, "products": [{"sku": "a"}] * 3},
        }
        found.append(request("POST", f"/api/v1/customers/user-{number}/events", event))
    return found


def v2_requests() -> list[bytes]:
    """Return batches of a thousand: half identify, half event."""
    batches = []
    for start in range(0, PEOPLE, BATCH_ITEMS // 2):
        items = []
        for number in range(start, start + BATCH_ITEMS // 2):
            who = {"id": f"user-{number}"}
            items.append(
                {
                    "type": "person",
                    "action": "identify",
                    "identifiers": who,
                    "timestamp": 1_700_000_000,
                    "attributes": {
                        "email": f"person{number}@example.com",
                        "first_name": "Jane",
                        "plan": "premium",
                        "created_at": 1_700_000_000,
                    },
                }
            )
            items.append(
                {
                    "type": "person",
                    "action": "event",
                    "identifiers": who,
                    "name": "Order Completed",
                    "timestamp": 1_700_000_000,
                    "attributes": {"order_id": f"o{number}", "total": 99.5, "sku": ["a", "b"]},
                }
            )
        batches.append(request("POST", "/api/v2/batch", {"batch": items}))
    return batches


async def drive(port: int, requests: list[bytes]) -> int:
    """Send requests over all connections for a while. Return how many were answered with 200."""
    deadline = time.monotonic() + SECONDS
    done = 0

    async def one(first: int) -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = first
        while time.monotonic() < deadline:
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            await reader.readexactly(2)
            done += 1
            number += CONNECTIONS
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return done


def measure(name: str, requests: list[bytes], operations: int) -> None:
    """Print requests and operations a second, and the server's CPU and memory for them."""
    command = [sys.executable, "-m", "ciosidecar_server", "sandbox", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        os.sched_setaffinity(server.pid, {SERVER_CORE})
        assert server.stdout is not None
        port = int(json.loads(server.stdout.readline())["url"].rpartition(":")[2])
        started = time.monotonic()
        count = asyncio.run(drive(port, requests))
        wall_s = time.monotonic() - started
        stat = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        server.terminate()
    print(
        f"{name}: {count / wall_s:,.0f} requests/s, {count * operations / wall_s:,.0f}"
        f" operations/s, server CPU {cpu_s / wall_s:.0%} of a core,"
        f" {pages * os.sysconf('SC_PAGESIZE') / 2**20:,.0f} MiB"
    )


if __name__ == "__main__":
    parser_of("tests.sandbox.load", __doc__).parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    measure("v1", v1_requests(), 1)
    measure("v2 batch", v2_requests(), BATCH_ITEMS)
