"""Lines through a sidecar: batched on the way there, in order on the way back."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ciosidecar import Error, Result, read_results, v1
from grpc import aio

from .reading import BadLine, Line, parse_line

_MAX_BATCH_EVENTS = 500
_MAX_BATCH_BYTES = 4 << 20
_BATCHES_IN_FLIGHT = 4
_MAX_DESTINATIONS = 1000


@dataclass(slots=True)
class Batch:
    """Lines on their way."""

    number: int
    message: v1.Batch
    events: list[bytes] = field(default_factory=list)
    """The event of each line; b"" for a line that has none."""
    answers: list[Result | None] = field(default_factory=list)
    """One a line; None until the server answers it."""
    line_numbers: list[int] = field(default_factory=list)
    """The number of each line in the input, from 1."""
    sent: list[int] = field(default_factory=list)
    """For each item of the message, its index in the lists above."""
    size: int = 0


class ServerWentAway(Exception):
    """The stream ended before every line was answered."""


class _Numbers:
    """Small numbers for destinations, the least recently used one given away when they run out."""

    def __init__(self) -> None:
        self._by_config: OrderedDict[bytes, int] = OrderedDict()

    def find(self, config: bytes) -> int | None:
        """The number a config was declared under."""
        number = self._by_config.get(config)
        if number is not None:
            self._by_config.move_to_end(config)
        return number

    def give(self, config: bytes) -> tuple[int, bool]:
        """A number for a config that has none, and whether it stood for another before."""
        reused = len(self._by_config) >= _MAX_DESTINATIONS
        number = self._by_config.popitem(last=False)[1] if reused else len(self._by_config) + 1
        self._by_config[config] = number
        return number, reused


class LineTransform:
    """Sends lines over one stream and hands out each batch of them with its results."""

    def __init__(
        self,
        channel: aio.Channel,
        config: bytes | None,
        *,
        pack: bool,
        done: Callable[[Batch], None],
    ) -> None:
        """config: of all lines, or None where each has its own.

        pack: whether events may share requests. done: called with each batch, in order, complete.
        """
        self._channel = channel
        self._config = config
        self._pack = pack
        self._done = done
        self._numbers = _Numbers()
        self._credit = asyncio.Semaphore(_BATCHES_IN_FLIGHT)
        self._in_flight: dict[int, Batch] = {}
        self._lines = 0
        self._batch = self._new_batch(1)

    async def run(self, chunks: Iterator[list[bytes | None]]) -> None:
        """Everything from the first line to the last result.

        Raises grpc.aio.AioRpcError, or ServerWentAway.
        """
        self._call = v1.SidecarServiceStub(self._channel).TransformStream()
        sending = asyncio.ensure_future(self._send(chunks))
        receiving = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not self._call.done():
                await sending
            await receiving
            if self._in_flight or not sending.done():
                raise ServerWentAway
        finally:
            self._call.cancel()
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _send(self, chunks: Iterator[list[bytes | None]]) -> None:
        opening = v1.Open(client_name="ciosidecar transform", max_receive_bytes=64 << 20)
        await self._call.write(v1.TransformStreamRequest(open=opening))
        while (lines := await asyncio.to_thread(next, chunks, None)) is not None:
            for line in lines:
                self._lines += 1
                await self._add(line)
            await self._flush()
        await self._call.write(v1.TransformStreamRequest(finish=v1.Finish()))
        await self._call.done_writing()

    async def _add(self, line: bytes | None) -> None:
        batch = self._batch
        try:
            if line is None:
                raise BadLine("the line is far too long")
            found = parse_line(line, self._config)
        except BadLine as problem:
            code = "TOO_LARGE" if line is None else "INVALID_JSON"
            error = Error(code, "instrumentation", str(problem), retryable=False)
            answer: Result | None = Result(-1, 400, error=error)
            event = b""
        else:
            number = await self._number(found)
            batch = self._batch
            batch.message.items.add(json=found.event, destination=number, dont_batch=not self._pack)
            batch.sent.append(len(batch.events))
            answer, event = None, found.event
        batch.events.append(event)
        batch.answers.append(answer)
        batch.line_numbers.append(self._lines)
        batch.size += len(event)
        if len(batch.events) >= _MAX_BATCH_EVENTS or batch.size >= _MAX_BATCH_BYTES:
            await self._flush()

    async def _number(self, line: Line) -> int:
        number = self._numbers.find(line.config)
        if number is None:
            number, reused = self._numbers.give(line.config)
            if reused:
                # What waits here may mean the destination that had the number before.
                await self._flush()
            declared = v1.Destination(number=number, config_json=line.config)
            upsert = v1.UpsertDestinations(destinations=[declared])
            await self._call.write(v1.TransformStreamRequest(upsert_destinations=upsert))
        return number

    def _new_batch(self, number: int) -> Batch:
        return Batch(number, v1.Batch(batch_id=number))

    async def _flush(self) -> None:
        batch = self._batch
        if not batch.events:
            return
        await self._credit.acquire()
        self._batch = self._new_batch(batch.number + 1)
        self._in_flight[batch.number] = batch
        await self._call.write(v1.TransformStreamRequest(batch=batch.message))

    async def _receive(self) -> None:
        async for response in self._call:
            if response.WhichOneof("message") != "results":
                continue
            batch = self._in_flight[response.results.batch_id]
            for result in read_results(response.results):
                batch.answers[batch.sent[result.position]] = result
            if response.results.batch_complete:
                del self._in_flight[batch.number]
                self._credit.release()
                self._done(batch)
