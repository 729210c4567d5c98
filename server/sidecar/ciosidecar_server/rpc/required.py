"""Required fields: a call without one of them fails with INVALID_ARGUMENT and names the field."""

from ciosidecar.v1 import destination_pb2
from ciosidecar.v1 import service_pb2 as pb

from .errors import ProtocolError

_MUST_BE_SET = "must be set"


def check_declaration(
    declared: destination_pb2.Destination | destination_pb2.SourceConnection, field: str
) -> None:
    """Raise ProtocolError for a declaration without reference id or settings.

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
    """Raise ProtocolError for a destination or a connection without settings."""
    if declared.WhichOneof("settings") is None:
        raise ProtocolError(f"{field}.settings", "config_json or typed must be set")


def check_transform(request: pb.TransformRequest) -> None:
    """Raise ProtocolError for a request without a batch or without destinations."""
    if not request.HasField("batch"):
        raise ProtocolError("batch", _MUST_BE_SET)
    if not request.destinations:
        raise ProtocolError("destinations", _MUST_BE_SET)


def check_deliver(request: pb.DeliverRequest) -> None:
    """Raise ProtocolError for a request without a batch, or for events without destinations."""
    if not request.HasField("batch"):
        raise ProtocolError("batch", _MUST_BE_SET)
    if request.destinations:
        return
    if not all(item.WhichOneof("payload") == "prepared" for item in request.batch.items):
        raise ProtocolError(
            "destinations", "must be set, unless all items of the batch are prepared requests"
        )


def check_destination_request(request: pb.CheckDestinationRequest) -> None:
    """Raise ProtocolError for a request without a destination, or without the settings of it."""
    if not request.HasField("destination"):
        raise ProtocolError("destination", _MUST_BE_SET)
    check_settings(request.destination, "destination")
