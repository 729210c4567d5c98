"""A sidecar that plays scripts of a test, over a real socket, in threads of its own."""

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from ciosidecar import v1
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

Script = Callable[["Connection"], None]
SERVICE = "ciosidecar.v1.SidecarService"


class Connection:
    """One stream, from the server's side."""

    def __init__(self, requests: Iterator[v1.TransformStreamRequest], context: Any) -> None:
        self._requests = requests
        self._context = context
        self.answers: queue.SimpleQueue[v1.TransformStreamResponse | None] = queue.SimpleQueue()
        self.opening: v1.OpenStream | None = None
        self.declared: dict[int, bytes] = {}
        self.connections: dict[int, bytes] = {}

    def open(self, **limits: int) -> None:
        """Receive OpenStream and answer it."""
        self.opening = next(self._requests).open
        defaults = {"max_batch_events": 10_000, "max_destinations": 1000}
        answer = v1.TransformStreamResponse()
        answer.opened.limits.CopyFrom(v1.Limits(**(defaults | limits)))
        self.answers.put(answer)

    def hear(self) -> None:
        """Receive OpenStream and do not answer."""
        self.opening = next(self._requests).open

    def batch(self) -> v1.Batch | None:
        """Return the next batch, or None once the caller has finished."""
        for request in self._requests:
            kind = request.WhichOneof("message")
            if kind == "batch":
                return request.batch
            if kind == "finish":
                return None
            for destination in request.upsert_destinations.destinations:
                self.declared[destination.reference_id] = destination.config_json
            for connection in request.upsert_destinations.connections:
                self.connections[connection.reference_id] = connection.config_json
        return None

    def answer(self, batch: v1.Batch, *positions: int, complete: bool = True) -> None:
        """Answer some positions of a batch, or all, with 200."""
        answered = positions or tuple(range(len(batch.items)))
        response = v1.TransformStreamResponse()
        response.results.batch_id = batch.batch_id
        response.results.positions.extend(answered)
        response.results.statuses.extend([200] * len(answered))
        response.results.batch_complete = complete
        self.answers.put(response)

    def block(self, batch: v1.Batch, position: int, batch_id: int, by: int) -> None:
        """Answer a position of a batch as blocked by an item of a batch."""
        response = v1.TransformStreamResponse()
        response.results.batch_id = batch.batch_id
        response.results.first_position = position
        response.results.statuses.append(503)
        error = response.results.details.add(position=position).error
        error.code = v1.ErrorCode.ERROR_CODE_BLOCKED
        error.blocked_by.batch_id = batch_id
        error.blocked_by.position = by
        self.answers.put(response)

    def answer_everything(self) -> None:
        """Answer every batch until the caller has finished."""
        while (batch := self.batch()) is not None:
            self.answer(batch)

    def drain(self) -> None:
        """Send Drain."""
        response = v1.TransformStreamResponse()
        response.drain.grace.seconds = 5
        self.answers.put(response)

    def fail(self, code: grpc.StatusCode, details: str = "scripted") -> None:
        """End the stream with a status, after the answers so far."""
        self.answers.put(None)
        self._failure = (code, details)
        raise _Ended

    _failure: tuple[grpc.StatusCode, str] | None = None


class _Ended(Exception):
    pass


class ScriptedSidecar(v1.SidecarServiceServicer):
    """A sidecar that plays one script for each stream, and the last one for all further streams."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.connections: list[Connection] = []

    def GetCapabilities(self, request: Any, context: Any) -> v1.GetCapabilitiesResponse:  # noqa: N802
        return v1.GetCapabilitiesResponse(server_version="scripted")

    def CheckDestination(self, request: Any, context: Any) -> v1.CheckDestinationResponse:  # noqa: N802
        return v1.CheckDestinationResponse(usable=True)

    def Transform(self, request: v1.TransformRequest, context: Any) -> v1.TransformResponse:  # noqa: N802
        return v1.TransformResponse()

    def Deliver(self, request: v1.DeliverRequest, context: Any) -> v1.DeliverResponse:  # noqa: N802
        raise NotImplementedError

    def TransformStream(  # noqa: N802
        self, requests: Iterator[v1.TransformStreamRequest], context: Any
    ) -> Iterator[v1.TransformStreamResponse]:
        script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
        connection = Connection(requests, context)
        self.connections.append(connection)
        with ThreadPoolExecutor(1) as pool:
            played = pool.submit(self._play, script, connection)
            while (response := connection.answers.get()) is not None:
                yield response
            played.result()
        if connection._failure is not None:
            context.abort(*connection._failure)

    @staticmethod
    def _play(script: Script, connection: Connection) -> None:
        try:
            script(connection)
        except (_Ended, grpc.RpcError, StopIteration):
            pass
        finally:
            connection.answers.put(None)


@contextmanager
def scripted(
    *scripts: Script, listen: str = "127.0.0.1:0"
) -> Iterator[tuple[str, ScriptedSidecar]]:
    """Run a scripted sidecar, and yield its address and the sidecar."""
    servicer = ScriptedSidecar(*scripts)
    with serving(servicer, listen=listen) as address:
        yield address, servicer


class RequireTokens(grpc.ServerInterceptor):
    """Require one of several bearer tokens on every call but those of the health service."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = set(accepted)
        self.seen: list[str | None] = []
        """The authorization of each call to the sidecar, in order."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if handler is None or details.method.startswith("/grpc.health."):
            return handler
        authorization = dict(details.invocation_metadata).get("authorization")
        self.seen.append(authorization)
        if (authorization or "").removeprefix("Bearer ") in self.accepted:
            return handler

        def refuse(_request: Any, context: grpc.ServicerContext) -> Any:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(refuse)
        return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def serving(
    servicer: v1.SidecarServiceServicer,
    *interceptors: grpc.ServerInterceptor,
    listen: str = "127.0.0.1:0",
) -> Iterator[str]:
    """Run a servicer with a health service, and yield its address."""
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(16), interceptors=list(interceptors), options=options)
    v1.add_SidecarServiceServicer_to_server(servicer, server)
    checks = health.HealthServicer()
    checks.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    port = server.add_insecure_port(listen)
    server.start()
    try:
        yield listen if listen.startswith("unix") else f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
