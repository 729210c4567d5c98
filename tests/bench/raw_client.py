"""The floor of delivery: requests of the same kind, sent by the client library alone, in its own process.

    python -m tests.bench.raw_client URL REQUESTS CONCURRENCY

Sends as many POST requests, and prints one line of JSON: its own CPU time and the wall time.
"""

import asyncio
import json
import sys
import time
from contextlib import aclosing

import uvloop
from ciosidecar_server.delivery.http_transport import HttpTransport

BODY = b'{"name":"Order Completed","type":"event","data":{%b},"timestamp":1772600000}' % (
    b'"product":"a teapot of some size","price":19.99,"currency":"EUR",' * 4 + b'"n":1'
)
HEADERS = {"Authorization": "Basic c2l0ZTprZXk=", "Content-Type": "application/json"}


async def main(url: str, requests: int, concurrency: int) -> None:
    """Sends and measures; a tenth of the requests beforehand does not count."""
    left = 0
    transport = HttpTransport(connect_timeout_s=5, max_connections=concurrency)
    async with aclosing(transport):

        async def worker() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                response = await transport.send("POST", url, HEADERS, BODY, timeout_s=10)
                assert response.status == 200

        async def run(count: int) -> None:
            nonlocal left
            left = count
            await asyncio.gather(*(worker() for _ in range(concurrency)))

        await run(max(concurrency, requests // 10))
        wall, cpu = time.perf_counter(), time.process_time()
        await run(requests)
        figures = {
            "requests": requests,
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
        }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
