"""What can become of a job, in words. Rules 12.1, 12.2."""

from collections.abc import Sequence
from typing import NamedTuple

from ciosidecar_transform.outcomes import (
    INTERNAL,
    Error,
    ErrorCode,
    ErrorType,
    Warning,
    WarningCode,
)

from ..counted import counted
from .responses import Failure, in_its_words


class ItemRef(NamedTuple):
    """The batch and the position of an item, as its caller counts them."""

    batch_id: int
    position: int


class DeliveryOutcome(NamedTuple):
    """The outcome of a job."""

    status: int
    """For routers: 200 is delivered, 408, 429 and 5xx are retryable, other 4xx are permanent. Rule 12.1."""
    error: Error | None = None
    warnings: Sequence[Warning] = ()
    http_status: int = 0
    """The status of Customer.io's last response; 0 if there was none."""
    reason: str = ""
    """Customer.io's own words, or why there was no response."""
    field: str = ""
    retry_after_s: float | None = None
    blocked_by: ItemRef | None = None
    """The earlier job whose failure keeps this one from being sent."""
    failed_items: Sequence[Failure] = ()
    """With status 207: the items of a prepared request that were refused."""
    other_region: bool = False
    """Whether Customer.io redirected the request, and no known region accepted it."""


DELIVERED = DeliveryOutcome(200, http_status=200)
WRONG_REGION = Warning(
    WarningCode.WRONG_REGION,
    "Customer.io redirected to its other region: set datacenter accordingly (11.2)",
)
UNATTRIBUTED_ERROR = Warning(
    WarningCode.UNATTRIBUTED_ERROR,
    "Customer.io reported an error in the request without saying of which item (12.1)",
)
UNREADABLE = Warning(
    WarningCode.UNATTRIBUTED_ERROR,
    "Customer.io's answer cannot be read, and may report that this was not accepted (12.1)",
)


def _error(code: ErrorCode, text: str, status: int, *, retryable: bool) -> Error:
    kind = ErrorType.CONFIGURATION if code is ErrorCode.CREDENTIALS_REFUSED else ErrorType.DELIVERY
    return Error(code, kind, f"{text} (12.1)", status, retryable=retryable)


_UNUSABLE = _error(
    ErrorCode.CREDENTIALS_REFUSED,
    "not delivered: Customer.io does not accept the destination's siteID and apiKey",
    503,
    retryable=True,
)
_NOT_SENT = "not sent"
_NOT_SENT_AGAIN = "Customer.io may have received it, and it is not sent again"
DRAINED = DeliveryOutcome(
    503,
    _error(ErrorCode.DRAINING, "not delivered: the sidecar is going away", 503, retryable=True),
)
"""Of a job that is not sent, because the sidecar shuts down."""
EXPIRED = DeliveryOutcome(
    504,
    _error(
        ErrorCode.UPSTREAM_TIMEOUT,
        "not sent: its turn did not come within the batch's timeout",
        504,
        retryable=True,
    ),
)
"""Of a job whose time was over before it was sent."""
INTERNAL_FAULT = DeliveryOutcome(500, INTERNAL)
"""Of a job that met a fault of the sidecar's own, usually before it was sent. After that, Customer.io may have it."""
_OTHER_REGION = ": the workspace is in another region; set the destination's datacenter"
_TROUBLES = {
    ErrorCode.THROTTLED: "Customer.io asks to slow down",
    ErrorCode.UPSTREAM_TIMEOUT: "Customer.io takes too long to answer",
}


def refused(status: int, failures: list[Failure]) -> DeliveryOutcome:
    """Return the outcome of a job that Customer.io refuses permanently. status: Customer.io's 4xx."""
    reason = in_its_words(failures)
    field = next((failure.field for failure in failures if failure.field), "")
    error = _error(
        ErrorCode.REFUSED, f"Customer.io refused it with {status}", status, retryable=False
    )
    return DeliveryOutcome(status, error, http_status=status, reason=reason, field=field)


def item_refused(http_status: int, failure: Failure) -> DeliveryOutcome:
    """Return the outcome of an item that Customer.io refuses, having accepted the rest of the request."""
    error = _error(ErrorCode.REFUSED, "Customer.io refused this item", 400, retryable=False)
    return DeliveryOutcome(400, error, (), http_status, failure.reason, failure.field)


def of_prepared(
    http_status: int, failures: list[Failure], items: int, warnings: Sequence[Warning]
) -> DeliveryOutcome:
    """Return the outcome of a prepared batch that Customer.io accepted, except the items it names.

    Args:
        http_status: the status of the response.
        failures: the errors that the response reports.
        items: how many items the batch has.
        warnings: the warnings so far.
    """
    refused_items = {
        failure.item: failure
        for failure in reversed(failures)
        if failure.item is not None and failure.item < items
    }
    if any(failure.item not in refused_items for failure in failures):
        warnings = [*warnings, UNATTRIBUTED_ERROR]
    if not refused_items:
        return DELIVERED._replace(http_status=http_status, warnings=warnings)
    in_order = [refused_items[index] for index in sorted(refused_items)]
    error = _error(
        ErrorCode.REFUSED,
        f"Customer.io refused {counted(len(in_order), 'item')} of the prepared request",
        207,
        retryable=False,
    )
    first = in_order[0]
    return DeliveryOutcome(
        207, error, warnings, http_status, first.reason, first.field, failed_items=in_order
    )


def failed(
    http_status: int,
    failures: list[Failure],
    retry_after_s: float | None,
    *,
    other_region: bool = False,
) -> DeliveryOutcome:
    """Return the outcome of a job after a retryable failure that Customer.io reports.

    other_region: whether it is a redirect of an account of another region.
    """
    reason = in_its_words(failures)
    status = http_status if http_status in (408, 429) or 500 <= http_status < 600 else 503
    code = ErrorCode.UPSTREAM_FAILED
    if http_status in (425, 429):
        code = ErrorCode.THROTTLED
    elif http_status == 408:
        code = ErrorCode.UPSTREAM_TIMEOUT
    text = f"Customer.io answered {http_status}" + (_OTHER_REGION if other_region else "")
    error = _error(code, text, status, retryable=True)
    return DeliveryOutcome(
        status,
        error,
        http_status=http_status,
        reason=reason,
        retry_after_s=retry_after_s,
        other_region=other_region,
    )


def unanswered(text: str, *, timed_out: bool) -> DeliveryOutcome:
    """Return the outcome of a job whose request has no response. text: why, safe to show."""
    code = ErrorCode.UPSTREAM_TIMEOUT if timed_out else ErrorCode.UPSTREAM_FAILED
    error = _error(code, f"Customer.io did not answer: {text}", 504, retryable=True)
    return DeliveryOutcome(504, error, reason=text)


def not_answered() -> DeliveryOutcome:
    """Return the outcome of a job whose time is over while its request is under way."""
    return unanswered("no answer within the batch's timeout", timed_out=True)


def credentials_refused(
    http_status: int, failures: list[Failure], retry_after_s: float
) -> DeliveryOutcome:
    """Return the outcome of a job with refused credentials. http_status: 0 if the job was not sent."""
    reason = in_its_words(failures)
    return DeliveryOutcome(503, _UNUSABLE, (), http_status, reason, "", retry_after_s)


def in_trouble(
    status: int, retry_after_s: float | None, code: ErrorCode = ErrorCode.THROTTLED
) -> DeliveryOutcome:
    """Return the outcome of a job that is not sent because of its workspace's trouble. status, code: the trouble."""
    text = _TROUBLES.get(code, "nothing gets through to Customer.io at the moment")
    error = _error(code, f"not sent: {text}", status, retryable=True)
    return DeliveryOutcome(status, error, retry_after_s=retry_after_s)


def not_known(http_status: int) -> DeliveryOutcome:
    """Return the outcome of a job that Customer.io may have accepted or not."""
    error = _error(
        ErrorCode.UPSTREAM_FAILED,
        f"Customer.io answered {http_status} without saying what it accepted",
        503,
        retryable=True,
    )
    return DeliveryOutcome(503, error, http_status=http_status)


def blocked(item_ref: ItemRef | None, attempts: int = 0) -> DeliveryOutcome:
    """Return the outcome of a job behind a retryable failure.

    Args:
        item_ref: names the item of the failed job; None if it came from another stream or call.
        attempts: the number of requests sent that cover the job. A job that shared a request with the
            failed job has some.
    """
    before = (
        "an earlier event of the same person, of another stream,"
        if item_ref is None
        else f"item {item_ref.position} of batch {item_ref.batch_id}, which concerns the same person,"
    )
    text = f"{_NOT_SENT_AGAIN if attempts else _NOT_SENT}: {before} failed and may be tried again"
    error = _error(ErrorCode.BLOCKED, text, 503, retryable=True)
    return DeliveryOutcome(503, error, blocked_by=item_ref)


def following(cause: DeliveryOutcome, item_ref: ItemRef | None, attempts: int) -> DeliveryOutcome:
    """Return the outcome of a job that waited for a job that failed.

    Args:
        cause: the outcome of the failed job.
        item_ref: names the item of the failed job; None if it came from another stream or call.
        attempts: the number of requests sent that cover the job that waited.
    """
    if cause.error is _UNUSABLE:
        return cause._replace(http_status=0)
    if cause.error is DRAINED.error:
        return cause
    return blocked(item_ref, attempts)
