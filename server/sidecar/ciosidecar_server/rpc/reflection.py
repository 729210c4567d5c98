"""gRPC server reflection, v1 and v1alpha, that finds methods too.

The library's reflection does not find the symbol of a method (grpc#34743), which `grpcurl describe` and
ghz ask for, and serves v1alpha only. The messages of both versions are the same on the wire.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA = reflection_pb2.DESCRIPTOR.package
_V1 = "grpc.reflection.v1"
SERVICE_NAMES = (reflection.SERVICE_NAME, f"{_V1}.ServerReflection")


def enable_reflection(server: aio.Server, service_names: Iterable[str]) -> None:
    """Answer reflection about services, and about reflection itself."""
    _declare_v1()
    servicer = Reflection((*service_names, *SERVICE_NAMES))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
            for name in SERVICE_NAMES
        ]
    )


class Reflection(reflection.aio.ReflectionServicer):
    """The library's reflection, which is asked for a method's service in place of the method."""

    async def ServerReflectionInfo(  # type: ignore[override]  # noqa: N802 - types-grpcio-reflection takes it for a coroutine
        self,
        request_iterator: AsyncIterable[reflection_pb2.ServerReflectionRequest],
        unused_context: Any,
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Answer each request with one response."""
        async for request in request_iterator:
            asked = _alone(_of_service(request))
            responses: Any = super().ServerReflectionInfo(asked, unused_context)
            async for response in responses:
                response.original_request.CopyFrom(request)
                yield response


def _of_service(
    request: reflection_pb2.ServerReflectionRequest,
) -> reflection_pb2.ServerReflectionRequest:
    """Return the request, or the same about the service if it is about a method."""
    try:
        method = descriptor_pool.Default().FindMethodByName(request.file_containing_symbol)
    except KeyError:
        return request
    return reflection_pb2.ServerReflectionRequest(
        file_containing_symbol=method.containing_service.full_name
    )


async def _alone(
    request: reflection_pb2.ServerReflectionRequest,
) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
    yield request


def _declare_v1() -> None:
    """Make v1's own descriptors from those of v1alpha, so that a caller can read them, too."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", _V1
    for message in file.message_type:
        for field in (each for each in message.field if each.type_name):
            field.type_name = field.type_name.replace(_ALPHA, _V1)
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(_ALPHA, _V1)
        method.output_type = method.output_type.replace(_ALPHA, _V1)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
