"""The meaning: pure functions from a RudderStack event to a Customer.io request.

The rules of docs/rules.md in code: "SPEC 5.6" is its number 5.6.

No I/O, no protobuf, no clock but the one handed in; usable without a server:

    destination, problems = read_destination(b'{"siteID": "…", "apiKey": "…"}')
    outcome, requests = transform(event_json, destination, now=int(time.time()))
"""

from .batch import BatchTransform, RequestList, RequestWriter
from .outcomes import (
    Error,
    ErrorCode,
    ErrorType,
    EventRejected,
    FilterReason,
    Outcome,
    Warning,
    WarningCode,
)
from .pipeline import EVENT_TYPES, Transformed, transform_event
from .requests import BatchItem, Request, RequestTemplate
from .settings.connections import Connection, read_connection
from .settings.destination import Destination
from .settings.dynamic import AnyDestination, DynamicDestination, read_destination
from .settings.reader import SettingProblem

__version__ = "0.1.0"


def transform(
    event_json: bytes,
    destination: AnyDestination,
    *,
    source_type: str = "",
    now: int,
    connection: Connection | None = None,
) -> tuple[Outcome, list[Request]]:
    """What one event comes to, and the requests it becomes; what could share one has its own.

    now: seconds since 1970. connection: what a record is about.
    """
    writer = RequestList()
    batch = BatchTransform(now, writer)
    outcome = batch.add(0, event_json, destination, source_type=source_type, connection=connection)
    batch.flush()
    return outcome, [request for request, _ in writer.requests]


__all__ = [
    "EVENT_TYPES",
    "AnyDestination",
    "BatchItem",
    "BatchTransform",
    "Connection",
    "Destination",
    "DynamicDestination",
    "Error",
    "ErrorCode",
    "ErrorType",
    "EventRejected",
    "FilterReason",
    "Outcome",
    "Request",
    "RequestList",
    "RequestTemplate",
    "RequestWriter",
    "SettingProblem",
    "Transformed",
    "Warning",
    "WarningCode",
    "read_connection",
    "read_destination",
    "transform",
    "transform_event",
]
