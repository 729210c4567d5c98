"""alias: merge two people. Rule 7."""

from .. import identity
from ..identifiers import addressed, id_text, kind_and_value, top_level_id
from ..operations import Merge
from ..outcomes import ErrorCode, EventRejected, WarningCode
from .context import RuleContext


def operation(context: RuleContext) -> Merge:
    """Return the operation of an alias.

    Raises:
        EventRejected: MISSING_IDENTITY, INVALID_ID or ID_TOO_LONG.
    """
    event, warnings = context.event, context.warnings
    user_id = identity.user_id(event, warnings)
    previous_id = top_level_id(event.previous_id, "previousId", warnings)
    if user_id is None or previous_id is None:
        missing = "userId" if user_id is None else "previousId"
        raise EventRejected(ErrorCode.MISSING_IDENTITY, f"an alias needs a {missing} (rule 7.1)")
    addressing = context.destination.addressing
    primary = addressed(user_id, "the user id", addressing)
    secondary = addressed(previous_id, "previousId", addressing)
    if addressing.user_id_kind == "phone":
        raise EventRejected(
            ErrorCode.INVALID_ID, "Customer.io does not merge people by phone number (rule 3.8)"
        )
    if primary.casefold() == secondary.casefold() and _as_compared(primary) == _as_compared(
        secondary
    ):
        raise EventRejected(ErrorCode.INVALID_ID, "userId and previousId are the same (rule 7.1)")
    try:
        anonymous_id = id_text(event.anonymous_id)
    except ValueError:
        anonymous_id = None
    if previous_id == anonymous_id:
        context.warn(
            WarningCode.MERGE_OF_ANONYMOUS,
            "previousId is the anonymousId, but Customer.io merges known people only: send an"
            " identify to merge an anonymous profile (rule 7.2)",
        )
    return Merge(primary, secondary)


def _as_compared(identifier: str) -> tuple[str, str]:
    """Return the kind and value of an identifier, an email in lower case: its case is no matter."""
    kind, text = kind_and_value(identifier)
    return kind, text.casefold() if kind == "email" else text
