"""The sessions of a lane for threads: one TransformStream call after another."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc

from ciosidecar import v1
from ciosidecar._call_settings import CallSettings
from ciosidecar._options import DeliveryOptions, StreamOptions, open_request
from ciosidecar._reconnect_backoff import ReconnectBackoff, was_useful
from ciosidecar._stream_state import Lane
from ciosidecar.errors import (
    SidecarError,
    Unavailable,
    client_fault,
    contract_broken,
    is_retryable,
)


class _Status(NamedTuple):
    code: grpc.StatusCode
    details: str


class Sessions:
    """The sessions of one lane. A lane that reconnects has several, one after another."""

    def __init__(
        self,
        stub: Any,
        settings: CallSettings,
        lane: Lane,
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
        # Changes when a session starts and when it ends: gRPC's sending thread may outlive its call.
        self._session = 0
        self._opened = self._draining = self._cancelled = False
        self._call: Any = None
        self.reconnects = 0
        """The number of times that the lane was opened again."""

    def run(self) -> None:
        """Keep the lane connected until all events are answered or the backoff gives up."""
        failure: SidecarError | None = None
        self._backoff = ReconnectBackoff(self._options, self._settings.first_connection)
        try:
            self._keep_connected()
        except SidecarError as error:
            failure = error
        except BaseException as fault:  # noqa: BLE001 - otherwise callers would wait forever
            failure = client_fault(fault)
        self._state.fail(failure)

    def cancel(self) -> None:
        """End the current call, and open no other."""
        with self._state.lock:
            self._cancelled = True
            self._lane.to_send.notify_all()
            call = self._call
        if call is not None:
            call.cancel()

    @property
    def may_end_in_order(self) -> bool:
        """Return whether the sidecar has answered everything and only waits for Finish."""
        state = self._state
        with state.lock:
            return self._opened and not state.unanswered and not state.over

    def _keep_connected(self) -> None:
        state, lane = self._state, self._lane
        outstanding = lane.outstanding
        while True:
            answered, began = outstanding.answered, time.monotonic()
            status = self._one_session()
            reason = "the sidecar ended the stream"
            if status is not None:
                reason = status.details
                is_final = not is_retryable(status.code, reason)
                if not state.over and not self._cancelled and is_final:
                    raise self._settings.failure(status.code, reason)
            with state.lock:
                if not state.over and state.fault and not state.unanswered:
                    raise state.fault
                if self._is_done:
                    return
                progress = outstanding.answered > answered
                lasted_s = time.monotonic() - began
                state.lane_lost(lane, useful=was_useful(lasted_s, progress=progress))
                delay_s = self._backoff.delay_s(
                    lasted_s, reason, progress=progress, connected_at=state.connected_at()
                )
                lane.to_send.wait_for(lambda: self._is_done, timeout=delay_s)
                if self._is_done:
                    return
                self.reconnects += 1

    @property
    def _is_done(self) -> bool:
        """True if the lane needs no other session. The caller holds the lock."""
        state = self._state
        done = state.finished and not state.unanswered
        return done or state.over or self._cancelled

    def _one_session(self) -> _Status | None:
        """Run one call from open to end. Return the status that it failed with, if it failed."""
        state = self._state
        self._settings.require_open()
        try:
            metadata = self._settings.token.metadata()
        except Unavailable as failure:
            return _Status(grpc.StatusCode.UNAVAILABLE, str(failure))
        with state.lock:
            if self._cancelled or state.over:
                return None  # `cancel` saw no call, so nothing would end the call that begins here
            self._session += 1
            self._opened = self._draining = False
            call = self._call = self._stub.TransformStream(
                self._messages(self._session), timeout=self._backoff.left_s(), metadata=metadata
            )
        try:
            for response in call:
                self._receive(response)
        except grpc.RpcError as failure:
            # The exception is the call itself, and its traceback makes a reference cycle with it. At
            # the interpreter's end, its finalizer could wait for a lock that a dead thread holds.
            failure.with_traceback(None)
            return _Status(failure.code(), str(failure.details()))
        finally:
            call.cancel()
            with state.lock:
                self._call = None
                self._session += 1
                self._lane.to_send.notify_all()
        return None

    def _receive(self, response: v1.TransformStreamResponse) -> None:
        state = self._state
        kind = response.WhichOneof("message")
        with state.lock:
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
            elif kind == "drain":
                self._draining = True
                state.lane_draining(self._lane)

    def _messages(self, session: int) -> Iterator[v1.TransformStreamRequest]:
        """Yield the messages of one session. gRPC iterates in a thread of its own."""
        state, lane = self._state, self._lane
        yield open_request(self._options, self._delivery)
        while True:
            with state.lock:
                while not self._may_send(session):
                    if self._is_over(session):
                        break
                    lane.to_send.wait(lane.linger_left_s() if self._opened else None)
                if session != self._session or state.over:
                    return
                messages = [] if self._is_over(session) else self._take_messages()
            if not messages:
                break
            yield from messages
        yield v1.TransformStreamRequest(finish=v1.Finish())

    def _take_messages(self) -> list[v1.TransformStreamRequest]:
        """Return the next batch. If it cannot be made, return [] and let the stream end with an error."""
        state, lane = self._state, self._lane
        try:
            return lane.outstanding.take_messages()
        except Exception as fault:  # noqa: BLE001 - gRPC's thread would swallow it
            error = client_fault(fault)
            error.__cause__ = fault
            state.fail_sending(lane, error)
            return []

    def _may_send(self, session: int) -> bool:
        return (
            session == self._session
            and self._opened
            and not self._draining
            and self._lane.batch_is_due
        )

    def _is_over(self, session: int) -> bool:
        """Return true if the session sends no more batches."""
        return (
            session != self._session
            or self._state.over
            or self._cancelled
            or self._draining
            or (self._opened and self._lane.sent_all)
        )
