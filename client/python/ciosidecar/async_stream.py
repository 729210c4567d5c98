"""A stream for asyncio: events in one at a time, answers out in order."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

from grpc import aio

from ciosidecar import v1
from ciosidecar._connection import Deliver, Patience, StreamOptions, opening
from ciosidecar._ledger import Answer, Ledger
from ciosidecar.errors import SidecarError, call_failed, worth_another_try
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    Connection,
    Destination,
    Event,
    encode_event,
)

_Call = aio.StreamStreamCall[v1.TransformStreamRequest, v1.TransformStreamResponse]


class AsyncStream:
    """Events in, one at a time; answers out, in order, each beside its sender's own object.

    Gathers events into messages, keeps within the credit, and, when the sidecar goes away, opens
    another stream and sends again what has no answer. Made by `AsyncClient.stream`.
    """

    def __init__(
        self,
        stub: Any,
        destination: Destination | None,
        options: StreamOptions,
        deliver: Deliver | None,
    ) -> None:
        self._stub = stub
        self._deliver = deliver
        self._destination = destination
        self._options = options
        self._ledger = Ledger(
            max_batch_events=options.max_batch_events, max_batch_bytes=options.max_batch_bytes
        )
        self._finished = False
        self._draining = False
        self._due = False
        self._failure: SidecarError | None = None
        # Each is set when what it names may be so, and cleared by whoever waits for it.
        self._to_send = asyncio.Event()
        self._answered = asyncio.Event()
        self._room = asyncio.Event()
        self._linger: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.reconnects = 0
        """How often the stream had to be opened anew."""

    async def __aenter__(self) -> Self:
        """Starts to connect; events may be sent at once."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the stream. Answers not taken by now are lost: `finish` and iterate first."""
        if self._linger is not None:
            self._linger.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._failure is None:
            self._failure = SidecarError("the stream was closed")
        self._answered.set()
        self._room.set()

    async def send(
        self,
        event: Event,
        item: Any = None,
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
        **fields: Any,
    ) -> None:
        """Takes an event; waits while too many are owed an answer.

        item: whatever should come back beside the result; the event itself if None.
        destination: where it goes, if not where the stream goes by default.
        connection: what the row becomes, where the event is a record.
        fields: of v1.Item: source_type, dont_batch, ordering_key, attempt, traceparent, tag.

        Raises SidecarError once the stream has failed.
        """
        ledger, options = self._ledger, self._options
        if self._finished:
            raise ValueError("the stream is finished")
        encoded = encode_event(event)
        target = self._destination if destination is None else Destination.of(destination)
        rows = None if connection is None else Connection.of(connection)
        if target is None and not isinstance(encoded, v1.PreparedRequest):
            raise ValueError("name a destination here or where the stream is made")
        while ledger.owed >= options.max_owed_events or (
            ledger.owed_bytes >= options.max_owed_bytes and ledger.owed
        ):
            if not ledger.in_flight:
                self._send_now()  # else room will come, and with it more to share a message
            self._room.clear()
            self._raise_failure()
            await self._room.wait()
        self._raise_failure()
        ledger.add(encoded, event if item is None else item, target, fields or None, rows)
        if self._linger is None:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(options.linger_s, self._send_now)
        if ledger.batch_is_full:
            self._to_send.set()
            await asyncio.sleep(0)  # a producer that never waits would keep it from being sent

    def finish(self) -> None:
        """Says that nothing more will be sent: iteration ends after the last answer."""
        self._finished = True
        self._send_now()
        self._answered.set()

    def __aiter__(self) -> AsyncIterator[Answer]:
        """Answers as they come, in the order in which the events were sent."""
        return self._answers()

    async def map(
        self,
        events: Iterable[Event] | AsyncIterable[Event],
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
    ) -> AsyncIterator[Answer]:
        """Sends all events and yields all answers, from one task; then the stream is finished."""

        async def feed() -> None:
            try:
                if isinstance(events, AsyncIterable):
                    async for event in events:
                        await self.send(event, destination=destination, connection=connection)
                else:
                    for event in events:
                        await self.send(event, destination=destination, connection=connection)
            finally:
                self.finish()

        feeding = asyncio.create_task(feed())
        try:
            async for answer in self:
                yield answer
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _answers(self) -> AsyncIterator[Answer]:
        while True:
            self._answered.clear()
            for answer in self._ledger.take_answers():
                self._room.set()
                yield answer
            if self._finished and not self._ledger.owed:
                return
            self._raise_failure()
            await self._answered.wait()

    def _send_now(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._due = True
        self._to_send.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _run(self) -> None:
        """Keeps a connection until all is answered, or no hope is left."""
        try:
            await self._keep_connected()
        except SidecarError as failure:
            self._failure = failure
        except Exception as fault:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            self._failure = SidecarError(f"internal error in the client: {fault!r}")
        self._answered.set()
        self._room.set()

    async def _keep_connected(self) -> None:
        patience = Patience(self._options.reconnect_for_s)
        while True:
            answered, began = self._ledger.answered, time.monotonic()
            try:
                await self._one_connection()
                reason = "the sidecar ended the stream"
            except aio.AioRpcError as failure:
                if not worth_another_try(failure.code()):
                    raise call_failed(failure.code(), failure.details() or "") from failure
                reason = str(failure.details())
            if self._finished and not self._ledger.unanswered:
                return
            progress = self._ledger.answered > answered
            lasted_s = time.monotonic() - began
            await asyncio.sleep(patience.pause_s(lasted_s, reason, progress=progress))
            self.reconnects += 1

    async def _one_connection(self) -> None:
        """One stream from open to end."""
        call: _Call = self._stub.TransformStream()
        sending: asyncio.Task[None] | None = None
        self._draining = False
        try:
            await call.write(opening(self._options, self._deliver))
            async for response in call:
                kind = response.WhichOneof("message")
                if kind == "results":
                    self._ledger.answer(response.results)
                    self._answered.set()
                elif kind == "opened":
                    self._ledger.connect(response.opened.limits)
                    self._due = self._ledger.waiting
                    sending = asyncio.create_task(self._send_batches(call))
                elif kind == "drain":
                    self._draining = True
                    self._to_send.set()
        finally:
            call.cancel()
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _send_batches(self, call: _Call) -> None:
        """Sends what there is to send, until the stream is finished or drained."""
        ledger = self._ledger
        while not self._draining:
            self._to_send.clear()
            while not self._draining and (ledger.batch_is_full or (self._due and ledger.waiting)):
                for message in ledger.take_messages():
                    await call.write(message)
            self._due = False
            if self._finished and not ledger.waiting:
                break
            await self._to_send.wait()
        await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
        await call.done_writing()
