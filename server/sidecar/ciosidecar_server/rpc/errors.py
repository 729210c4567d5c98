"""RPC failures: for violations of the protocol and internal errors, never for an event."""

import secrets
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status

from .observer import RpcObserver


class ProtocolError(Exception):
    """A violation of the protocol by the caller. The RPC fails with a status that names the field."""

    def __init__(
        self,
        field: str,
        text: str,
        code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT,
    ) -> None:
        super().__init__(text)
        self.field = field
        """The field of the request that is wrong, as the protos name it, with the index."""
        self.text = text
        self.code = code

    def status(self) -> status_pb2.Status:
        """Return the error as google.rpc.Status with a BadRequest."""
        details = AnyMessage()
        details.Pack(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=self.field, description=self.text
                    )
                ]
            )
        )
        code = code_pb2.Code.Value(self.code.name)
        return status_pb2.Status(code=code, message=f"{self.field}: {self.text}", details=[details])


async def fail(
    context: aio.ServicerContext[Any, Any], fault: Exception, observer: RpcObserver
) -> NoReturn:
    """End the RPC with a status. Only a ProtocolError's text reaches the caller."""
    if isinstance(fault, ProtocolError):
        status = rpc_status.to_status(fault.status())
        context.set_trailing_metadata(status.trailing_metadata)
        await context.abort(status.code, status.details)
    # grpc would put the exception's text into the status. The text may quote events and keys.
    log_id = secrets.token_hex(4)
    observer.internal_fault(fault, log_id)
    await context.abort(grpc.StatusCode.INTERNAL, f"internal error; the log has it as {log_id}")
    raise AssertionError  # abort raises
