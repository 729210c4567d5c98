"""Results → lines."""

from collections.abc import Mapping
from typing import Any

from ciosidecar import ApiRequest, DeliveryReport, EventError, Result
from msgspec import Raw
from msgspec.json import encode

MASKED = "Basic ***"


def result_line(result: Result, lines: Mapping[int, int], *, show_secrets: bool) -> bytes:
    """The line for one result of a transform, with its newline.

    lines: the number in the input of the line each position in the result was on.
    """
    found: dict[str, Any] = {"status": result.status}
    if result.filter_reason is not None:
        found["reason"] = result.filter_reason
    elif result.error is not None:
        found["error"] = _error(result.error)
    else:
        found["requests"] = _requests(result, lines, show_secrets=show_secrets)
    if result.warnings or result.filter_reason is None:
        found["warnings"] = _warnings(result)
    return encode(found) + b"\n"


def delivered_line(
    result: Result, lines: Mapping[int, int], *, with_requests: bool, show_secrets: bool
) -> bytes:
    """The line for one result of a delivery, with its newline.

    lines: as above. with_requests: whether the requests are shown, too.
    """
    found: dict[str, Any] = {"status": result.status}
    if result.filter_reason is not None:
        found["reason"] = result.filter_reason
    if result.error is not None:
        found["error"] = _error(result.error) | _further(result.error, lines)
    if result.delivery is not None:
        found["delivery"] = _delivery(result.delivery)
    if with_requests and result.filter_reason is None:
        found["requests"] = _requests(result, lines, show_secrets=show_secrets)
    if result.warnings or result.filter_reason is None:
        found["warnings"] = _warnings(result)
    return encode(found) + b"\n"


def _error(error: EventError) -> dict[str, Any]:
    return {
        "code": error.code,
        "type": error.type,
        "message": error.message,
        "retryable": error.retryable,
    }


def _further(error: EventError, lines: Mapping[int, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if error.retry_after_s is not None:
        found["retry_after_s"] = error.retry_after_s
    if error.blocked_by is not None and error.blocked_by in lines:
        found["blocked_by_line"] = lines[error.blocked_by]
    return found


def _delivery(delivery: DeliveryReport) -> dict[str, Any]:
    found: dict[str, Any] = {
        "attempts": delivery.attempts,
        "http_status": delivery.http_status,
        "reason": delivery.reason,
        "latency_ms": round(delivery.latency_s * 1000),
    }
    if delivery.field:
        found["field"] = delivery.field
    return found


def _warnings(result: Result) -> list[dict[str, str]]:
    return [{"code": one.code, "message": one.message} for one in result.warnings]


def _requests(
    result: Result, lines: Mapping[int, int], *, show_secrets: bool
) -> list[dict[str, Any]]:
    return [_request(request, lines, show_secrets=show_secrets) for request in result.requests]


def _request(
    request: ApiRequest, lines: Mapping[int, int], *, show_secrets: bool
) -> dict[str, Any]:
    headers = request.headers
    if not show_secrets and "Authorization" in headers:
        headers = headers | {"Authorization": MASKED}
    found: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "endpoint_path": request.endpoint_path,
        "headers": headers,
        "body": Raw(request.body) if request.body else None,
    }
    if len(request.positions) > 1:
        found["lines"] = [lines[position] for position in request.positions]
    return found
