"""The methods of SidecarService, with what turns their messages into bytes and back."""

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from ciosidecar.v1 import service_pb2 as pb
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from .message_bytes import MessageBytes
from .service import Servicer

_SERVICE = pb.DESCRIPTOR.services_by_name["SidecarService"]


def add_to_server(servicer: Servicer, server: aio.Server, message_bytes: MessageBytes) -> None:
    """Add all methods to a server. The codec of the servicer reads what carries events.

    Args:
        servicer: the methods.
        server: the server.
        message_bytes: counts the bytes of all messages.
    """
    codec = servicer.codec
    readers: dict[str, Callable[[bytes], Any]] = {
        "Transform": partial(codec.read_unary, request_type=pb.TransformRequest),
        "Deliver": partial(codec.read_unary, request_type=pb.DeliverRequest),
        "TransformStream": codec.read_stream_message,
    }
    handlers = {
        method.name: _handler(
            method,
            getattr(servicer, method.name),
            message_bytes.reader(readers.get(method.name, _reader(method))),
            message_bytes.written,
        )
        for method in _SERVICE.methods
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),)
    )
    server.add_registered_method_handlers(_SERVICE.full_name, handlers)


def _handler(
    method: MethodDescriptor,
    call: Callable[..., Any],
    read: Callable[[bytes], Any],
    write: Callable[[Any], bytes],
) -> "grpc.RpcMethodHandler[Any, Any]":
    handler = (
        grpc.stream_stream_rpc_method_handler
        if method.server_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    made: grpc.RpcMethodHandler[Any, Any] = handler(
        call, request_deserializer=read, response_serializer=write
    )
    return made


def _reader(method: MethodDescriptor) -> Callable[[bytes], Any]:
    return GetMessageClass(method.input_type).FromString
