"""Results as plain objects, decoded from the compact messages of the contract."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ciosidecar.v1 import result_pb2


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One complete HTTP request to Customer.io."""

    method: str
    url: str
    endpoint_path: str
    """The name of the API endpoint without identifiers, such as v1/customers. A router can throttle by
    it."""
    headers: dict[str, str] = field(repr=False, hash=False)
    """The HTTP headers. They contain the credentials."""
    body: bytes
    """The body to send, or b"" for none."""
    positions: tuple[int, ...]
    """The positions of the events that the request covers, as in `Result.position`."""


@dataclass(frozen=True, slots=True)
class EventWarning:
    """Something that was repaired or left out although the request is valid."""

    code: str
    """A code of rule 12.4: TEXT_CUT, UNUSABLE_TIME, …"""
    message: str
    """A text for people, without personal data and secrets."""


@dataclass(frozen=True, slots=True)
class EventError:
    """Why an event became no request or was not delivered."""

    code: str
    """A code of rule 12.2: INVALID_JSON, MISSING_IDENTITY, …"""
    type: str
    """Where the cause is: instrumentation, configuration, delivery or internal."""
    message: str
    """A text for people, without personal data and secrets."""
    retryable: bool
    """True if the same event may succeed later."""
    retry_after_s: float | None = None
    """The time to wait before the event is sent again, or None if it is not known."""
    blocked_by: int | None = None
    """With code BLOCKED: the position of the earlier, failed event that this event waits for, as in
    `Result.position`. None if that event was on another stream, or is no longer remembered."""


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item of a prepared request's body that Customer.io refused."""

    index: int
    """The index of the item in the body, from 0."""
    reason: str
    """Customer.io's reason."""
    field: str
    """The field that Customer.io named, or ""."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """The response of Customer.io to the requests of one event."""

    attempts: int
    """The number of times that a request covering the event was sent; 0 if it never was."""
    http_status: int
    """The status of the last response; 0 if there was none."""
    reason: str
    """Customer.io's reason, or why there was no response. May be ""."""
    field: str
    """The field that Customer.io named, or ""."""
    latency_s: float
    """The seconds from the first attempt to the last response."""
    failed_items: tuple[FailedItem, ...] = ()
    """With status 207: the items of a prepared request's body that Customer.io refused."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one event."""

    position: int
    """The event's position in its batch or, on a stream, among all events sent on it."""
    status: int
    """200: transformed or delivered. 298: filtered. 207: Customer.io refused items of a prepared
    request. 408, 429, 5xx: retryable failure. Other 4xx: permanent failure."""
    requests: tuple[ApiRequest, ...] = ()
    """The requests to send, in order. A request that covers several events is with the last of them.
    The requests of one person must be sent in the order of their results."""
    error: EventError | None = None
    """Why the event became no request or was not delivered."""
    warnings: tuple[EventWarning, ...] = ()
    """Something that was repaired or left out."""
    filter_reason: str | None = None
    """With status 298: DEVICE_MODE, CONSENT or ANONYMOUS."""
    delivery: DeliveryReport | None = None
    """With delivery: what Customer.io responded, for the results that `DetailLevel` selects."""
    tag: bytes = field(default=b"", repr=False)
    """The event's tag, if the event was filtered or has an error or a warning."""

    @property
    def ok(self) -> bool:
        """Return whether the status is 200: the whole event was transformed or delivered."""
        return self.status == 200


PositionOf = Callable[[int, int], int | None]
"""Return the position that results give for an event, from its batch's id and its position there."""


def read_results(
    results: result_pb2.Results,
    positions: Sequence[int] | None = None,
    position_of: PositionOf | None = None,
) -> Iterator[Result]:
    """Decode the results of one message, in the order of `answered_positions`.

    Args:
        results: The message.
        positions: By the position in the batch, the position that results give. Defaults to the
            position in the batch.
        position_of: The same for an event of any batch, for `EventError.blocked_by`. By default,
            `blocked_by` is None for events of other batches.

    Raises:
        IndexError: The message refers to a template or a position that does not exist.
    """
    positions = positions or range(1 << 32)
    if position_of is None:
        position_of = _within(results.batch_id, positions)
    requests = _requests_by_position(results, positions)
    details = {detail.position: detail for detail in results.details}
    for position, status in zip(answered_positions(results), results.statuses, strict=True):
        result_position = positions[position]
        event_requests = requests.get(position, ())
        detail = details.get(position)
        if detail is None:
            yield Result(result_position, status, event_requests)
        else:
            yield _with_detail(result_position, status, event_requests, detail, position_of)


def _within(batch_id: int, positions: Sequence[int]) -> PositionOf:
    def position_of(other_id: int, position: int) -> int | None:
        return positions[position] if other_id == batch_id else None

    return position_of


def answered_positions(results: result_pb2.Results) -> Sequence[int]:
    """Return the positions of the batch that a message answers, one for each status."""
    return results.positions or range(
        results.first_position, results.first_position + len(results.statuses)
    )


def _requests_by_position(
    results: result_pb2.Results, positions: Sequence[int]
) -> dict[int, tuple[ApiRequest, ...]]:
    templates = [
        (template.method, template.base_url, template.endpoint_path, dict(template.headers))
        for template in results.templates
    ]
    requests: dict[int, tuple[ApiRequest, ...]] = {}
    for message in results.requests:
        method, base_url, endpoint_path, headers = templates[message.template]
        covered = tuple([positions[position] for position in message.positions])
        url = base_url + message.path
        request = ApiRequest(method, url, endpoint_path, headers, message.body, covered)
        last = message.positions[-1]
        requests[last] = (*requests[last], request) if last in requests else (request,)
    return requests


def _with_detail(
    position: int,
    status: int,
    requests: tuple[ApiRequest, ...],
    detail: result_pb2.EventDetail,
    position_of: PositionOf,
) -> Result:
    return Result(
        position,
        status,
        requests,
        error=_error(detail.error, position_of) if detail.HasField("error") else None,
        warnings=tuple(
            EventWarning(
                _word(result_pb2.WarningCode, warning.code, "WARNING_CODE_"), warning.message
            )
            for warning in detail.warnings
        ),
        filter_reason=_word(result_pb2.FilterReason, detail.filter_reason, "FILTER_REASON_")
        if detail.filter_reason
        else None,
        delivery=_delivery(detail.delivery) if detail.HasField("delivery") else None,
        tag=detail.tag,
    )


def _error(error: result_pb2.EventError, position_of: PositionOf) -> EventError:
    return EventError(
        code=_word(result_pb2.ErrorCode, error.code, "ERROR_CODE_"),
        type=_word(result_pb2.ErrorType, error.type, "ERROR_TYPE_").lower(),
        message=error.message,
        retryable=error.retryable,
        retry_after_s=error.retry_after.ToTimedelta().total_seconds()
        if error.HasField("retry_after")
        else None,
        blocked_by=position_of(error.blocked_by.batch_id, error.blocked_by.position)
        if error.HasField("blocked_by")
        else None,
    )


def _delivery(report: result_pb2.DeliveryReport) -> DeliveryReport:
    return DeliveryReport(
        attempts=report.attempts,
        http_status=report.http_status,
        reason=report.reason,
        field=report.field,
        latency_s=report.latency.ToTimedelta().total_seconds(),
        failed_items=tuple(
            FailedItem(item.index, item.reason, item.field) for item in report.failed_items
        ),
    )


def _word(enum: object, number: int, prefix: str) -> str:
    """Return an enum value's name without its prefix, or its number if the client does not know it."""
    try:
        return str(enum.Name(number)).removeprefix(prefix)  # type: ignore[attr-defined]
    except ValueError:
        return str(number)
