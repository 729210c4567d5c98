"""ciosidecar's client: RudderStack events in, Customer.io requests out, from Python.

`Client` and `AsyncClient` transform batches and keep streams; the stubs are in `ciosidecar.v1`.
"""

from ciosidecar import v1
from ciosidecar._connection import Deliver, DetailLevel, StreamOptions, Tls
from ciosidecar._outstanding import Answer
from ciosidecar.async_stream import AsyncStream
from ciosidecar.client import AsyncClient, Client
from ciosidecar.errors import CallFailed, Closed, SidecarError, Unavailable
from ciosidecar.events import BatchEntry, Destination, Event, SourceConnection
from ciosidecar.results import (
    ApiRequest,
    DeliveryReport,
    EventError,
    EventWarning,
    FailedItem,
    Result,
    read_results,
)
from ciosidecar.stream import Stream

__all__ = [
    "Answer",
    "ApiRequest",
    "AsyncClient",
    "AsyncStream",
    "BatchEntry",
    "CallFailed",
    "Client",
    "Closed",
    "Deliver",
    "DeliveryReport",
    "Destination",
    "DetailLevel",
    "Event",
    "EventError",
    "EventWarning",
    "FailedItem",
    "Result",
    "SidecarError",
    "SourceConnection",
    "Stream",
    "StreamOptions",
    "Tls",
    "Unavailable",
    "read_results",
    "v1",
]
