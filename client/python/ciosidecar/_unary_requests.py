"""The requests of unary calls."""

from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from ciosidecar import v1
from ciosidecar._options import DeliveryOptions
from ciosidecar._reference_table import ReferenceTable
from ciosidecar.events import (
    AnyConnection,
    AnyDestination,
    BatchEntry,
    Destination,
    Event,
    SourceConnection,
    outgoing_of,
    payload,
)

DEFAULT_TIMEOUT_S = 30.0
_UNLIMITED_IDS = 1 << 31

_Request = TypeVar("_Request", v1.TransformRequest, v1.DeliverRequest)


class DeliverTimeout(Enum):
    """The time limit of a `deliver` call for which the caller sets none."""

    DEFAULT = "30 seconds more than the time limit of the delivery"


def transform_request(
    entries: Iterable[Event | BatchEntry],
    destination: AnyDestination | None,
    connection: AnyConnection | None,
) -> v1.TransformRequest:
    """Return the request of a Transform call."""
    return _add_batch(v1.TransformRequest(), entries, destination, connection)


def deliver_request(
    entries: Iterable[Event | BatchEntry],
    destination: AnyDestination | None,
    connection: AnyConnection | None,
    options: DeliveryOptions,
) -> v1.DeliverRequest:
    """Return the request of a Deliver call."""
    request = v1.DeliverRequest(delivery=options.to_proto())
    return _add_batch(request, entries, destination, connection)


def deliver_timeout_s(
    timeout_s: float | DeliverTimeout | None, options: DeliveryOptions
) -> float | None:
    """Return the time limit of a Deliver call in seconds, or None for no limit."""
    if timeout_s is DeliverTimeout.DEFAULT:
        return options.longest_delivery_s + DEFAULT_TIMEOUT_S
    return timeout_s


def check_request(destination: AnyDestination, *, probe: bool) -> v1.CheckDestinationRequest:
    """Return the request of a CheckDestination call."""
    checked = Destination.of(destination)
    request = v1.CheckDestinationRequest(probe=probe)
    request.destination.destination_ref = checked.ref
    if checked.config is not None:
        request.destination.config_json = checked.config
    return request


def _add_batch(
    request: _Request,
    entries: Iterable[Event | BatchEntry],
    destination: AnyDestination | None,
    connection: AnyConnection | None,
) -> _Request:
    """Return the request with its batch, and everything that the batch refers to."""
    default = None if destination is None else Destination.of(destination)
    destinations, connections = ReferenceTable[Destination](), ReferenceTable[SourceConnection]()
    for table in (destinations, connections):
        table.reset(_UNLIMITED_IDS)
    request.batch.SetInParent()
    if default is not None:
        request.batch.destination = destinations.reference_id(default, ()) or 0
    if connection is not None:
        request.batch.connection = (
            connections.reference_id(SourceConnection.of(connection), ()) or 0
        )
    for entry in entries:
        outgoing = outgoing_of(entry, default)
        fields = payload(outgoing.event) | dict(outgoing.fields or {})
        if outgoing.destination is not default and outgoing.destination is not None:
            fields["destination"] = destinations.reference_id(outgoing.destination, ())
        if outgoing.connection is not None:
            fields["connection"] = connections.reference_id(outgoing.connection, ())
        request.batch.items.add(**fields)
    for reference_id, target in destinations.take_undeclared():
        request.destinations.add(
            reference_id=reference_id, destination_ref=target.ref, config_json=target.config
        )
    for reference_id, source in connections.take_undeclared():
        request.connections.add(reference_id=reference_id, config_json=source.config)
    return request
