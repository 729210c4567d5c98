"""Lines of failed events, in a form that `deliver` and `backfill` read again as they are.

{"event": {…}, "config": {…}, "connection": {…}, "failure": {…}}. The config is there only if the line of the input had
one of its own. A line that had no event is {"text": "…", "failure": {…}}.
"""

from typing import Any

from msgspec import DecodeError, Raw
from msgspec.json import decode, encode

from .reading import Line, first_place, original_text


def failed_line(
    row: bytes, line: Line | None, failure: dict[str, Any], *, has_config: bool
) -> bytes:
    """Return the line of a failed event, with its newline.

    Args:
        row: The line of the input.
        line: What was read from it, or None if it could not be read.
        failure: The code, the message and the place of the failure. If the row is a line of a failed event
            already, its first place is kept.
        has_config: Whether the line of the input had a config of its own.
    """
    failure = failure | first_place(row)
    if line is None or not (
        _is_object(line.event)
        and _is_utf8(line.connection)
        and (not has_config or _is_utf8(line.config))
    ):
        text = original_text(row).decode(errors="replace")
        return encode({"text": text, "failure": failure}) + b"\n"
    members: dict[str, Any] = {"event": Raw(line.event)}
    if has_config:
        members["config"] = Raw(line.config)
    if line.connection:
        members["connection"] = Raw(line.connection)
    return encode(members | {"failure": failure}) + b"\n"


def _is_object(event: bytes) -> bool:
    """Return whether the event can stand in a line: a JSON object in UTF-8, and without line feeds."""
    try:
        return event.lstrip()[:1] == b"{" and b"\n" not in event and isinstance(decode(event), dict)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return False


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
