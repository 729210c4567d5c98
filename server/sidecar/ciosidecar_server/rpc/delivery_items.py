"""Decoded items → what is to be delivered, and in which order."""

from collections.abc import Collection
from typing import NamedTuple

from ciosidecar_transform import EventRejected, Outcome, Request, transform_event
from ciosidecar_transform.ordering import OrderingKey, caller_key, operation_keys, request_keys
from ciosidecar_transform.outcomes import rejected
from ciosidecar_transform.pipeline import internal_error
from ciosidecar_transform.requests import SharedItem

from ..delivery import outcomes
from ..delivery.endpoints import TrackApiEndpoints
from ..delivery.prepared_requests import prepared_request
from .counting import PREPARED
from .decoding import Decoded, DecodedEvent, PreparedItem, RejectedItem
from .request_message import ItemOptions

_AS_IT_IS = Outcome(200, [], event_type=PREPARED)


class Deliverable(NamedTuple):
    """What an item becomes: a request to deliver, or the outcome of an item without one."""

    outcome: Outcome
    request: Request | SharedItem | None = None
    keys: Collection[OrderingKey] = ()
    fingerprint: int = 0
    """The hash of what the caller sent, by which an item that is sent again is recognised."""


NOT_SENT = Deliverable(Outcome(503, [], outcomes.DRAINED.error))
"""An item that arrives while the server drains."""


def deliverable(item: Decoded, now: int, endpoints: TrackApiEndpoints) -> Deliverable:
    """Return what an item becomes. now: seconds since 1970."""
    if isinstance(item, DecodedEvent):
        return _of_event(item, now)
    if isinstance(item, RejectedItem):
        return Deliverable(item.outcome)
    return _of_prepared(item, endpoints)


def _of_event(item: DecodedEvent, now: int) -> Deliverable:
    destination = item.destination
    transformed = transform_event(
        item.event,
        destination,
        source_type=item.fields.source_type,
        now=now,
        connection=item.connection,
    )
    outcome, request = transformed.outcome, transformed.request
    operation, event = transformed.operation, transformed.event
    if request is None or operation is None or event is None:
        return Deliverable(outcome)
    try:
        by_phone = destination.by_phone
        keys = _caller_keys(item.fields) or operation_keys(operation, event, by_phone=by_phone)
    except Exception as fault:  # noqa: BLE001 - one event's fault is not the stream's
        return Deliverable(internal_error(fault, outcome.warnings, outcome.event_type))
    return Deliverable(outcome, request, keys, hash(item.event))


def _of_prepared(item: PreparedItem, endpoints: TrackApiEndpoints) -> Deliverable:
    prepared = item.request
    try:
        request = prepared_request(
            prepared.method,
            prepared.url,
            prepared.endpoint_path,
            prepared.headers,
            prepared.body,
            endpoints,
        )
    except EventRejected as rejection:
        return Deliverable(rejected(rejection, event_type=PREPARED))
    keys = _caller_keys(item.fields) or request_keys(request)
    return Deliverable(_AS_IT_IS, request, keys, hash((prepared.url, prepared.body)))


def _caller_keys(item: ItemOptions) -> set[OrderingKey]:
    """Return the caller's own ordering key, or nothing if the caller gives none."""
    return {caller_key(item.ordering_key)} if item.ordering_key else set()
