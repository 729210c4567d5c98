"""The methods of SidecarService, with what turns their messages into bytes and back."""

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from ciosidecar.v1 import service_pb2 as pb
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from .service import Servicer

_SERVICE = pb.DESCRIPTOR.services_by_name["SidecarService"]


def add_to_server(servicer: Servicer, server: aio.Server) -> None:
    """Add all methods to a server. The codec of the servicer reads what carries events."""
    codec = servicer.codec
    readers: dict[str, Callable[[bytes], Any]] = {
        "Transform": partial(codec.read_unary, request_type=pb.TransformRequest),
        "Deliver": partial(codec.read_unary, request_type=pb.DeliverRequest),
        "TransformStream": codec.read_stream_message,
    }
    handlers = {
        method.name: _handler(
            method, getattr(servicer, method.name), readers.get(method.name, _reader(method))
        )
        for method in _SERVICE.methods
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),)
    )
    server.add_registered_method_handlers(_SERVICE.full_name, handlers)


def _handler(
    method: MethodDescriptor, call: Callable[..., Any], read: Callable[[bytes], Any]
) -> "grpc.RpcMethodHandler[Any, Any]":
    handler = (
        grpc.stream_stream_rpc_method_handler
        if method.server_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    made: grpc.RpcMethodHandler[Any, Any] = handler(
        call, request_deserializer=read, response_serializer=_serialized
    )
    return made


def _reader(method: MethodDescriptor) -> Callable[[bytes], Any]:
    return GetMessageClass(method.input_type).FromString


def _serialized(message: Any) -> bytes:
    """Return the bytes of a message, of the protobuf library or of results."""
    data: bytes = message.SerializeToString()
    return data
