"""Writing of results as lines of JSON."""

from collections.abc import Mapping
from typing import Any

from ciosidecar import ApiRequest, DeliveryReport, EventError, Result
from msgspec import Raw
from msgspec.json import encode

MASKED = "Basic ***"


def result_line(result: Result, lines: Mapping[int, int], *, show_secrets: bool) -> bytes:
    """Return the line for one result of a transform, with its newline.

    Args:
        result: The result.
        lines: The line numbers of the input by position on the stream.
        show_secrets: Show Authorization headers instead of masking them.
    """
    members: dict[str, Any] = {"status": result.status}
    if result.filter_reason is not None:
        members["reason"] = result.filter_reason
    elif result.error is not None:
        members["error"] = _error(result.error)
    else:
        members["requests"] = _requests(result, lines, show_secrets=show_secrets)
    if result.warnings or result.filter_reason is None:
        members["warnings"] = _warnings(result)
    return encode(members) + b"\n"


def delivered_line(
    result: Result,
    lines: Mapping[int, int],
    *,
    line: int,
    message_id: str | None,
    with_requests: bool,
    show_secrets: bool,
) -> bytes:
    """Return the line for one result of a delivery, with its newline.

    Args:
        result: The result.
        lines: The line numbers of the input by position on the stream.
        line: The number of the event's line in the input, from 1.
        message_id: The event's messageId, or None if it has none.
        with_requests: Also show the requests.
        show_secrets: Show Authorization headers instead of masking them.
    """
    members: dict[str, Any] = {"line": line}
    if message_id is not None:
        members["messageId"] = message_id
    members["status"] = result.status
    if result.filter_reason is not None:
        members["reason"] = result.filter_reason
    if result.error is not None:
        members["error"] = _error(result.error) | _retry_details(result.error, lines)
    if result.delivery is not None:
        members["delivery"] = _delivery(result.delivery)
    if with_requests and result.filter_reason is None:
        members["requests"] = _requests(result, lines, show_secrets=show_secrets)
    if result.warnings or result.filter_reason is None:
        members["warnings"] = _warnings(result)
    return encode(members) + b"\n"


def _error(error: EventError) -> dict[str, Any]:
    return {
        "code": error.code,
        "type": error.type,
        "message": error.message,
        "retryable": error.retryable,
    }


def _retry_details(error: EventError, lines: Mapping[int, int]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if error.retry_after_s is not None:
        members["retry_after_s"] = error.retry_after_s
    if error.blocked_by is not None and error.blocked_by in lines:
        members["blocked_by_line"] = lines[error.blocked_by]
    return members


def _delivery(delivery: DeliveryReport) -> dict[str, Any]:
    members: dict[str, Any] = {
        "attempts": delivery.attempts,
        "http_status": delivery.http_status,
        "reason": delivery.reason,
        "latency_ms": round(delivery.latency_s * 1000),
    }
    if delivery.field:
        members["field"] = delivery.field
    return members


def _warnings(result: Result) -> list[dict[str, str]]:
    return [{"code": warning.code, "message": warning.message} for warning in result.warnings]


def _requests(
    result: Result, lines: Mapping[int, int], *, show_secrets: bool
) -> list[dict[str, Any]]:
    return [_request(request, lines, show_secrets=show_secrets) for request in result.requests]


def _request(
    request: ApiRequest, lines: Mapping[int, int], *, show_secrets: bool
) -> dict[str, Any]:
    headers = dict(sorted(request.headers.items()))
    if not show_secrets and "Authorization" in headers:
        headers = headers | {"Authorization": MASKED}
    members: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "endpoint_path": request.endpoint_path,
        "headers": headers,
        "body": Raw(request.body) if request.body else None,
    }
    if len(request.positions) > 1:
        members["lines"] = [lines[position] for position in request.positions]
    return members
