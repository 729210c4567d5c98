"""The reports there are, in words. SPEC 12.1, 12.2."""

from collections.abc import Sequence

from ciosidecar_transform.outcomes import Error, ErrorCode, ErrorType, Warning, WarningCode

from .job import DeliveryOutcome, Job, Place
from .responses import Failure, in_its_words

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
    "Customer.io's answer cannot be read, and may report that this was not taken (12.1)",
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
_DRAINING = _error(
    ErrorCode.DRAINING, "not delivered: the sidecar is going away", 503, retryable=True
)
_BLOCKED_ELSEWHERE = _error(
    ErrorCode.BLOCKED,
    "not sent: an earlier event of the same person, of another stream, failed and may be tried again",
    503,
    retryable=True,
)
_EXPIRED = _error(
    ErrorCode.UPSTREAM_TIMEOUT,
    "not sent: its turn did not come within the batch's timeout",
    504,
    retryable=True,
)


def refused(status: int, failures: list[Failure]) -> DeliveryOutcome:
    """Customer.io does not want it. status: its 4xx."""
    reason = in_its_words(failures)
    field = next((one.field for one in failures if one.field), "")
    error = _error(
        ErrorCode.REFUSED, f"Customer.io refused it with {status}", status, retryable=False
    )
    return DeliveryOutcome(status, error, http_status=status, reason=reason, field=field)


def item_refused(http_status: int, failure: Failure) -> DeliveryOutcome:
    """Customer.io took the request, but not this item of it."""
    error = _error(ErrorCode.REFUSED, "Customer.io refused this item", 400, retryable=False)
    return DeliveryOutcome(400, error, (), http_status, failure.reason, failure.field)


def of_prepared(
    http_status: int, failures: list[Failure], items: int, warnings: Sequence[Warning]
) -> DeliveryOutcome:
    """Customer.io took a prepared batch, but for the items it names. items: how many it has."""
    named = {
        one.item: one for one in reversed(failures) if one.item is not None and one.item < items
    }
    if any(one.item not in named for one in failures):
        warnings = [*warnings, UNATTRIBUTED_ERROR]
    if not named:
        return DELIVERED._replace(http_status=http_status, warnings=warnings)
    refused_items = [named[index] for index in sorted(named)]
    error = _error(
        ErrorCode.REFUSED,
        f"Customer.io refused {len(named)} items of the prepared request",
        207,
        retryable=False,
    )
    first = refused_items[0]
    return DeliveryOutcome(
        207, error, warnings, http_status, first.reason, first.field, failed_items=refused_items
    )


def failed(
    http_status: int, failures: list[Failure], retry_after_s: float | None
) -> DeliveryOutcome:
    """Customer.io answered that it cannot, for now."""
    reason = in_its_words(failures)
    status = http_status if http_status in (408, 429) or 500 <= http_status < 600 else 503
    code = ErrorCode.UPSTREAM_FAILED
    if http_status in (425, 429):
        code = ErrorCode.THROTTLED
    elif http_status == 408:
        code = ErrorCode.UPSTREAM_TIMEOUT
    error = _error(code, f"Customer.io answered {http_status}", status, retryable=True)
    return DeliveryOutcome(status, error, (), http_status, reason, "", retry_after_s)


def unanswered(text: str, *, timed_out: bool) -> DeliveryOutcome:
    """Nobody answered. text: why, safe to show."""
    code = ErrorCode.UPSTREAM_TIMEOUT if timed_out else ErrorCode.UPSTREAM_FAILED
    error = _error(code, f"Customer.io did not answer: {text}", 504, retryable=True)
    return DeliveryOutcome(504, error, reason=text)


def credentials_refused(
    http_status: int, failures: list[Failure], retry_after_s: float
) -> DeliveryOutcome:
    """Customer.io does not accept the credentials. http_status: 0 if this job was not sent."""
    reason = in_its_words(failures)
    return DeliveryOutcome(503, _UNUSABLE, (), http_status, reason, "", retry_after_s)


def held_back(
    status: int, retry_after_s: float | None, code: ErrorCode = ErrorCode.THROTTLED
) -> DeliveryOutcome:
    """Return the report of an event that is not even to wait. status, code: of what is wrong with its workspace."""
    text = _TROUBLES.get(code, "nothing gets through to Customer.io at the moment")
    error = _error(code, f"not sent: {text}", status, retryable=True)
    return DeliveryOutcome(status, error, retry_after_s=retry_after_s)


_TROUBLES = {
    ErrorCode.THROTTLED: "Customer.io asks to slow down",
    ErrorCode.UPSTREAM_TIMEOUT: "Customer.io takes too long to answer",
}


def not_known(http_status: int) -> DeliveryOutcome:
    """Return the report of what Customer.io may have taken or not."""
    error = _error(
        ErrorCode.UPSTREAM_FAILED,
        f"Customer.io answered {http_status} without saying what it took",
        503,
        retryable=True,
    )
    return DeliveryOutcome(503, error, http_status=http_status)


def not_answered() -> DeliveryOutcome:
    """Return the report of a job whose time is over while its request is under way."""
    return unanswered("no answer within the batch's timeout", timed_out=True)


def blocked(cause: Job, job: Job) -> DeliveryOutcome:
    """An earlier job of the same person failed and may be tried again."""
    place = job.owner.place(cause)
    return DeliveryOutcome(503, _BLOCKED_ELSEWHERE) if place is None else held(place)


def held(place: Place) -> DeliveryOutcome:
    """An earlier job of the same caller, about the same person, failed and may be tried again."""
    error = _error(
        ErrorCode.BLOCKED,
        f"not sent: item {place.position} of batch {place.batch_id}, which concerns the same"
        " person, failed and may be tried again",
        503,
        retryable=True,
    )
    return DeliveryOutcome(503, error, blocked_by=place)


def following(cause: Job, report: DeliveryOutcome, job: Job) -> DeliveryOutcome:
    """What becomes of a job that waits for one that failed.

    cause: the job that failed; report: what became of it.
    """
    if report.error is _UNUSABLE:
        return report._replace(http_status=0)
    if report.error is _DRAINING:
        return report
    return blocked(cause, job)


def not_sent(job: Job) -> DeliveryOutcome:
    """Its time was over: what the last attempt came to, if there was one."""
    return job.failure or DeliveryOutcome(504, _EXPIRED)


def drained(job: Job) -> DeliveryOutcome:
    """The sidecar is going away."""
    return job.failure or DeliveryOutcome(503, _DRAINING)
