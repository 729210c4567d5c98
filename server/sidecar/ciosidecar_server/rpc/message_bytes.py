"""The bytes of the messages of SidecarService, counted where they become protobuf."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from ciosidecar.v1 import service_pb2
from grpc import aio

from .observer import RpcObserver

_PREFIX = f"/{service_pb2.DESCRIPTOR.services_by_name['SidecarService'].full_name}/"


class MessageBytesInterceptor(aio.ServerInterceptor):
    """An interceptor that reports the size of every message."""

    def __init__(self, observer: RpcObserver) -> None:
        self._observer = observer

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's handler with a reader and a writer that report sizes."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_PREFIX):
            return handler
        read, write = handler.request_deserializer, handler.response_serializer
        received, sent = self._observer.message_received, self._observer.message_sent

        def reading(data: bytes) -> Any:
            received(len(data))
            return read(data)

        def writing(message: Any) -> bytes:
            data: bytes = write(message)
            sent(len(data))
            return data

        return handler._replace(request_deserializer=reading, response_serializer=writing)
