"""alias: two people are one. SPEC 7."""

from .. import identity
from ..destination import Destination
from ..event import Event
from ..operations import Merge
from ..result import ErrorCode, Refused, Warning, WarningCode


def operation(event: Event, _destination: Destination, warnings: list[Warning], _now: int) -> Merge:
    """What an alias tells Customer.io."""
    primary = identity.user_id(event)
    secondary = identity.top_level_id(event.previous_id, "previousId")
    if primary is None or secondary is None:
        missing = "userId" if primary is None else "previousId"
        raise Refused(ErrorCode.MISSING_IDENTITY, f"an alias needs a {missing} (7.1)")
    identity.within_limit(primary, "the user id")
    identity.within_limit(secondary, "previousId")
    if primary == secondary:
        raise Refused(ErrorCode.INVALID_ID, "userId and previousId are the same (7.1)")
    try:
        anonymous_id = identity.id_text(event.anonymous_id)
    except ValueError:
        anonymous_id = None
    if secondary == anonymous_id:
        warnings.append(
            Warning(
                WarningCode.MERGE_OF_ANONYMOUS,
                "previousId is the anonymousId: Customer.io merges known people only; an identify"
                " is what joins an anonymous one (7.2)",
            )
        )
    return Merge(primary, secondary)
