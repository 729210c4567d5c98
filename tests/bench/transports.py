"""The cost of a request by HTTP client: CPU of the client's process, and requests a second on a core.

    .venv/bin/python -m tests.bench.transports [--requests 1000] [--repeats 5] [NAME ...]

Each client sends 340-byte bodies with credentials to a null server on another core, so many at a time as it has
connections. Rounds are interleaved, and medians shown. Clients that are not installed are left out; those that the
project does not use are httpx-aiohttp, pyreqwest, httpx2 and niquests.
"""

import asyncio
import importlib
import statistics
import time
import urllib.request
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import httpx
import uvloop
from ciosidecar_server.delivery.http_transport import HttpTransport
from rich.console import Console
from rich.table import Table
from yarl import URL

from tests.arguments import parser_of, positive_int, require_known

from .server_process import ServerProcess, take_load_core

CONNECTIONS = (1, 8, 32, 100)
BODY = b'{"name":"Order Completed","data":{"products":"' + b"x" * 292 + b'"}}'
HEADERS = {
    "Authorization": "Basic c2l0ZTphLXNlY3JldC1rZXk=",
    "Content-Type": "application/json",
}
MOST = CONNECTIONS[-1]


class Client(NamedTuple):
    """An HTTP client to measure."""

    send: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[object]]


def _of_httpx(module: Any, **settings: Any) -> Callable[[str], Client]:
    def make(url: str) -> Client:
        made = {name: setting() for name, setting in settings.items()}
        limits = module.Limits(max_connections=MOST, max_keepalive_connections=MOST)
        client = module.AsyncClient(limits=limits, timeout=30, **made)

        async def send() -> None:
            assert (await client.post(url, content=BODY, headers=HEADERS)).status_code == 200

        return Client(send, client.aclose)

    return make


def _ours(url: str) -> Client:
    transport = HttpTransport(connect_timeout_s=5, max_connections=MOST)

    async def send() -> None:
        answer = await transport.send("POST", url, HEADERS, BODY, timeout_s=30)
        assert answer.status == 200

    return Client(send, transport.aclose)


def _raw_aiohttp(url: str) -> Client:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MOST), timeout=aiohttp.ClientTimeout(30)
    )

    async def send() -> None:
        target = URL(url, encoded=True)
        async with session.post(target, data=BODY, headers=HEADERS) as response:
            await response.read()
            assert response.status == 200

    return Client(send, session.close)


def _raw_pyreqwest(url: str) -> Client:
    client = importlib.import_module("pyreqwest.client").ClientBuilder().build()

    async def send() -> None:
        response = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
        await response.bytes()
        assert response.status == 200

    return Client(send, client.close)


def _httpx2(url: str) -> Client:
    return _of_httpx(importlib.import_module("httpx2"))(url)


def _niquests(url: str) -> Client:
    module: Any = importlib.import_module("niquests")
    session = module.AsyncSession(pool_connections=1, pool_maxsize=MOST)

    async def send() -> None:
        assert (await session.post(url, data=BODY, headers=HEADERS)).status_code == 200

    return Client(send, session.close)


def _transport_of(
    module: str, name: str, **settings: Any
) -> Callable[[], httpx.AsyncBaseTransport]:
    def make() -> httpx.AsyncBaseTransport:
        made: httpx.AsyncBaseTransport = getattr(importlib.import_module(module), name)(**settings)
        return made

    return make


def clients() -> dict[str, Callable[[str], Client]]:
    """Return the clients by name, each made from a URL. Raise ImportError if the client's package is not installed."""
    limits = httpx.Limits(max_connections=MOST)
    aiohttp_transport = _transport_of("httpx_aiohttp", "AiohttpTransport", limits=limits)
    pyreqwest_transport = _transport_of("pyreqwest.compatibility.httpx", "HttpxTransport")
    return {
        "httpx": _of_httpx(httpx),
        "httpx over httpx-aiohttp": _of_httpx(httpx, transport=aiohttp_transport),
        "httpx over pyreqwest": _of_httpx(httpx, transport=pyreqwest_transport),
        "httpx2": _httpx2,
        "niquests": _niquests,
        "aiohttp": _raw_aiohttp,
        "pyreqwest": _raw_pyreqwest,
        "HttpTransport.send": _ours,
    }


async def measure(client: Client, requests: int, connections: int) -> tuple[float, float]:
    """Measure the CPU of all threads in µs a request, and the requests a second."""

    async def in_turn() -> None:
        for _ in range(requests // connections):
            await client.send()

    await asyncio.gather(*[client.send() for _ in range(connections)])  # connects
    sent = requests // connections * connections
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[in_turn() for _ in range(connections)])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / sent * 1e6, sent / wall


def main() -> None:
    """Measure, and print the table."""
    parser = parser_of("tests.bench.transports", __doc__)
    parser.add_argument(
        "--requests", type=positive_int, default=1000, help="of a round: %(default)s"
    )
    parser.add_argument("--repeats", type=positive_int, default=5, help="rounds: %(default)s")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(clients())}"
    )
    chosen = parser.parse_args()
    require_known(parser, "client", chosen.names, clients())
    uvloop.run(_measure(chosen.names, chosen.requests, chosen.repeats))


async def _measure(names: list[str], requests: int, repeats: int) -> None:
    makers = {n: m for n, m in clients().items() if not names or n in names}
    take_load_core()
    found: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    absent = set()
    with ServerProcess("-m", "tests.bench.null_customerio") as server:
        url = f"http://{server.address}/api/v1/customers/u1/events"
        for _ in range(repeats):
            for connections in CONNECTIONS:
                for name, make in makers.items():
                    try:
                        client = make(url)
                    except ImportError:
                        absent.add(name)
                        continue
                    before = _count(server)
                    found[name, connections].append(await measure(client, requests, connections))
                    await client.close()
                    sent = requests // connections * connections + connections
                    assert _count(server) - before == sent, name
    table = Table("µs of CPU a request (requests/s)", *[f"{n} at a time" for n in CONNECTIONS])
    for name in [name for name in makers if name not in absent]:
        cells = [
            "{:.0f} ({:,.0f})".format(*map(statistics.median, zip(*found[name, n], strict=True)))
            for n in CONNECTIONS
        ]
        table.add_row(name, *cells)
    Console(width=110).print(table)
    if absent:
        print("Not installed:", ", ".join(sorted(absent)))


def _count(server: ServerProcess) -> int:
    with urllib.request.urlopen(f"http://{server.address}/count", timeout=10) as answer:
        return int(answer.read())


if __name__ == "__main__":
    main()
