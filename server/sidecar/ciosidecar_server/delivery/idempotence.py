"""Which requests may be sent twice: Customer.io ignores the second, or it changes nothing. Rule 5.6."""

from typing import Any

from ciosidecar_transform.requests import BATCH_PATH, Request, SharedItem
from msgspec import DecodeError
from msgspec.json import decode

_STATES = frozenset(
    (
        "identify",
        "identify_anonymous",
        "delete",
        "suppress",
        "unsuppress",
        "add_relationships",
        "delete_relationships",
        "add_device",
        "delete_device",
        "merge",
    )
)
"""Actions of v2 that change nothing when they are repeated."""
_STATE_CALLS = ("merge_customers", "suppress", "unsuppress", "add_customers", "remove_customers")
"""The last path segments of the POST requests of v1 that change nothing when they are repeated."""


def is_idempotent(request: Request | SharedItem) -> bool:
    """Return whether a request that may have been accepted can be sent again without counting twice."""
    path = request.path.partition("?")[0]
    if path.startswith("/api/v2/"):
        body = _decoded(request.body)
        if isinstance(request, Request) and path == BATCH_PATH:
            items = body.get("batch")
            return isinstance(items, list) and all(map(_item_is_idempotent, items))
        return _item_is_idempotent(body)
    if request.template.method in ("PUT", "DELETE"):
        return True
    last = path.rpartition("/")[2]
    return last in _STATE_CALLS or (last == "events" and bool(_decoded(request.body).get("id")))


def _item_is_idempotent(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("type") == "delivery":
        return False
    action = item.get("action")
    return (isinstance(action, str) and action in _STATES) or bool(item.get("id"))


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        call = decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return call if isinstance(call, dict) else {}
