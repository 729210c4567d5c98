"""The outcomes of the jobs of a request that Customer.io accepted, except the items it names."""

import logging
from collections.abc import Iterator, Sequence

from . import outcomes
from .job import Job
from .outcomes import DeliveryOutcome
from .prepared_requests import items_of
from .request_batch import RequestBatch
from .responses import Classification, Failure

_log = logging.getLogger(__name__)


def accepted(
    batch: RequestBatch, status: int, classification: Classification
) -> Iterator[tuple[Sequence[Job], DeliveryOutcome]]:
    """Yield jobs with the outcome that they share: each job once, in their order."""
    failures = classification.failures
    warnings = [outcomes.WRONG_REGION] if batch.redirected else []
    if not classification.readable:
        _log.warning("Customer.io's answer %d cannot be read", status)
        warnings.append(outcomes.UNREADABLE)
    jobs = batch.jobs
    if not failures and not warnings and status == outcomes.DELIVERED.http_status:
        yield jobs, outcomes.DELIVERED
        return
    alone = len(jobs) == 1
    items = items_of(batch.request()) if alone and jobs[0].prepared else None
    if items is not None:
        yield jobs, outcomes.of_prepared(status, failures, items, warnings)
        return
    refused: dict[int, Failure] = {}
    for failure in failures:
        index = 0 if alone else failure.item
        if index is not None and index < len(jobs):
            refused.setdefault(index, failure)
        elif outcomes.UNATTRIBUTED_ERROR not in warnings:
            _log.warning("Customer.io reported an error without saying of which item")
            warnings.append(outcomes.UNATTRIBUTED_ERROR)
    delivered = outcomes.DELIVERED._replace(http_status=status, warnings=warnings)
    first = 0
    for index in sorted(refused):
        if first < index:
            yield jobs[first:index], delivered
        yield jobs[index : index + 1], outcomes.item_refused(status, refused[index])
        first = index + 1
    if first < len(jobs):
        yield jobs[first:], delivered
