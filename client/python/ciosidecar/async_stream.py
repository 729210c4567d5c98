"""A stream for asyncio: events in one at a time, answers out in order."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
from grpc import aio

from ciosidecar import v1
from ciosidecar._connection import Deliver, ReconnectBackoff, StreamOptions, check_timeout, opening
from ciosidecar._outstanding import Answer, BatchGroup, OutstandingEvents
from ciosidecar.errors import (
    Closed,
    SidecarError,
    call_failed,
    client_fault,
    contract_broken,
    worth_another_try,
)
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    BatchEntry,
    Destination,
    Event,
    Outgoing,
    outgoing,
    outgoing_of,
)
from ciosidecar.stream import ENTERED_TWICE, NOT_ENTERED

# How a write fails when its call has ended: the call's status says why.
_CALL_ENDED = (grpc.RpcError, asyncio.InvalidStateError, aio.UsageError)
_Call = aio.StreamStreamCall[v1.TransformStreamRequest, v1.TransformStreamResponse]


class AsyncStream:
    """Events in, one at a time; answers out, each beside its sender's own object.

    Gathers events into messages, keeps within the credit, and, when the sidecar goes away, opens
    another stream and sends again what has no answer. Made by `AsyncClient.stream`, and open within
    its `async with` block only: everything else raises RuntimeError.
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
        self._outstanding = OutstandingEvents(
            max_batch_events=options.max_batch_events,
            max_batch_bytes=options.max_batch_bytes,
            unordered=options.unordered,
        )
        self._finished = False
        self._closed = False
        self._draining = False
        self._due = False
        # Why nothing more is sent, although what was sent is still answered.
        self._fault: SidecarError | None = None
        # Why no answer comes any more.
        self._failure: SidecarError | None = None
        # Each is set when what it names may be so, and cleared by whoever waits for it.
        self._to_send = asyncio.Event()
        self._answered = asyncio.Event()
        self._room = asyncio.Event()
        self._linger: asyncio.TimerHandle | None = None
        self._backoff: ReconnectBackoff  # its clock starts with the stream
        self._task: asyncio.Task[None] | None = None
        self.reconnects = 0
        """How often the stream had to be opened anew."""

    async def __aenter__(self) -> Self:
        """Starts to connect; events may be sent at once."""
        if self._task is not None:
            raise RuntimeError(ENTERED_TWICE)
        self._backoff = ReconnectBackoff(self._options)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the stream. Answers not taken by now are lost: `finish` and iterate first."""
        self.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_open(self) -> bool:
        """Whether the stream was entered, and not left or cancelled."""
        return self._task is not None and not self._closed

    def cancel(self) -> None:
        """End the stream at once. Whoever sends or iterates gets Closed."""
        task = self._require_entered()
        self._closed = True
        if self._linger is not None:
            self._linger.cancel()
        task.cancel()
        self._answered.set()
        self._room.set()

    async def send(
        self,
        event: Event,
        attachment: Any = None,
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
        **fields: Any,
    ) -> None:
        """Takes an event; waits while too many are owed an answer.

        attachment: whatever should come back beside the result; the event itself if None.
        destination: where it goes, if not where the stream goes by default.
        connection: what the row becomes, where the event is a record.
        fields: of v1.BatchItem: source_type, dont_batch, ordering_key, attempt, traceparent, tag.

        Raises TypeError or ValueError for what cannot travel, and after `finish`; SidecarError once
        the stream has failed.
        """
        self._require_entered()
        await self._add(
            [outgoing(event, attachment, destination, connection, fields, self._destination)]
        )

    async def send_batch(
        self, entries: Iterable[Event | BatchEntry], *, timeout_s: float | None = None
    ) -> None:
        """Take events that go out at once, in messages that hold no others.

        Only they share requests with each other. All are taken, or, if this raises, none. Waits as
        `send` does, but for any room at all: they may exceed the credit.

        timeout_s: how long their delivery may take, on a stream that delivers; the stream's own
        limit if None.

        Raises as `send` does.
        """
        self._require_entered()
        check_timeout(timeout_s)
        found = [outgoing_of(entry, self._destination) for entry in entries]
        await self._add(found, self._outstanding.new_group(timeout_s))

    async def _add(self, events: list[Outgoing], group: BatchGroup | None = None) -> None:
        outstanding = self._outstanding
        while not self._has_room():
            if not outstanding.in_flight:
                self._send_now()  # else room will come, and with it more to share a message
            self._room.clear()
            await self._room.wait()
        for event in events:
            outstanding.add(event, group)
        if group is not None:
            self._send_now()
        elif self._linger is None:
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(self._options.linger_s, self._send_now)
        if outstanding.batch_is_full:
            self._to_send.set()
            await asyncio.sleep(0)  # a producer that never waits would keep it from being sent

    def _has_room(self) -> bool:
        outstanding, options = self._outstanding, self._options
        if self._closed:
            raise Closed("the stream was closed")
        if failure := self._failure or self._fault:
            raise failure
        if self._finished:
            raise ValueError("the stream is finished")
        return not outstanding.event_count or (
            outstanding.event_count < options.max_outstanding_events
            and outstanding.byte_count < options.max_outstanding_bytes
        )

    def finish(self) -> None:
        """Says that nothing more will be sent: iteration ends after the last answer."""
        self._require_entered()
        self._finished = True
        self._send_now()
        self._answered.set()
        self._room.set()

    def __aiter__(self) -> AsyncIterator[Answer]:
        """Answers as they come, in the order in which the events were sent unless asked otherwise."""
        self._require_entered()
        return self._answers()

    def map(
        self,
        events: Iterable[Event] | AsyncIterable[Event],
        *,
        destination: AnyDestination | None = None,
        connection: AnyConnection | None = None,
    ) -> AsyncIterator[Answer]:
        """Sends all events and yields all answers, from one task; then the stream is finished."""
        self._require_entered()
        return self._map(events, destination, connection)

    async def _map(
        self,
        events: Iterable[Event] | AsyncIterable[Event],
        destination: AnyDestination | None,
        connection: AnyConnection | None,
    ) -> AsyncIterator[Answer]:
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
            if self._closed:
                raise Closed("the stream was closed")
            if (answer := next(self._outstanding.take_answers(), None)) is not None:
                self._room.set()
                if not self._outstanding.event_count:
                    self._answered.set()  # another task may iterate too
                yield answer
                continue
            if self._finished and not self._outstanding.event_count:
                self._answered.set()
                return
            if self._failure is not None:
                self._answered.set()
                raise self._failure
            await self._answered.wait()

    def _require_entered(self) -> asyncio.Task[None]:
        if self._task is None:
            raise RuntimeError(NOT_ENTERED.replace("`with", "`async with"))
        return self._task

    def _send_now(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._due = True
        self._to_send.set()

    async def _run(self) -> None:
        """Keeps a connection until all is answered, or no hope is left."""
        try:
            await self._keep_connected()
        except SidecarError as failure:
            self._failure = failure
        except BaseException as fault:
            # Whatever it is, nobody may wait for ever. A cancellation is the owner's or the loop's.
            self._closed |= isinstance(fault, asyncio.CancelledError)
            self._failure = client_fault(fault)
            if not isinstance(fault, Exception):
                raise
        finally:
            self._answered.set()
            self._room.set()

    async def _keep_connected(self) -> None:
        while True:
            answered, began = self._outstanding.answered, time.monotonic()
            try:
                await self._one_connection()
                reason = "the sidecar ended the stream"
            except aio.AioRpcError as failure:
                if not worth_another_try(failure.code()):
                    raise call_failed(failure.code(), failure.details() or "") from failure
                reason = str(failure.details())
            if not self._outstanding.unanswered:
                if self._fault is not None:
                    raise self._fault
                if self._finished:
                    return
            progress = self._outstanding.answered > answered
            lasted_s = time.monotonic() - began
            await asyncio.sleep(self._backoff.delay_s(lasted_s, reason, progress=progress))
            self.reconnects += 1

    async def _one_connection(self) -> None:
        """One stream from open to end. Raises what either of its two tasks raises."""
        call: _Call = self._stub.TransformStream(timeout=self._backoff.left_s())
        opened = asyncio.Event()
        self._draining = False
        receiving = asyncio.create_task(self._receive(call, opened))
        sending = asyncio.create_task(self._send_batches(call, opened))
        try:
            await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done() and not sending.cancelled() and (fault := sending.exception()):
                raise fault
            await receiving
        finally:
            call.cancel()
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    async def _receive(self, call: _Call, opened: asyncio.Event) -> None:
        async for response in call:
            kind = response.WhichOneof("message")
            if kind == "results":
                try:
                    self._outstanding.answer(response.results)
                except (ValueError, IndexError) as fault:
                    raise contract_broken(fault) from fault
                self._answered.set()
            elif kind == "opened":
                self._outstanding.connect(response.opened.limits)
                self._due = self._outstanding.waiting
                opened.set()
            elif kind == "drain":
                self._draining = True
                self._to_send.set()

    async def _send_batches(self, call: _Call, opened: asyncio.Event) -> None:
        """Sends what there is to send, until the stream is finished or drained."""
        try:
            await call.write(opening(self._options, self._deliver))
            await opened.wait()
            await self._send_until_finished(call)
            await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
            await call.done_writing()
        except _CALL_ENDED:
            return  # whoever receives hears why

    async def _send_until_finished(self, call: _Call) -> None:
        outstanding = self._outstanding
        while not self._draining:
            self._to_send.clear()
            while not self._draining and (
                outstanding.batch_is_full or (self._due and outstanding.waiting)
            ):
                for message in self._take_messages():
                    await call.write(message)
            self._due = False
            if (self._finished or self._fault) and not outstanding.waiting:
                return
            await self._to_send.wait()

    def _take_messages(self) -> list[v1.TransformStreamRequest]:
        """The next batch; [] if it cannot be made, which ends the stream once the rest is answered."""
        try:
            return self._outstanding.take_messages()
        except Exception as fault:  # noqa: BLE001 - what was sent is still answered
            self._fault = client_fault(fault)
            self._fault.__cause__ = fault
            self._outstanding.drop_waiting()
            self._room.set()
            return []
