"""The lines of the output: results with their requests, and events that were refused or failed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ciosidecar_transform import Outcome, Request
from msgspec import Raw
from msgspec.json import encode

from ..jsonl.failures import failed_line
from ..jsonl.reading import Line, message_id
from .spills import SpilledEvent

MASKED = "Basic ***"


class Place(NamedTuple):
    """Where an event stands in the input."""

    file: str
    line: int
    message_id: str | None

    def members(self) -> dict[str, Any]:
        """Return the place as members of a JSON object."""
        found: dict[str, Any] = {"file": self.file, "line": self.line}
        if self.message_id is not None:
            found["messageId"] = self.message_id
        return found


def place_of(event: SpilledEvent, event_json: bytes, files: Sequence[str]) -> Place:
    """Return the place of an event."""
    return Place(files[event.file], event.row, message_id(event_json))


def result_members(
    place: Place,
    outcome: Outcome,
    requests: list[tuple[Request, list[Place]]],
    *,
    show_secrets: bool,
) -> dict[str, Any]:
    """Return the members of the line of an event that was transformed or filtered.

    Args:
        place: The place of the event.
        outcome: The outcome of the event.
        requests: The requests of which the event is the last, with the places of all their events.
        show_secrets: Show Authorization headers instead of masking them.
    """
    members = place.members() | {"status": outcome.status}
    if outcome.filtered is not None:
        return members | {"reason": outcome.filtered}
    members["requests"] = [
        request_members(request, places, show_secrets=show_secrets) for request, places in requests
    ]
    members["warnings"] = [
        {"code": warning.code, "message": warning.text} for warning in outcome.warnings
    ]
    return members


def request_members(request: Request, places: list[Place], *, show_secrets: bool) -> dict[str, Any]:
    """Return the members of a request, in the form that `ciosidecar transform` prints."""
    template = request.template
    headers = dict(sorted(template.headers.items()))
    if not show_secrets and "Authorization" in headers:
        headers["Authorization"] = MASKED
    members: dict[str, Any] = {
        "method": template.method,
        "url": template.base_url + request.path,
        "endpoint_path": template.endpoint_path,
        "headers": headers,
        "body": Raw(request.body) if request.body else None,
    }
    if len(places) > 1:
        members["events"] = [place.members() for place in places]
    return members


def encode_line(members: dict[str, Any]) -> bytes:
    """Return members as a line of JSON."""
    return encode(members) + b"\n"


def refused_line(
    place: Place, row: bytes, line: Line | None, outcome: Outcome, *, has_config: bool
) -> bytes:
    """Return the line of an event that the transform rejected.

    Args:
        place: The place of the event.
        row: The row as it stands in the input.
        line: The event in the row; None if the row cannot be read.
        outcome: The outcome, which has an error.
        has_config: Whether each row has a config of its own.
    """
    error = outcome.error
    assert error is not None  # noqa: S101 - only failures come here
    failure: dict[str, Any] = {
        "code": error.code,
        "message": error.text,
        "status": error.status,
        "retryable": error.retryable,
        "attempts": 0,
    }
    failure |= {"file": place.file, "line": place.line}
    return failed_line(row, line, failure, has_config=has_config)
