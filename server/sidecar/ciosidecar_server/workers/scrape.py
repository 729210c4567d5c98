"""Answers of the workers' own admin ports."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from .group import Worker

_WITHIN_S = 3.0
# A line of the tap has a body of up to 16 KiB, whose escapes may take six times as much.
_MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answered."""

    status: int
    body: bytes


class WorkerPorts:
    """An HTTP client for the admin ports of the workers, which are on loopback."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        # A worker's port closes each connection after its answer.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, path: str, within_s: float = _WITHIN_S) -> dict[int, Answer | None]:
        """Ask every worker.

        Args:
            path: The path with its query.
            within_s: The time that each worker has.

        Returns:
            The answer by the worker's number; None if the worker does not run, or did not answer in time.
        """
        answers = await asyncio.gather(
            *(self._ask(worker, path, within_s) for worker in self._workers)
        )
        return {
            worker.number: answer for worker, answer in zip(self._workers, answers, strict=True)
        }

    async def _ask(self, worker: Worker, path: str, within_s: float) -> Answer | None:
        line = worker.ready_line
        if line is None or line.admin is None or self._session is None:
            return None
        timeout = aiohttp.ClientTimeout(total=within_s)
        try:
            async with self._session.get(f"http://{line.admin}{path}", timeout=timeout) as response:
                return Answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def open(self, path: str, stack: AsyncExitStack) -> list[aiohttp.ClientResponse]:
        """Ask every worker that runs for an answer that goes on.

        Args:
            path: The path with its query.
            stack: Closes the answers.
        """
        answers = []
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_WITHIN_S)
        for worker in self._workers:
            line = worker.ready_line
            if line is None or line.admin is None or self._session is None:
                continue
            request = self._session.get(
                f"http://{line.admin}{path}", timeout=timeout, read_bufsize=_MAX_LINE_BYTES
            )
            try:
                async with asyncio.timeout(_WITHIN_S):
                    answers.append(await stack.enter_async_context(request))
            except (aiohttp.ClientError, TimeoutError):
                continue
        return answers
