"""What Customer.io's response to a request means. Rule 12.1.

Its errors come in four shapes: `{"errors": [{"batch_index", "reason", "field", "message"}]}` (v2),
`{"meta": {"error": "…"}}` and `{"meta": {"errors": ["…"]}}` (v1), `{"errors": [{"detail",
"status"}]}` (its other hosts). Anything may be missing, null or of another type.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from ciosidecar_transform.json_text import repair_surrogates
from msgspec import DecodeError
from msgspec.json import decode

from .transport import Response

MAX_REASON_BYTES = 1024
REDIRECTS = (301, 302, 307, 308)
THROTTLED = 429
# More than any batch has items.
_MAX_INDEX = 1_000_000
_TRY_AGAIN = (408, 425, THROTTLED)


class Disposition(Enum):
    """The consequence of a response."""

    DELIVERED = "delivered"
    """The request was accepted, except the items that `failures` names."""
    REFUSED = "refused"
    """The request was refused permanently. A batch is refused because of some item."""
    WRONG_CREDENTIALS = "wrong credentials"
    """The request was refused, as every other request of the workspace will be."""
    TRY_AGAIN = "try again"
    """The request was not accepted, which is retryable: throttled, failing, or redirected to an unknown host."""
    NOT_KNOWN = "not known"
    """Some or all of the request may have been accepted: the response does not say which, or is not Customer.io's."""


class Failure(NamedTuple):
    """One error that Customer.io reports."""

    item: int | None
    """The index of the item that failed, from 0; None if the error has no usable index."""
    reason: str
    """Customer.io's own words, on one line, at most 1,024 bytes."""
    field: str
    """The field that the error names, or ""."""


class Classification(NamedTuple):
    """The meaning of a response."""

    disposition: Disposition
    failures: list[Failure]
    """The errors that the response reports; may be empty."""
    readable: bool = True
    """Whether the body could be read. An unreadable body may have reported an error."""


def classify(response: Response) -> Classification:
    """Return what a response means: the table of docs/delivery.md."""
    status = response.status
    reported = _failures(response.body) if response.whole else None
    readable, failures = reported is not None, reported or []
    if status == 204:
        return Classification(Disposition.DELIVERED, [])
    if status == 200:
        return Classification(Disposition.DELIVERED, failures, readable)
    if 200 <= status < 300:
        # A 207 means that some item was refused. Without its index the response says no more than an unreadable one.
        disposition = Disposition.DELIVERED if status == 207 and failures else Disposition.NOT_KNOWN
        return Classification(disposition, failures, readable)
    if status in (401, 403):
        return Classification(Disposition.WRONG_CREDENTIALS, failures)
    if 400 <= status < 500 and status not in _TRY_AGAIN:
        return Classification(Disposition.REFUSED, failures)
    return Classification(Disposition.TRY_AGAIN, failures)


def read_failures(body: bytes) -> list[Failure]:
    """Return the errors a body reports, in any of the four shapes; [] if it cannot be read."""
    return _failures(body) or []


def _failures(body: bytes) -> list[Failure] | None:
    """Return the errors a body reports, or None for a body that is neither empty nor a JSON object."""
    if body in (b"", b"{}"):
        return []
    report = _decoded(body)
    if not isinstance(report, dict):
        return None
    failures = [_failure(error) for error in _listed(report.get("errors"))]
    meta = report.get("meta")
    if isinstance(meta, dict):
        errors = (*_listed(meta.get("errors")), *_listed(meta.get("error")))
        failures.extend(map(_failure, errors))
    return failures


def _decoded(body: bytes) -> Any:
    """Return the JSON value of a body, None for other bodies. Unpaired surrogates and bytes that are not UTF-8 become U+FFFD."""
    try:
        return decode(body)
    except RecursionError:
        return None
    except (DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8-sig", "replace").encode()
    try:
        return decode(repair_surrogates(text))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


def in_its_words(failures: Sequence[Failure]) -> str:
    """Return the reasons of the first three failures, in Customer.io's words."""
    return "; ".join(failure.reason for failure in failures[:3] if failure.reason)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value] if value else []


def _failure(error: Any) -> Failure:
    if not isinstance(error, dict):
        return Failure(None, one_line(error), "")
    texts = [one_line(error[key]) for key in ("reason", "message", "detail") if key in error]
    reason = ": ".join(text for text in texts if text)
    field = one_line(error.get("field"))
    return Failure(_index(error.get("batch_index")), _cut(reason), field)


def _index(value: Any) -> int | None:
    """Return an index from 0 up, from a number or a text; None for any other value."""
    if isinstance(value, str) and value.isdecimal() and len(value) < len(str(_MAX_INDEX)):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MAX_INDEX else None


def one_line(value: Any) -> str:
    """Return a text of Customer.io's as it may be shown: printable, on one line, at most 1,024 bytes; "" for no text."""
    if not isinstance(value, str):
        return ""
    return _cut("".join(letter if letter.isprintable() else " " for letter in value).strip())


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
