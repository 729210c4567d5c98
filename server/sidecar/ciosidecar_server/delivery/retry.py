"""The delay before the next attempt."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_DELAY_S = 0.2
MAX_DELAY_S = 10.0
MAX_RETRY_AFTER_S = 300.0


def jittered_delay_s(attempts: int) -> float:
    """Return a random delay up to a bound that doubles with every attempt made: "full jitter"."""
    return random.uniform(0.0, min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempts - 1, 10)))  # noqa: S311 - not a secret


def retry_after_s(header: str | None, now: datetime, date: str | None = None) -> float | None:
    """Return the seconds a Retry-After header asks for, 300 at most; None if it is neither number nor date. RFC 9110.

    Args:
        header: whole seconds, or a date.
        now: the date, in UTC.
        date: the Date header of the response. Optional. It counts instead of `now`: both dates are then of one clock.
    """
    if header is None:
        return None
    text = header.strip()
    # A header that came twice is joined with commas; a date has a comma too.
    fields = [field.strip() for field in text.split(",")]
    if all(field.isdecimal() and field.isascii() for field in fields):
        return min(max(float(field[:9]) for field in fields), MAX_RETRY_AFTER_S)
    until = _date(text)
    if until is None:
        return None
    sent_at = _date(date or "") or now
    return min(max(0.0, (until - sent_at).total_seconds()), MAX_RETRY_AFTER_S)


def _date(text: str) -> datetime | None:
    """Return the date of a header; None if it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
