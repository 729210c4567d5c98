"""The lower bound of delivery: similar requests, sent by the client library alone in its own process.

    .venv/bin/python -m tests.bench.raw_client URL REQUESTS CONCURRENCY

Sends as many POST requests, and prints one line of JSON: its own CPU time and the wall time.
"""

import asyncio
import json
import sys
import time

import aiohttp
import uvloop

BODY = b'{"name":"Order Completed","type":"event","data":{%b},"timestamp":1772600000}' % (
    b'"product":"a teapot of some size","price":19.99,"currency":"EUR",' * 4 + b'"n":1'
)
HEADERS = {"Authorization": "Basic c2l0ZTprZXk=", "Content-Type": "application/json"}


async def main(url: str, requests: int, concurrency: int) -> None:
    """Send requests and measure, after a warm-up with a tenth of them."""
    left = 0
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def worker() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with session.post(url, data=BODY, headers=HEADERS) as response:
                    await response.read()
                    response.raise_for_status()

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
