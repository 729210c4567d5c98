"""How an event addresses its person. Rules 3.1, 3.4, 3.8, 4.7."""

from ..identifiers import MAX_ID_BYTES, addressed, within_limit
from ..identity import anonymous_id, email, phone, user_id
from ..outcomes import EventRejected, WarningCode
from .context import RuleContext


def addressed_user(context: RuleContext) -> str | None:
    """Return the user id as the destination addresses it, or None. Rules 3.1, 3.8.

    Raises:
        EventRejected: INVALID_ID or ID_TOO_LONG.
    """
    identifier = user_id(context.event, context.warnings)
    addressing = context.destination.addressing
    if identifier is None or (
        addressing.user_id_kind is None and len(identifier) * 4 <= MAX_ID_BYTES
    ):
        return identifier  # the usual case, two calls early
    return addressed(identifier, "the user id", addressing)


def known_person(context: RuleContext) -> str | None:
    """Return what addresses the person of a track, page or screen, or None. Rule 3.4.

    Raises:
        EventRejected: INVALID_ID or ID_TOO_LONG.
    """
    user = addressed_user(context)
    if user is not None:
        return user
    address = email(context.event)
    if address is None:
        return phone(context.event) if context.destination.addressing.by_phone else None
    return within_limit(address, "the email")


def attached_anonymous_id(context: RuleContext, person: str) -> str | None:
    """Return the anonymous id to attach to a person, or None. Rule 4.7.

    An id that cannot be sent is left out with a warning.
    """
    try:
        identifier = anonymous_id(context.event, context.warnings)
    except EventRejected:
        context.warn(
            WarningCode.ANONYMOUS_ID_LEFT_OUT,
            "anonymousId is not a usable id and was not attached (rules 2.1, 2.2)",
        )
        return None
    return None if identifier == person else identifier
