"""What becomes of the jobs of a request that Customer.io took, but for what it names."""

import logging
from collections.abc import Iterator

from . import outcomes
from .job import DeliveryOutcome, Job
from .prepared_requests import items_of
from .request_batch import RequestBatch
from .responses import Classification, Failure

_log = logging.getLogger(__name__)


def taken(
    batch: RequestBatch, status: int, classification: Classification
) -> Iterator[tuple[Job, DeliveryOutcome]]:
    """Yield each job with its report."""
    failures = classification.failures
    warnings = [outcomes.WRONG_REGION] if batch.redirected else []
    if not classification.readable:
        _log.warning("Customer.io's answer %d cannot be read", status)
        warnings.append(outcomes.UNREADABLE)
    jobs = batch.jobs
    if not failures and not warnings and status == outcomes.DELIVERED.http_status:
        yield from ((job, outcomes.DELIVERED) for job in jobs)
        return
    alone = len(jobs) == 1
    items = items_of(batch.request()) if alone and jobs[0].prepared else None
    if items is not None:
        yield jobs[0], outcomes.of_prepared(status, failures, items, warnings)
        return
    named: dict[int, Failure] = {}
    for failure in failures:
        index = 0 if alone else failure.item
        if index is not None and index < len(jobs):
            named.setdefault(index, failure)
        elif outcomes.UNATTRIBUTED_ERROR not in warnings:
            _log.warning("Customer.io reported an error without saying of which item")
            warnings.append(outcomes.UNATTRIBUTED_ERROR)
    report = outcomes.DELIVERED._replace(http_status=status, warnings=warnings)
    for index, job in enumerate(jobs):
        yield job, outcomes.item_refused(status, named[index]) if index in named else report
