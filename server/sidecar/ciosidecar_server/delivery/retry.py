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


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for, 300 at most; None if it is neither number nor date. RFC 9110.

    Args:
        header: whole seconds, or a date.
        now: the date, in UTC.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal() and text.isascii():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0.0, (date - now).total_seconds()), MAX_RETRY_AFTER_S)
