"""Results as plain objects: what the lean wire says, put back together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ciosidecar.v1 import result_pb2


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP call to Customer.io, complete in itself."""

    method: str
    url: str
    endpoint_path: str
    """The call without identifiers, by which routers key their throttles: v1/customers, …"""
    headers: dict[str, str] = field(repr=False, hash=False)
    """Authorization included: a secret."""
    body: bytes
    """The bytes to send; b"" for none."""
    positions: tuple[int, ...]
    """The positions of the events it covers, as in `Result.position`."""


@dataclass(frozen=True, slots=True)
class EventWarning:
    """Something that was repaired or left out. The requests are good all the same."""

    code: str
    """As in docs/rules.md: TEXT_CUT, UNUSABLE_TIME, …"""
    message: str
    """For people. Holds no personal data and no secrets."""


@dataclass(frozen=True, slots=True)
class EventError:
    """Why an event became no request, or was not delivered."""

    code: str
    """As in docs/rules.md: INVALID_JSON, MISSING_IDENTITY, …"""
    type: str
    """Whose matter it is: instrumentation, configuration, delivery or internal."""
    message: str
    """For people. Holds no personal data and no secrets."""
    retryable: bool
    retry_after_s: float | None = None
    """When it is worth another try, where that is known."""
    blocked_by: int | None = None
    """With code BLOCKED: the position of the earlier event that failed and that this one waits for,
    as in `Result.position`. None where that was another stream's, or is no longer remembered."""


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item of a prepared request's body that Customer.io refused."""

    index: int
    reason: str
    field: str


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What Customer.io answered."""

    attempts: int
    """How many times a request that covers the event was sent."""
    http_status: int
    """Its last answer; 0 if there was none."""
    reason: str
    """In its own words, or why there was no answer."""
    field: str
    """The field it named, if it named one."""
    latency_s: float
    """From the first attempt to the last answer."""
    failed_items: tuple[FailedItem, ...] = ()
    """With status 207, for a prepared request to v2/batch: what was refused of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one event came to."""

    position: int
    """The event's position: in its batch, or, on a stream, among all events sent on it."""
    status: int
    """200 transformed or delivered, 298 filtered, 4xx refused for good (but 408, 429), 5xx try again
    later; 207 a prepared request that was taken in part."""
    requests: tuple[ApiRequest, ...] = ()
    """What it became. A request that covers several events is with the last of them: requests in
    the order of their results are in the order in which they must be sent for any one person."""
    error: EventError | None = None
    warnings: tuple[EventWarning, ...] = ()
    filter_reason: str | None = None
    """DEVICE_MODE or CONSENT, with status 298."""
    delivery: DeliveryReport | None = None
    """On a stream that delivers, where there is more to say than the status."""
    tag: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is 200: all of the event was transformed or delivered."""
        return self.status == 200


NumberOf = Callable[[int, int], int | None]
"""A batch's id and a position in it → what stands for that event in the results, if it is known."""


def read_results(
    results: result_pb2.Results,
    numbers: Sequence[int] | None = None,
    number_of: NumberOf | None = None,
) -> Iterator[Result]:
    """The results of one message, in the order of `answered_positions`.

    numbers: what stands for each position of the batch in the results; the position itself if not
    given.
    number_of: the same for an event of any batch, for `EventError.blocked_by`; where it is not given,
    events of other batches are not known.
    """
    numbers = numbers or range(1 << 32)
    if number_of is None:
        number_of = _within(results.batch_id, numbers)
    requests = _requests_by_position(results, numbers)
    details = {detail.position: detail for detail in results.details}
    for position, status in zip(answered_positions(results), results.statuses, strict=True):
        number = numbers[position]
        detail = details.get(position)
        if detail is None:
            yield Result(number, status, requests.get(position, ()))
        else:
            yield _with_detail(number, status, requests.get(position, ()), detail, number_of)


def _within(batch_id: int, numbers: Sequence[int]) -> NumberOf:
    def number_of(other_id: int, position: int) -> int | None:
        return numbers[position] if other_id == batch_id else None

    return number_of


def answered_positions(results: result_pb2.Results) -> Sequence[int]:
    """The positions of the batch that a message answers, one a status."""
    return results.positions or range(
        results.first_position, results.first_position + len(results.statuses)
    )


def _requests_by_position(
    results: result_pb2.Results, numbers: Sequence[int]
) -> dict[int, tuple[ApiRequest, ...]]:
    templates = [
        (one.method, one.base_url, one.endpoint_path, dict(one.headers))
        for one in results.templates
    ]
    found: dict[int, tuple[ApiRequest, ...]] = {}
    for one in results.requests:
        method, base_url, endpoint_path, headers = templates[one.template]
        covered = tuple([numbers[position] for position in one.positions])
        request = ApiRequest(method, base_url + one.path, endpoint_path, headers, one.body, covered)
        last = one.positions[-1]
        found[last] = (*found[last], request) if last in found else (request,)
    return found


def _with_detail(
    position: int,
    status: int,
    requests: tuple[ApiRequest, ...],
    detail: result_pb2.EventDetail,
    number_of: NumberOf,
) -> Result:
    return Result(
        position,
        status,
        requests,
        error=_error(detail.error, number_of) if detail.HasField("error") else None,
        warnings=tuple(
            EventWarning(_word(result_pb2.WarningCode, one.code, "WARNING_CODE_"), one.message)
            for one in detail.warnings
        ),
        filter_reason=_word(result_pb2.FilterReason, detail.filter_reason, "FILTER_REASON_")
        if detail.filter_reason
        else None,
        delivery=_delivery(detail.delivery) if detail.HasField("delivery") else None,
        tag=detail.tag,
    )


def _error(error: result_pb2.EventError, number_of: NumberOf) -> EventError:
    return EventError(
        code=_word(result_pb2.ErrorCode, error.code, "ERROR_CODE_"),
        type=_word(result_pb2.ErrorType, error.type, "ERROR_TYPE_").lower(),
        message=error.message,
        retryable=error.retryable,
        retry_after_s=error.retry_after.ToTimedelta().total_seconds()
        if error.HasField("retry_after")
        else None,
        blocked_by=number_of(error.blocked_by.batch_id, error.blocked_by.position)
        if error.HasField("blocked_by")
        else None,
    )


def _delivery(told: result_pb2.DeliveryReport) -> DeliveryReport:
    return DeliveryReport(
        attempts=told.attempts,
        http_status=told.http_status,
        reason=told.reason,
        field=told.field,
        latency_s=told.latency.ToTimedelta().total_seconds(),
        failed_items=tuple(
            FailedItem(one.index, one.reason, one.field) for one in told.failed_items
        ),
    )


def _word(enum: object, number: int, prefix: str) -> str:
    """The enum's word without its prefix; a number of a newer contract as it is."""
    try:
        return str(enum.Name(number)).removeprefix(prefix)  # type: ignore[attr-defined]
    except ValueError:
        return str(number)
