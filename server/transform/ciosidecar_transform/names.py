"""An event's name: where it comes from, and how long it may be. SPEC 5.2-5.5."""

from .identity import is_blank, without_white_space
from .limits import cut
from .outcomes import ErrorCode, EventRejected, Warning, WarningCode

MAX_EVENT_NAME_BYTES = 100


def first_name(*candidates: object) -> str:
    """Return the first text that is not blank. Raises EventRejected(MISSING_EVENT_NAME)."""
    for found in candidates:
        if type(found) is str and found and not (found.isspace() and is_blank(found)):
            return found
    raise EventRejected(ErrorCode.MISSING_EVENT_NAME, "the event has no name that is a text (5.5)")


def sent_name(name: str, warnings: list[Warning], *, max_bytes: int = MAX_EVENT_NAME_BYTES) -> str:
    """Return the name without white space around it, in at most so many bytes. Rule 5.5.

    Each change is a warning.
    """
    if name.strip() != name:
        name = _trimmed(name, warnings)
    if len(name) * 4 <= max_bytes or len(name.encode()) <= max_bytes:
        return name
    warnings.append(
        Warning(
            WarningCode.EVENT_NAME_CUT,
            f"the event's name was cut to {MAX_EVENT_NAME_BYTES} bytes (5.5)",
        )
    )
    return cut(name, max_bytes)


def _trimmed(name: str, warnings: list[Warning]) -> str:
    trimmed = without_white_space(name)
    if len(trimmed) != len(name):
        warnings.append(
            Warning(
                WarningCode.WHITE_SPACE_REMOVED,
                "white space around the event's name was taken off (5.5)",
            )
        )
    return trimmed
