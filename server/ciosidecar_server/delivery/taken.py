"""What becomes of the jobs of a request that Customer.io took, but for what it names."""

import logging
from collections.abc import Iterator

from . import reports
from .answers import Failure, Verdict
from .job import Job, Report
from .prepared import items_of
from .shipment import Shipment

_log = logging.getLogger(__name__)


def taken(shipment: Shipment, status: int, verdict: Verdict) -> Iterator[tuple[Job, Report]]:
    """Yield each job with its report."""
    failures = verdict.failures
    warnings = [reports.WRONG_REGION] if shipment.redirected else []
    if not verdict.readable:
        _log.warning("Customer.io's answer %d cannot be read", status)
        warnings.append(reports.UNREADABLE)
    jobs = shipment.jobs
    if not failures and not warnings and status == reports.DELIVERED.http_status:
        yield from ((job, reports.DELIVERED) for job in jobs)
        return
    alone = len(jobs) == 1
    items = items_of(shipment.request()) if alone and jobs[0].prepared else None
    if items is not None:
        yield jobs[0], reports.of_prepared(status, failures, items, warnings)
        return
    named: dict[int, Failure] = {}
    for failure in failures:
        index = 0 if alone else failure.item
        if index is not None and index < len(jobs):
            named.setdefault(index, failure)
        elif reports.UNATTRIBUTED_ERROR not in warnings:
            _log.warning("Customer.io reported an error without saying of which item")
            warnings.append(reports.UNATTRIBUTED_ERROR)
    report = reports.DELIVERED._replace(http_status=status, warnings=warnings)
    for index, job in enumerate(jobs):
        yield job, reports.item_refused(status, named[index]) if index in named else report
