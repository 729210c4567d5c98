"""The client of ciosidecar: RudderStack events in, Customer.io requests out, from Python.

`Client` and `AsyncClient` make calls and streams. The generated stubs are in `ciosidecar.v1`.
"""

from ciosidecar import v1
from ciosidecar._answer_queue import Answer
from ciosidecar._channel import Tls
from ciosidecar._options import DeliveryOptions, DetailLevel, StreamOptions
from ciosidecar.affinity import Affinity
from ciosidecar.async_client import AsyncClient
from ciosidecar.async_stream import AsyncStream
from ciosidecar.client import Client
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

__version__ = "0.1.0"

__all__ = [
    "Affinity",
    "Answer",
    "ApiRequest",
    "AsyncClient",
    "AsyncStream",
    "BatchEntry",
    "CallFailed",
    "Client",
    "Closed",
    "DeliveryOptions",
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
