"""The sessions of a stream for asyncio: one TransformStream call after another."""

import asyncio
import time
from typing import Any

import grpc
from grpc import aio

from ciosidecar import v1
from ciosidecar._async_stream_state import AsyncStreamState
from ciosidecar._call_settings import CallSettings
from ciosidecar._options import DeliveryOptions, StreamOptions, open_request
from ciosidecar._reconnect_backoff import ReconnectBackoff
from ciosidecar.errors import (
    SidecarError,
    Unavailable,
    client_fault,
    contract_broken,
    is_retryable,
)

# What a write raises after the end of its call. The status of the call says why it ended.
_CALL_ENDED = (grpc.RpcError, asyncio.InvalidStateError, aio.UsageError)
_Call = aio.StreamStreamCall[v1.TransformStreamRequest, v1.TransformStreamResponse]


class AsyncSessions:
    """The sessions of one stream. A stream that reconnects has several, one after another."""

    def __init__(
        self,
        stub: Any,
        settings: CallSettings,
        state: AsyncStreamState,
        options: StreamOptions,
        delivery: DeliveryOptions | None,
    ) -> None:
        self._stub = stub
        self._settings = settings
        self._state = state
        self._options = options
        self._delivery = delivery
        self._backoff: ReconnectBackoff  # its time limits start when the stream is entered
        self._opened = self._draining = False
        self.reconnects = 0
        """The number of times that the stream was opened again."""

    async def run(self) -> None:
        """Keep the stream connected until all events are answered or the backoff gives up."""
        state = self._state
        self._backoff = ReconnectBackoff(self._options, self._settings.first_connection)
        try:
            await self._keep_connected()
        except SidecarError as failure:
            state.failure = failure
        except BaseException as fault:
            # The stream or the event loop is being closed.
            state.closed |= isinstance(fault, asyncio.CancelledError)
            # Without a failure, callers would wait forever.
            state.failure = client_fault(fault)
            if not isinstance(fault, Exception):
                raise
        finally:
            state.answered.set()
            state.room.set()

    @property
    def may_end_in_order(self) -> bool:
        """True if the sidecar has answered everything and only waits for Finish."""
        state = self._state
        idle = self._opened and not state.outstanding.unanswered
        return idle and not state.closed and state.failure is None

    async def _keep_connected(self) -> None:
        state, outstanding = self._state, self._state.outstanding
        while True:
            answered, began = outstanding.answered, time.monotonic()
            try:
                await self._one_session()
                reason = "the sidecar ended the stream"
            except aio.AioRpcError as failure:
                if not is_retryable(failure.code()):
                    raise self._settings.failure(
                        failure.code(), failure.details() or ""
                    ) from failure
                reason = str(failure.details())
            except Unavailable as failure:
                reason = str(failure)
            if not outstanding.unanswered:
                if state.fault is not None:
                    raise state.fault
                if state.finished:
                    return
            progress = outstanding.answered > answered
            lasted_s = time.monotonic() - began
            await asyncio.sleep(self._backoff.delay_s(lasted_s, reason, progress=progress))
            self.reconnects += 1

    async def _one_session(self) -> None:
        """Run one call from open to end, and raise what its two tasks raise."""
        self._settings.require_open()
        call: _Call = self._stub.TransformStream(
            timeout=self._backoff.left_s(), metadata=self._settings.token.metadata()
        )
        opened = asyncio.Event()
        self._opened = self._draining = False
        receiving = asyncio.create_task(self._receive(call, opened))
        sending = asyncio.create_task(self._send(call, opened))
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
        state = self._state
        async for response in call:
            kind = response.WhichOneof("message")
            if kind == "results":
                try:
                    state.outstanding.answer(response.results)
                except (ValueError, IndexError) as fault:
                    raise contract_broken(fault) from fault
                state.answered.set()
            elif kind == "opened":
                self._settings.first_connection.made = True
                state.outstanding.connect(response.opened.limits)
                state.due = state.outstanding.waiting
                self._opened = True
                opened.set()
            elif kind == "drain":
                self._draining = True
                state.to_send.set()

    async def _send(self, call: _Call, opened: asyncio.Event) -> None:
        """Send batches until the stream is finished or the sidecar drains."""
        try:
            await call.write(open_request(self._options, self._delivery))
            await opened.wait()
            await self._send_batches(call)
            await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
            await call.done_writing()
        except _CALL_ENDED:
            return  # the receiving task raises the call's status

    async def _send_batches(self, call: _Call) -> None:
        state, outstanding = self._state, self._state.outstanding
        while not self._draining:
            state.to_send.clear()
            while not self._draining and (
                outstanding.batch_is_full or (state.due and outstanding.waiting)
            ):
                for message in self._take_messages():
                    await call.write(message)
            state.due = False
            if (state.finished or state.fault) and not outstanding.waiting:
                return
            await state.to_send.wait()

    def _take_messages(self) -> list[v1.TransformStreamRequest]:
        """Return the next batch. If it cannot be made, return [] and let the stream end with an error."""
        try:
            return self._state.outstanding.take_messages()
        except Exception as fault:  # noqa: BLE001 - events that were sent still get answers
            error = client_fault(fault)
            error.__cause__ = fault
            self._state.fail_sending(error)
            return []
