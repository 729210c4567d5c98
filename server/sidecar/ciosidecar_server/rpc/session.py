"""The life of one stream, from OpenStream to its end."""

import asyncio
import secrets
from typing import Any

from ciosidecar.v1 import service_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from ..delivery.dispatcher import Dispatcher
from ..server_destinations import ServerDestinations
from ..settings import Settings
from .callers import stream_caller
from .codec import Codec, results_writers
from .delivery_worker import DeliveryWorker
from .destinations import KnownDestinations, fitting_problems
from .draining import Draining
from .errors import ProtocolError
from .flow_control import FlowControl
from .limits import DEFAULT_RECEIVE_BYTES, limits, receive_limit
from .memory import give_back_after
from .open_streams import OpenStreams, StreamRecord
from .request_message import StreamMessage
from .required import check_delivery_offered
from .results_message import EncodedResults
from .tap import StreamTap
from .transform_worker import TransformWorker
from .unreadable import reject_unreadable
from .worker import Output, Worker, process_batch

# After Drain or Finish, a caller that sends nothing for so long has sent everything.
_QUIET_S = 0.2
_FINISH = "finish"
_HALF_CLOSE = "half-close"

_Context = aio.ServicerContext[pb.TransformStreamRequest, pb.TransformStreamResponse]


class _PeerGone(Exception):
    """The peer disconnected; the stream ends without an error."""


class Session:
    """One stream. The session reads and checks messages; a worker processes batches."""

    def __init__(
        self,
        context: _Context,
        settings: Settings,
        draining: Draining,
        delivery: Dispatcher,
        destinations: ServerDestinations,
        streams: OpenStreams,
        codec: Codec,
    ) -> None:
        self._context = context
        self._settings = settings
        self._codec = codec
        self._draining = draining
        self._dispatcher = delivery
        self._worker: Worker | None = None
        self._known = KnownDestinations(settings.max_destinations, destinations)
        self._max_receive_bytes = DEFAULT_RECEIVE_BYTES
        self._session_id = secrets.token_hex(8)
        self._observer = streams.observer
        self._tap = StreamTap(streams.tap, self._session_id)
        self._caller = stream_caller(self._session_id, context)
        self._record = StreamRecord(self._session_id, context.peer(), streams)
        # gRPC allows one write at a time, and `_drain` writes beside the worker.
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._opened = asyncio.Event()
        self._messages_read = 0
        self._reading = False

    async def run(self) -> None:
        """Serve the stream to its end.

        Raises:
            ProtocolError: the caller violated the protocol.
        """
        with self._record:
            await self._run()

    async def _run(self) -> None:
        serving = asyncio.ensure_future(self._serve())
        draining = asyncio.ensure_future(self._draining.begun())
        try:
            await asyncio.wait((serving, draining), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                await self._drain(serving)
                self._record.reason = "the server is shutting down"
            if not serving.cancelled():
                await serving
        except _PeerGone:
            self._record.reason = "the peer is gone"
        finally:
            # No task of a stream outlives the stream, however it ends.
            draining.cancel()
            serving.cancel()
            try:
                await asyncio.gather(draining, serving, return_exceptions=True)
            finally:
                # Not before: what a batch still submits would overtake the events that are forgotten.
                others = () if self._worker is None else self._worker.abandon()
                await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self) -> None:
        worker = await self._begin()
        if worker is None:
            return
        if worker.writing is None:
            await self._serve_all(worker)
            return
        serving = asyncio.ensure_future(self._serve_all(worker))
        try:
            # A caller that waits for results sends nothing, and reading alone would wait with the caller.
            await asyncio.wait((serving, worker.writing), return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                worker.writing.result()
            await serving
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _serve_all(self, worker: Worker) -> None:
        """Read and serve messages until the caller has sent the last one and has all results."""
        while (kind := await self._serve_one(worker)) not in (_FINISH, _HALF_CLOSE):
            await worker.ready()
        if kind == _FINISH:
            await self._finish(worker)
        else:
            await worker.finish()

    async def _begin(self) -> Worker | None:
        """Read the first message. Return the worker that it asks for, None at the end of the stream.

        The message, with all its destinations, is freed when this returns.
        """
        first = await self._read()
        if first is None:
            return None
        if first.kind != "open" or first.fields is None:
            raise ProtocolError("open", "must be the first message of a stream")
        return await self._open(first.fields.open)

    async def _serve_one(self, worker: Worker) -> str:
        """Read a message and do what it says. Return its kind.

        The message is freed when this returns, so that a stream that waits holds no message.
        """
        message = await self._read()
        if message is None:
            self._record.reason = "closed without Finish"
            return _HALF_CLOSE
        kind, size, batch, fields = message
        if kind == _FINISH:
            return _FINISH
        if batch is not None:
            self._record.received(batch.item_count)
            await process_batch(
                batch, self._known, self._settings, worker, self._observer, self._caller
            )
            give_back_after(size)
            return "batch"
        if kind == "upsert_destinations" and fields is not None:
            declared = fields.upsert_destinations
            await self._known.upsert(declared.destinations, declared.connections)
        elif kind == "open":
            raise ProtocolError("open", "the stream is open already")
        else:
            raise ProtocolError("message", "contains nothing that this server knows")
        return kind

    async def _finish(self, worker: Worker) -> None:
        """Answer everything. Raise ProtocolError if the caller sends anything more.

        A message after Finish may still be on its way when everything is answered. The server
        therefore reads for _QUIET_S more, unless the caller half-closes.
        """
        finishing = asyncio.ensure_future(worker.finish())
        reading = asyncio.ensure_future(self._read())
        try:
            await asyncio.wait((finishing, reading), return_when=asyncio.FIRST_COMPLETED)
            if finishing.done():
                finishing.result()
                await asyncio.wait((reading,), timeout=_QUIET_S)
            if reading.done() and (message := reading.result()) is not None:
                raise ProtocolError(message.kind or "message", "nothing may be sent after finish")
            await finishing
        finally:
            finishing.cancel()
            reading.cancel()
            await asyncio.gather(finishing, reading, return_exceptions=True)

    async def _open(self, opening: pb.OpenStream) -> Worker:
        """Answer the first message. Return the worker that it asks for."""
        self._max_receive_bytes = receive_limit(opening)
        self._known.delivering = opening.HasField("delivery")
        worker = self._worker = self._new_worker(opening)
        response = pb.TransformStreamResponse()
        response.opened.session_id = self._session_id
        response.opened.limits.CopyFrom(
            limits(self._settings, delivering=opening.HasField("delivery"))
        )
        problems = await self._known.upsert(opening.destinations, opening.connections)
        response.opened.problems.extend(fitting_problems(problems, self._max_receive_bytes))
        self._record.opened(opening)
        info = self._record.info
        self._caller = self._caller._replace(client_name=info.client_name, delivery=info.delivery)
        await self._write(response)
        self._opened.set()
        return worker

    def _new_worker(self, opening: pb.OpenStream) -> Worker:
        output = Output(
            results_writers(self._codec, pb.TransformStreamResponse),
            self._write,
            self._max_receive_bytes,
        )
        if not opening.HasField("delivery"):
            return TransformWorker(output, self._observer, self._tap)
        check_delivery_offered(self._settings, "open.delivery")
        return DeliveryWorker(
            self._dispatcher,
            self._known,
            self._settings,
            opening.delivery,
            output,
            FlowControl(
                self._settings.max_outstanding_events, self._settings.max_outstanding_bytes
            ),
            self._observer,
            self._tap,
        )

    async def _read(self) -> StreamMessage | None:
        """Return the next message, None at the end of the stream.

        gRPC does not distinguish a half-close from a cancelled call or a vanished peer: therefore
        the contract has Finish.
        """
        self._reading = True
        message: Any = await self._context.read()
        self._reading = False
        self._messages_read += 1
        reject_unreadable(message)
        return None if message is aio.EOF else message

    async def _write(self, response: pb.TransformStreamResponse | EncodedResults) -> None:
        while not self._may_write.is_set():
            await self._may_write.wait()
        self._may_write.clear()
        read = False
        self._record.write_began()
        try:
            await self._context.write(response)  # type: ignore[arg-type]  # see handlers.py
            read = True
            if isinstance(response, EncodedResults):
                self._record.answered(response.events)
        except aio.BaseError as fault:
            # The pending write fails like this if the peer cancels or disconnects.
            raise _PeerGone from fault
        finally:
            self._record.write_ended(read=read)
            self._may_write.set()

    async def _drain(self, serving: "asyncio.Future[None]") -> None:
        """Announce the shutdown, answer what the caller has sent, and end the stream.

        StreamOpened is the first message of a stream. A stream whose OpenStream does not come ends without a message.
        """
        opened = asyncio.ensure_future(self._opened.wait())
        try:
            await self._quiet(serving, opened)
        finally:
            opened.cancel()
        if self._opened.is_set() and not serving.done():
            grace = Duration()
            grace.FromMilliseconds(int(self._draining.grace_s * 1000))
            await self._write(pb.TransformStreamResponse(drain=pb.Drain(grace=grace)))
            await self._quiet(serving)
        serving.cancel()
        # Unlike `await serving`, this tells the end of `serving` from gRPC's cancelling of the running task.
        await asyncio.wait((serving,))

    async def _quiet(self, *ends: "asyncio.Future[Any]") -> None:
        """Wait until everything is answered and the caller sends nothing more, or until one of the tasks ends."""
        while not any(end.done() for end in ends):
            read_before = self._messages_read
            await asyncio.wait(ends, timeout=_QUIET_S, return_when=asyncio.FIRST_COMPLETED)
            quiet = self._reading and self._messages_read == read_before
            if quiet and (self._worker is None or self._worker.idle):
                return
