"""The name of an event: its source and its length. Rules 5.2-5.5."""

from ..identifiers import is_blank, without_white_space
from ..limits import cut
from ..outcomes import ErrorCode, EventRejected, WarningCode
from .context import RuleContext

MAX_EVENT_NAME_BYTES = 100


def first_name(*candidates: object) -> str:
    """Return the first text that is not blank.

    Raises:
        EventRejected: MISSING_EVENT_NAME, if there is no such text.
    """
    for candidate in candidates:
        if (
            type(candidate) is str
            and candidate
            and not (candidate.isspace() and is_blank(candidate))
        ):
            return candidate
    raise EventRejected(
        ErrorCode.MISSING_EVENT_NAME, "the event has no name that is a text (rule 5.5)"
    )


def sent_name(context: RuleContext, name: str, *, max_bytes: int = MAX_EVENT_NAME_BYTES) -> str:
    """Return the name without white space around it, cut to at most `max_bytes`. Rule 5.5.

    Each change is a warning.
    """
    if name.strip() != name:
        name = _trimmed(context, name)
    if len(name) * 4 <= max_bytes or len(name.encode()) <= max_bytes:
        return name
    context.warn(
        WarningCode.EVENT_NAME_CUT,
        f"the event's name was cut to {MAX_EVENT_NAME_BYTES} bytes (rule 5.5)",
    )
    return cut(name, max_bytes)


def _trimmed(context: RuleContext, name: str) -> str:
    trimmed = without_white_space(name)
    if len(trimmed) != len(name):
        context.warn(
            WarningCode.WHITE_SPACE_REMOVED,
            "white space around the event's name was removed (rule 5.5)",
        )
    return trimmed
