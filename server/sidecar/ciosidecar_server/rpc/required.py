"""What a call must have: the fields that are required, and the features that it asks for."""

import grpc
from ciosidecar.v1 import destination_pb2
from ciosidecar.v1 import service_pb2 as pb

from ..settings import Settings
from .errors import ProtocolError
from .request_message import Batch, UnaryRequest

_MUST_BE_SET = "must be set"


def check_declaration(
    declared: destination_pb2.Destination | destination_pb2.SourceConnection, field: str
) -> None:
    """Raise ProtocolError for a declaration without reference id, or without settings and ref.

    Args:
        declared: the destination or the connection.
        field: the field that holds it, with its index.
    """
    if declared.reference_id < 1:
        raise ProtocolError(f"{field}.reference_id", "must be greater than 0")
    check_settings(declared, field)


def check_settings(
    declared: destination_pb2.Destination | destination_pb2.SourceConnection, field: str
) -> None:
    """Raise ProtocolError for a destination or a connection without settings.

    A destination needs none if it has a ref, which then names a destination of the server.
    """
    if declared.WhichOneof("settings") is not None or names_server_destination(declared):
        return
    by_ref = ", or destination_ref must name a destination of the server"
    words = by_ref if isinstance(declared, destination_pb2.Destination) else ""
    raise ProtocolError(f"{field}.settings", f"config_json or typed must be set{words}")


def names_server_destination(
    declared: destination_pb2.Destination | destination_pb2.SourceConnection,
) -> bool:
    """Return whether a declaration has a ref and no settings, and so means a destination of the server."""
    return (
        isinstance(declared, destination_pb2.Destination)
        and declared.WhichOneof("settings") is None
        and bool(declared.destination_ref)
    )


def check_transform(request: UnaryRequest[pb.TransformRequest]) -> Batch:
    """Return the batch. Raise ProtocolError for a request without one or without destinations."""
    if request.batch is None:
        raise ProtocolError("batch", _MUST_BE_SET)
    if not request.declared.destinations:
        raise ProtocolError("destinations", _MUST_BE_SET)
    return request.batch


def check_deliver(request: UnaryRequest[pb.DeliverRequest]) -> Batch:
    """Return the batch. Raise ProtocolError for a request without one, or for events without destinations."""
    if request.batch is None:
        raise ProtocolError("batch", _MUST_BE_SET)
    if not request.declared.destinations and not request.batch.only_prepared:
        raise ProtocolError(
            "destinations", "must be set, unless all items of the batch are prepared requests"
        )
    return request.batch


def check_destination_request(request: pb.CheckDestinationRequest) -> None:
    """Raise ProtocolError for a request without a destination, or without the settings of it."""
    if not request.HasField("destination"):
        raise ProtocolError("destination", _MUST_BE_SET)
    check_settings(request.destination, "destination")


def check_delivery_offered(settings: Settings, field: str) -> None:
    """Raise ProtocolError, UNIMPLEMENTED, if the server does not deliver.

    Args:
        settings: the settings of the server.
        field: the field of the request that asks for it.
    """
    if not settings.delivery:
        raise ProtocolError(
            field, "this server does not deliver (--no-delivery)", grpc.StatusCode.UNIMPLEMENTED
        )
