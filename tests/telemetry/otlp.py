"""A real OTLP receiver, over gRPC and over HTTP, and the spans that it was sent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WITHIN_S = 30


class Receiver:
    """What an OTLP receiver was sent."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.messages: list[bytes] = []
        """The requests, serialised."""
        self.resource: dict[str, Any] = {}
        self.spans: list[Span] = []
        self._changed = threading.Condition()

    def receive(self, request: Any) -> None:
        """Keep what came."""
        with self._changed:
            self.messages.append(request.SerializeToString())
            for resource_spans in request.resource_spans:
                self.resource = attributes(resource_spans.resource.attributes)
                for scope_spans in resource_spans.scope_spans:
                    self.spans += scope_spans.spans
            self._changed.notify_all()

    def wait_for(self, number: int) -> list[Span]:
        """Return the spans once there are so many, in the order of their beginning."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.spans) >= number, WITHIN_S)
            assert arrived, [span.name for span in self.spans]
            return sorted(self.spans, key=lambda span: span.start_time_unix_nano)


def attributes(pairs: Any) -> dict[str, Any]:
    """Return attributes as a dictionary."""
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@contextmanager
def grpc_receiver() -> Iterator[Receiver]:
    """Yield a receiver of OTLP over gRPC."""
    receiver = Receiver()

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - OTLP's name
            receiver.receive(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    running = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        Service(), running
    )
    receiver.endpoint = f"http://127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}"
    running.start()
    try:
        yield receiver
    finally:
        running.stop(None).wait()


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    """Yield a receiver of OTLP over HTTP."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.receive(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Print nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.endpoint = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        running.shutdown()
        running.server_close()


RECEIVERS = {"grpc": grpc_receiver, "http/protobuf": http_receiver}
