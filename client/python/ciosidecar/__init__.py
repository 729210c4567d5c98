"""ciosidecar's client: RudderStack events in, Customer.io requests out, from Python.

`Client` and `AsyncClient` transform batches and keep streams; the stubs are in `ciosidecar.v1`.
"""

from ciosidecar import v1
from ciosidecar._connection import Deliver, StreamOptions, Tls
from ciosidecar._ledger import Answer
from ciosidecar.async_stream import AsyncStream
from ciosidecar.client import AsyncClient, Client
from ciosidecar.errors import CallFailed, Closed, SidecarError, Unavailable
from ciosidecar.events import BatchEntry, Connection, Destination, Event
from ciosidecar.results import (
    Delivery,
    Error,
    FailedItem,
    Request,
    Result,
    Warning,
    read_results,
)
from ciosidecar.stream import Stream

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncStream",
    "BatchEntry",
    "CallFailed",
    "Client",
    "Closed",
    "Connection",
    "Deliver",
    "Delivery",
    "Destination",
    "Error",
    "Event",
    "FailedItem",
    "Request",
    "Result",
    "SidecarError",
    "Stream",
    "StreamOptions",
    "Tls",
    "Unavailable",
    "Warning",
    "read_results",
    "v1",
]
