"""The taps of all workers as one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import hdrs, web

from ..telemetry.admin_server import UNBOUNDED

_WRITE_WITHIN_S = 30.0
_LOOK_S = 1.0
_WAITING_LINES = 100
_LOST = b'{"lost":'


async def tap(
    request: web.Request, taps: Sequence[aiohttp.ClientResponse], stack: AsyncExitStack
) -> web.StreamResponse:
    """Answer with the lines of all workers as they come, until the reader goes.

    If the reader is slow, the workers' taps are read as slowly. They drop lines then, and say how many.

    Args:
        request: The request of the reader.
        taps: The answers of the workers to the same request.
        stack: Closes the answers.
    """
    refused = [answer for answer in taps if answer.status != web.HTTPOk.status_code]
    if refused or not taps:
        return await _refusal(refused)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/x-ndjson"})
    response[UNBOUNDED] = True
    left = int(request.query.get("limit", "0")) or None
    try:
        await response.prepare(request)
        async for line in _lines(request, taps, stack):
            async with asyncio.timeout(_WRITE_WITHIN_S):
                await response.write(line)
            if left is not None and not line.startswith(_LOST):
                left -= 1
                if not left:
                    break
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return response


async def _refusal(refused: Sequence[aiohttp.ClientResponse]) -> web.Response:
    """Return why there is no tap: a worker's reason holds for all of them."""
    if not refused:
        return web.json_response({"error": "no worker is ready"}, status=503)
    body = await refused[0].read()
    return web.Response(body=body, status=refused[0].status, content_type="application/json")


async def _lines(
    request: web.Request, taps: Sequence[aiohttp.ClientResponse], stack: AsyncExitStack
) -> AsyncIterator[bytes]:
    """Yield the lines of all answers, until all have ended or the reader is gone."""
    lines = asyncio.Queue[bytes | None](_WAITING_LINES)
    for answer in taps:
        reading = asyncio.create_task(_read(answer, lines))
        stack.callback(reading.cancel)
    left = len(taps)
    while left:
        try:
            async with asyncio.timeout(_LOOK_S):
                line = await lines.get()
        except TimeoutError:
            if request.transport is None or request.transport.is_closing():
                return
            continue
        if line is None:
            left -= 1
        else:
            yield line


async def _read(answer: aiohttp.ClientResponse, lines: "asyncio.Queue[bytes | None]") -> None:
    try:
        async for line in answer.content:
            await lines.put(line)
    except (aiohttp.ClientError, TimeoutError):
        pass  # the worker died
    await lines.put(None)
