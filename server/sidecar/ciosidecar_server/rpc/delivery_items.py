"""Decoded items → the jobs of their delivery."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from ciosidecar_transform import EventRejected, Outcome, transform_event
from ciosidecar_transform.ordering import OrderingKey, caller_key, operation_keys, request_keys
from ciosidecar_transform.outcomes import rejected
from ciosidecar_transform.pipeline import internal_error
from ciosidecar_transform.requests import Request, SharedItem

from ..delivery import outcomes
from ..delivery.endpoints import TrackApiEndpoints
from ..delivery.prepared_requests import prepared_request
from .counting import PREPARED
from .decoding import DecodedEvent, PreparedItem
from .item_job import ItemJob

if TYPE_CHECKING:
    from .delivery_batch import DeliveryBatch

MESSAGE_BYTES = 512
"""What a batch, or a job, counts for in outstanding bytes beside its own."""

_AS_IT_IS = Outcome(200, [], event_type=PREPARED)
NOT_SENT = Outcome(503, [], outcomes.DRAINED.error)
"""The outcome of an item that arrives while the server drains."""


def job_of_event(item: DecodedEvent, batch: "DeliveryBatch", now: int) -> ItemJob | Outcome:
    """Return the job of an event, or the outcome of an event that becomes none. now: seconds since 1970."""
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
        return outcome
    try:
        keys = _caller_keys(item) or operation_keys(operation, event, by_phone=destination.by_phone)
    except Exception as fault:  # noqa: BLE001 - one event's fault is not the stream's
        return internal_error(fault, outcome.warnings, outcome.event_type)
    return _job(item, batch, request, keys, hash(item.event), outcome)


def job_of_prepared(
    item: PreparedItem, batch: "DeliveryBatch", endpoints: TrackApiEndpoints
) -> ItemJob | Outcome:
    """Return the job of a prepared request, or the outcome of one that is not to be sent.

    endpoints: the base URLs that it may have.
    """
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
        return rejected(rejection, event_type=PREPARED)
    keys = _caller_keys(item) or request_keys(request)
    job = _job(item, batch, request, keys, hash((prepared.url, prepared.body)), _AS_IT_IS)
    job.prepared = True
    return job


def _job(
    item: DecodedEvent | PreparedItem,
    batch: "DeliveryBatch",
    request: Request | SharedItem,
    keys: Collection[OrderingKey],
    fingerprint: int,
    outcome: Outcome,
) -> ItemJob:
    fields, label = item.fields, item.label
    return ItemJob(
        request,
        # Not a set: the garbage collector has no work with a tuple of texts.
        tuple(keys),
        batch.deadline,
        batch,
        item.position,
        fingerprint,
        size=MESSAGE_BYTES + len(request.path) + len(request.body),
        alone=fields.dont_batch,
        destination_ref=label.destination_ref,
        label=label,
        outcome=outcome,
        tag=fields.tag,
        again=fields.attempt > 0,
    )


def _caller_keys(item: DecodedEvent | PreparedItem) -> Collection[OrderingKey]:
    """Return the caller's own ordering key, or nothing if the caller gives none."""
    ordering_key = item.fields.ordering_key
    return (caller_key(ordering_key),) if ordering_key else ()
