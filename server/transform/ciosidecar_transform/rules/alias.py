"""alias: two people are one. Rule 7."""

from .. import identity
from ..event import Event
from ..operations import Merge
from ..outcomes import ErrorCode, EventRejected, Warning, WarningCode
from ..settings.destination import Destination


def operation(event: Event, destination: Destination, warnings: list[Warning], _now: int) -> Merge:
    """Return what an alias tells Customer.io."""
    user_id = identity.user_id(event, warnings)
    previous_id = identity.top_level_id(event.previous_id, "previousId", warnings)
    if user_id is None or previous_id is None:
        missing = "userId" if user_id is None else "previousId"
        raise EventRejected(ErrorCode.MISSING_IDENTITY, f"an alias needs a {missing} (7.1)")
    primary = identity.addressed(user_id, "the user id", destination.addressing)
    secondary = identity.addressed(previous_id, "previousId", destination.addressing)
    if destination.addressing.user_id_kind == "phone":
        raise EventRejected(ErrorCode.INVALID_ID, "Customer.io merges nobody by phone number (3.8)")
    if primary.casefold() == secondary.casefold() and _as_compared(primary) == _as_compared(
        secondary
    ):
        raise EventRejected(ErrorCode.INVALID_ID, "userId and previousId are the same (7.1)")
    try:
        anonymous_id = identity.id_text(event.anonymous_id)
    except ValueError:
        anonymous_id = None
    if previous_id == anonymous_id:
        warnings.append(
            Warning(
                WarningCode.MERGE_OF_ANONYMOUS,
                "previousId is the anonymousId: Customer.io merges known people only; an identify"
                " is what joins an anonymous one (7.2)",
            )
        )
    return Merge(primary, secondary)


def _as_compared(identifier: str) -> tuple[str, str]:
    """Emails are the same person in any case."""
    kind, text = identity.kind_and_value(identifier)
    return kind, text.casefold() if kind == "email" else text
