"""More calls at once than the server can begin: each is answered."""

import asyncio
from collections import Counter
from typing import Any

from ciosidecar import v1
from grpc import aio

from tests.conftest import UNLIMITED, batch, destination
from tests.processes import server

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
_CALLS = 3000


async def test_a_burst_of_calls_is_answered() -> None:
    """Three thousand calls that begin together: gRPC by itself cancels some once a thousand wait."""
    statuses: Counter[str] = Counter()
    with server("--listen", "127.0.0.1:0") as running:
        async with aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel:
            stub: Any = v1.SidecarServiceStub(channel)
            request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))

            async def call() -> None:
                try:
                    await stub.Transform(request)
                except aio.AioRpcError as failure:
                    statuses[failure.code().name] += 1
                else:
                    statuses["OK"] += 1

            await asyncio.gather(*[call() for _ in range(_CALLS)])
    assert statuses == {"OK": _CALLS}
