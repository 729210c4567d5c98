"""Pure functions that turn RudderStack events into Customer.io requests.

The code cites the rules of docs/rules.md by number: "rule 5.6". There is no I/O, no protobuf, and
no clock but the caller's. The package works without a server:

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
from .requests import Request, RequestTemplate, SharedItem
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
    """Transform one event. An item that could share a request gets a request of its own.

    Args:
        event_json: One JSON object in UTF-8.
        destination: Where the event goes, as `read_destination` returns it.
        source_type: The type of the event's source, "" to go by its channel (rule 11.3).
        now: The current time. Unit: seconds since 1970.
        connection: What the row of a record is about, as `read_connection` returns it.

    Returns:
        The outcome, and the requests in the order in which they must be sent.
    """
    writer = RequestList()
    batch = BatchTransform(now, writer)
    outcome = batch.add(0, event_json, destination, source_type=source_type, connection=connection)
    batch.flush()
    return outcome, [request for request, _ in writer.requests]


__all__ = [
    "EVENT_TYPES",
    "AnyDestination",
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
    "SharedItem",
    "Transformed",
    "Warning",
    "WarningCode",
    "read_connection",
    "read_destination",
    "transform",
    "transform_event",
]
