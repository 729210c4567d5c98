"""The detail of one item: its error, its warnings and the report of its delivery."""

from collections.abc import Sequence
from typing import NamedTuple

from ciosidecar.v1 import result_pb2 as pb
from ciosidecar_transform import ErrorCode, Outcome
from ciosidecar_transform.outcomes import ErrorType, FilterReason, WarningCode

from ..delivery.job import Job
from ..delivery.outcomes import DeliveryOutcome
from ..delivery.responses import Failure

ERROR_CODES = {code: pb.ErrorCode.Value(f"ERROR_CODE_{code}") for code in ErrorCode}
ERROR_TYPES = {kind: pb.ErrorType.Value(f"ERROR_TYPE_{kind}") for kind in ErrorType}
WARNING_CODES = {code: pb.WarningCode.Value(f"WARNING_CODE_{code}") for code in WarningCode}
FILTER_REASONS = {
    reason: pb.FilterReason.Value(f"FILTER_REASON_{reason}") for reason in FilterReason
}

MAX_TAG_BYTES = 4096
_MAX_WARNINGS = 16


class Delivered(NamedTuple):
    """An item whose delivery is over, successful or not."""

    job: Job
    outcome: DeliveryOutcome


def new_detail(
    position: int,
    tag: bytes,
    outcome: Outcome,
    delivered: Delivered | None,
    max_failures_bytes: int | None,
) -> pb.EventDetail:
    """Return the detail of an item.

    Args:
        position: the position of the item in its batch.
        tag: the caller's tag of the item.
        outcome: what became of the item.
        delivered: the delivery of the item; None if the item was not to be delivered.
        max_failures_bytes: the room for the reasons of refused items; None: no limit.
    """
    detail = pb.EventDetail(position=position, tag=tag[:MAX_TAG_BYTES])
    if outcome.error is not None:
        detail.error.code = ERROR_CODES[outcome.error.code]
        detail.error.type = ERROR_TYPES[outcome.error.type]
        detail.error.message = outcome.error.text
        detail.error.retryable = outcome.error.retryable
    for warning in outcome.warnings[:_MAX_WARNINGS]:
        detail.warnings.add(code=WARNING_CODES[warning.code], message=warning.text)
    if outcome.filtered is not None:
        detail.filter_reason = FILTER_REASONS[outcome.filtered]
    if delivered is not None:
        _add_report(detail, delivered, max_failures_bytes)
    return detail


def _add_report(
    detail: pb.EventDetail, delivered: Delivered, max_failures_bytes: int | None
) -> None:
    job, outcome = delivered
    report = detail.delivery
    report.attempts = job.attempts
    report.http_status = outcome.http_status
    report.reason = outcome.reason
    report.field = outcome.field
    if job.attempts:
        report.latency.FromMilliseconds(round((job.answered_at - job.first_sent_at) * 1000))
    _add_failed_items(report, outcome.failed_items, max_failures_bytes)
    if outcome.retry_after_s is not None:
        detail.error.retry_after.FromMilliseconds(round(outcome.retry_after_s * 1000))
    if outcome.blocked_by is not None:
        detail.error.blocked_by.batch_id = outcome.blocked_by.batch_id
        detail.error.blocked_by.position = outcome.blocked_by.position


def _add_failed_items(
    report: pb.DeliveryReport, failures: Sequence[Failure], max_bytes: int | None
) -> None:
    """Add every refused item, with its reason while there is room for reasons."""
    bytes_left = max_bytes
    for failure in failures:
        item = report.failed_items.add(
            index=failure.item or 0, reason=failure.reason, field=failure.field
        )
        if bytes_left is None:
            continue
        bytes_left -= item.ByteSize()
        if bytes_left < 0:
            item.reason = item.field = ""


def make_brief(detail: pb.EventDetail) -> None:
    """Remove the texts and the tag from a detail. The codes, numbers and positions stay."""
    detail.ClearField("tag")
    if detail.HasField("error"):
        detail.error.ClearField("message")
    for warning in detail.warnings:
        warning.ClearField("message")
    if detail.HasField("delivery"):
        detail.delivery.ClearField("reason")
        detail.delivery.ClearField("field")
        for failed_item in detail.delivery.failed_items:
            failed_item.ClearField("reason")
            failed_item.ClearField("field")
