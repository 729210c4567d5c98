"""Which of an event's times is sent, and which are left out with a warning. Rules 2.4, 2.5."""

from msgspec import Raw

from ..event import Event
from ..identity import mapped_id
from ..json_text import ABSENT, members, value
from ..outcomes import WarningCode
from ..times import UnusableTime, unix_millis
from .context import RuleContext

MAX_AHEAD_S = 3600
"""How far ahead of the caller's clock a time may be (rule 2.5)."""


def event_time(context: RuleContext, kind: str) -> int | None:
    """Return the time to be sent, in seconds since 1970, or None. Rule 2.5.

    Args:
        context: The event and the clock.
        kind: The event's type in lower case.
    """
    event = context.event
    if event.channel != "sources":
        try:
            millis = unix_millis(event.timestamp)
        except UnusableTime:
            millis = None
        if millis is not None and millis // 1000 - context.now <= MAX_AHEAD_S:
            return millis // 1000  # the usual case, two calls early
    field, time_s = first_usable(context, kind)
    return unless_ahead(context, time_s, field)


def first_usable(context: RuleContext, kind: str) -> tuple[str, int | None]:
    """Return the field and the seconds of an event's first usable time, even one ahead of the clock.

    Args:
        context: The event.
        kind: The event's type in lower case.

    Returns:
        ("", None) if no time is usable.
    """
    event = context.event
    if event.channel == "sources" and mapped_id(event) is None:
        for field, raw in _warehouse_times(event, kind):
            if raw:
                time_s = seconds_or_warn(context, value(raw), field)
                if time_s is not None:
                    return field, time_s
    for field, json_value in (
        ("timestamp", event.timestamp),
        ("originalTimestamp", event.original_timestamp),
    ):
        time_s = seconds_or_warn(context, json_value, field)
        if time_s is not None:
            return field, time_s
    return "", None


def _warehouse_times(event: Event, kind: str) -> list[tuple[str, Raw]]:
    if kind == "identify":
        return [
            ("context.timestamp", event.context.timestamp),
            ("context.traits.timestamp", members(event.context.traits).get("timestamp", ABSENT)),
            ("traits.timestamp", members(event.traits).get("timestamp", ABSENT)),
        ]
    if kind == "track":
        return [("properties.timestamp", members(event.properties).get("timestamp", ABSENT))]
    return []


def seconds_or_warn(context: RuleContext, json_value: object, field: str) -> int | None:
    """Return whole seconds since 1970, or None if absent or, with a warning, unusable. Rule 2.4."""
    try:
        millis = unix_millis(json_value)
    except UnusableTime:
        context.warn(WarningCode.UNUSABLE_TIME, f"{field} is not a time and was ignored (rule 2.4)")
        return None
    return None if millis is None else millis // 1000


def unless_ahead(context: RuleContext, time_s: int | None, field: str) -> int | None:
    """Return the same time, or None with a warning if it is more than an hour ahead. Rule 2.5.

    Without a time Customer.io takes that of receipt. Unit of time_s: seconds since 1970.
    """
    if time_s is None or time_s - context.now <= MAX_AHEAD_S:
        return time_s
    context.warn(
        WarningCode.FUTURE_TIME,
        f"{field} is more than an hour ahead of the clock and was left out (rule 2.5)",
    )
    return None
