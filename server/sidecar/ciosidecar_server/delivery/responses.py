"""What Customer.io's answer to a request means. SPEC 12.1.

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
    """What has to be done about an answer."""

    DELIVERED = "delivered"
    """All of it was taken, but for the items that `failures` names."""
    REFUSED = "refused"
    """None of it was taken, for good: if it is a batch, because of some item."""
    WRONG_CREDENTIALS = "wrong credentials"
    """None of it was taken, and nothing else will be."""
    TRY_AGAIN = "try again"
    """None of it was taken, which may change: throttled, failing, or redirected nowhere we know."""
    NOT_KNOWN = "not known"
    """Some or all of it may have been taken: the answer does not say which, or is none of Customer.io's."""


class Failure(NamedTuple):
    """One error that Customer.io reports."""

    item: int | None
    """The item of the batch it is about, from 0; None if it does not say, or says nonsense."""
    reason: str
    """Customer.io's own words, on one line, at most 1,024 bytes."""
    field: str
    """The field it names, or ""."""


class Classification(NamedTuple):
    """An answer, read."""

    disposition: Disposition
    failures: list[Failure]
    """What is wrong, in Customer.io's words; may be empty."""
    readable: bool = True
    """Whether the body could be read; if not, it may have reported an error."""


def classify(answer: Response) -> Classification:
    """Return what an answer means: the table of docs/delivery.md."""
    status = answer.status
    found = _failures(answer.body) if answer.whole else None
    readable, failures = found is not None, found or []
    if status == 204:
        return Classification(Disposition.DELIVERED, [])
    if status == 200:
        return Classification(Disposition.DELIVERED, failures, readable)
    if 200 <= status < 300:
        # A 207 says that something was refused: one that does not say what is as good as unread.
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
    """Return the same, or None for a body that is neither empty nor a JSON object."""
    if body in (b"", b"{}"):
        return []
    found = _decoded(body)
    if not isinstance(found, dict):
        return None
    failures = [_failure(one) for one in _listed(found.get("errors"))]
    meta = found.get("meta")
    if isinstance(meta, dict):
        told = (*_listed(meta.get("errors")), *_listed(meta.get("error")))
        failures.extend(map(_failure, told))
    return failures


def _decoded(body: bytes) -> Any:
    """Return the JSON value, with unpaired surrogates and bytes that are no UTF-8 made U+FFFD; None if it is none."""
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
    """What Customer.io says is wrong, the first few of it."""
    return "; ".join(one.reason for one in failures[:3] if one.reason)


def _listed(found: Any) -> list[Any]:
    if isinstance(found, list):
        return found
    return [found] if found else []


def _failure(told: Any) -> Failure:
    if not isinstance(told, dict):
        return Failure(None, one_line(told) if isinstance(told, str) else "", "")
    texts = [one_line(told[key]) for key in ("reason", "message", "detail") if key in told]
    reason = ": ".join(text for text in texts if text)
    field = one_line(told.get("field"))
    return Failure(_index(told.get("batch_index")), _cut(reason), field)


def _index(found: Any) -> int | None:
    """0 and up, as a number or as text."""
    if isinstance(found, str) and found.isdecimal() and len(found) < len(str(_MAX_INDEX)):
        found = int(found)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return found if type(found) is int and 0 <= found < _MAX_INDEX else None


def one_line(found: Any) -> str:
    """A text of Customer.io's that may be shown: printable, one line, at most 1,024 bytes."""
    if not isinstance(found, str):
        return ""
    return _cut("".join(letter if letter.isprintable() else " " for letter in found).strip())


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
