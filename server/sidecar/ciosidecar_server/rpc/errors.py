"""RPC failures: for broken protocol and our own faults, never for an event."""

import logging
import secrets
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status

_log = logging.getLogger(__name__)


class ProtocolError(Exception):
    """The caller broke the contract; the RPC ends with a status that says how."""

    def __init__(
        self,
        field: str,
        text: str,
        code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT,
    ) -> None:
        super().__init__(text)
        self.field = field
        """The field of the request that is wrong, as the protos name it."""
        self.text = text
        self.code = code

    def status(self) -> status_pb2.Status:
        """As google.rpc.Status with a BadRequest."""
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


async def fail(context: aio.ServicerContext[Any, Any], fault: Exception) -> NoReturn:
    """Ends the RPC with a status that tells the caller what he may know."""
    if isinstance(fault, ProtocolError):
        status = rpc_status.to_status(fault.status())
        context.set_trailing_metadata(status.trailing_metadata)
        await context.abort(status.code, status.details)
    # grpc would put the exception's text into the status: it may quote events and keys.
    number = secrets.token_hex(4)
    _log.error("internal error %s", number, exc_info=_without_text(fault))
    await context.abort(grpc.StatusCode.INTERNAL, f"internal error; the log has it as {number}")
    raise AssertionError  # abort raises


def _without_text(fault: Exception) -> Exception:
    bare = RuntimeError(type(fault).__name__)
    bare.__traceback__ = fault.__traceback__
    return bare
