"""The sessions of a lane for asyncio: one TransformStream call after another."""

import asyncio
import time
from typing import Any

import grpc
from grpc import aio

from ciosidecar import v1
from ciosidecar._async_stream_state import AsyncLane
from ciosidecar._call_settings import CallSettings
from ciosidecar._call_status import CallStatus
from ciosidecar._options import DeliveryOptions, StreamOptions, open_request
from ciosidecar._reconnect_backoff import ReconnectBackoff, was_useful
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
    """The sessions of one lane. A lane that reconnects has several, one after another."""

    def __init__(
        self,
        stub: Any,
        settings: CallSettings,
        lane: AsyncLane,
        options: StreamOptions,
        delivery: DeliveryOptions | None,
    ) -> None:
        self._stub = stub
        self._settings = settings
        self._lane = lane
        self._state = lane.state
        self._options = options
        self._delivery = delivery
        self._backoff: ReconnectBackoff  # its time limits start when the stream is entered
        self._opened = self._draining = False
        self.reconnects = 0
        """The number of times that the lane was opened again."""

    async def run(self) -> None:
        """Keep the lane connected until all events are answered or the backoff gives up."""
        state = self._state
        self._backoff = ReconnectBackoff(self._options, self._settings.first_connection)
        failure: SidecarError | None = None
        try:
            await self._keep_connected()
        except SidecarError as reason:
            failure = reason
        except BaseException as fault:
            # The stream or the event loop is being closed, or another lane has failed.
            state.closed |= isinstance(fault, asyncio.CancelledError) and not state.failure
            # Without a failure, callers would wait forever.
            failure = client_fault(fault)
            if not isinstance(fault, Exception):
                raise
        finally:
            state.fail(failure)

    @property
    def may_end_in_order(self) -> bool:
        """Return whether the sidecar has answered everything and only waits for Finish."""
        state = self._state
        return self._opened and not state.unanswered and not state.over

    async def _keep_connected(self) -> None:
        state, lane = self._state, self._lane
        outstanding = lane.outstanding
        while True:
            answered, began = outstanding.answered, time.monotonic()
            try:
                await self._one_session()
                reason = "the sidecar ended the stream"
            except aio.AioRpcError as failure:
                reason = failure.details() or ""
                if not is_retryable(failure.code(), reason):
                    raise self._settings.failure(failure.code(), reason) from failure
            except Unavailable as failure:
                reason = str(failure)
            if not state.unanswered:
                if state.fault is not None:
                    raise state.fault
                if state.finished:
                    return
            progress = outstanding.answered > answered
            lasted_s = time.monotonic() - began
            state.lane_lost(lane, useful=was_useful(lasted_s, progress=progress))
            delay_s = self._backoff.delay_s(
                lasted_s, reason, progress=progress, connected_at=state.connected_at()
            )
            await asyncio.sleep(delay_s)
            if state.finished and not state.unanswered:
                return  # other lanes have answered everything meanwhile
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
        status = CallStatus(call)
        try:
            async for response in call:
                self._take(response, opened)
        except aio.AioRpcError as failure:
            if (sent := await status.in_place_of(failure)) is not None:
                raise sent from None

    def _take(self, response: v1.TransformStreamResponse, opened: asyncio.Event) -> None:
        state = self._state
        kind = response.WhichOneof("message")
        if kind == "results":
            try:
                answered = self._lane.outstanding.answer(response.results)
            except (ValueError, IndexError) as fault:
                raise contract_broken(fault) from fault
            state.note_answered(self._lane, answered)
        elif kind == "opened":
            self._settings.first_connection.made = True
            self._lane.outstanding.connect(response.opened.limits)
            self._opened = True
            state.lane_opened(self._lane)
            opened.set()
        elif kind == "drain":
            self._draining = True
            state.lane_draining(self._lane)

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
        lane, outstanding = self._lane, self._lane.outstanding
        while not self._draining:
            lane.to_send.clear()
            while not self._draining and (
                outstanding.batch_is_full or (lane.due and outstanding.waiting)
            ):
                for message in self._take_messages():
                    await call.write(message)
            lane.due = False
            if lane.sent_all:
                return
            await lane.to_send.wait()

    def _take_messages(self) -> list[v1.TransformStreamRequest]:
        """Return the next batch. If it cannot be made, return [] and let the stream end with an error."""
        try:
            return self._lane.outstanding.take_messages()
        except Exception as fault:  # noqa: BLE001 - events that were sent still get answers
            error = client_fault(fault)
            error.__cause__ = fault
            self._state.fail_sending(self._lane, error)
            return []
