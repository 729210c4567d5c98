"""Times as RudderStack's sources write them. SPEC 2.4, 2.5."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from math import floor

from msgspec import Raw

from .event import Event
from .identity import mapped_id
from .json_text import ABSENT, members, value
from .result import Warning, WarningCode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH_NAMES = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]

_ZONE = r"(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
_ISO = re.compile(
    r"(?P<y>\d{4})(?:(?P<sep>[-/])(?P<m>\d\d)"
    r"(?:(?P=sep)(?P<d>\d\d)"
    r"(?:[Tt ](?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.(?P<f>\d{1,9}))?)?" + _ZONE + ")?)?)?",
    re.ASCII,
)
_US = re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})", re.ASCII)
_WORDS = re.compile(r"(?P<name>[A-Za-z]{3,9}) (?P<d>\d{1,2}),? (?P<y>\d{4})", re.ASCII)
_RFC_2822 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ?)?(?P<d>\d{1,2}) (?P<name>[A-Za-z]{3}) (?P<y>\d{4})"
    r" (?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d))?" + _ZONE,
    re.ASCII | re.IGNORECASE,
)
# Below each limit a number is in a unit of so many to the millisecond.
_UNITS = (
    (10**11, Decimal("0.001")),
    (10**14, Decimal(1)),
    (10**17, Decimal(1000)),
    (10**20, Decimal(1_000_000)),
)
_DIGITS = re.compile(r"-?\d+", re.ASCII)


class UnusableTime(ValueError):
    """A value that is there but is no time."""


def unix_millis(found: object) -> int | None:
    """Whole milliseconds since 1970, rounded down, or None if the value is absent. SPEC 2.4.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size.
    Raises UnusableTime for anything else.
    """
    if isinstance(found, str):
        # What SDKs send, 2024-01-02T03:04:05.678Z: a guard on the shape, because fromisoformat also
        # reads week dates, and newer Pythons hour 24.
        if (
            len(found) == 24
            and found[10] == "T"
            and found[23] == "Z"
            and found[7] == "-"
            and found[19] == "."
            and found[11:13] != "24"
        ):
            try:
                since = datetime.fromisoformat(found) - _EPOCH
            except ValueError:
                return _of_text(found.strip())
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
        return _of_text(found.strip())
    if found is None or found is False:
        return None
    if isinstance(found, int) and found is not True:
        return _by_size(Decimal(found)) if found else None
    if isinstance(found, float):
        # Through the shortest decimal: 1704164645.678 * 1000 is not whole as a double.
        return _by_size(Decimal(repr(found))) if found else None
    raise UnusableTime


def _by_size(number: Decimal) -> int:
    size = abs(number)
    for limit, per_milli in _UNITS:
        if size < limit:
            return floor(number / per_milli) if size >= 10**8 else _unusable()
    raise UnusableTime


def _of_text(text: str) -> int | None:
    if not text or text == "0":
        return None
    if len(text) != 4 and _DIGITS.fullmatch(text):
        return _by_size(Decimal(text))
    match = _ISO.fullmatch(text) or _US.fullmatch(text) or _RFC_2822.fullmatch(text)
    if match is None:
        match = _WORDS.fullmatch(text)
        if match is None:
            raise UnusableTime
    part = match.groupdict()
    month = _month(part["name"]) if "name" in part else int(part["m"] or 1)
    hour, minute, second = (int(part.get(unit) or 0) for unit in "HMS")
    if hour > 23 or minute > 59 or second > 59:
        raise UnusableTime
    try:
        days = date(int(part["y"]), month, int(part["d"] or 1)).toordinal() - _EPOCH_DAY
    except ValueError:
        raise UnusableTime from None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - _offset_s(part.get("zone"))
    return seconds * 1000 + int((part.get("f") or "0").ljust(9, "0")) // 1_000_000


def _unusable() -> int:
    raise UnusableTime


def _month(name: str) -> int:
    for names in (_MONTHS, _MONTH_NAMES):
        if name.lower() in names:
            return names.index(name.lower()) + 1
    raise UnusableTime


def _offset_s(zone: str | None) -> int:
    """Seconds east of UTC."""
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise UnusableTime
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def seconds_or_warn(found: object, field: str, warnings: list[Warning]) -> int | None:
    """Whole seconds since 1970, or None if absent or, with a warning, unusable. SPEC 2.4."""
    try:
        millis = unix_millis(found)
    except UnusableTime:
        warnings.append(
            Warning(WarningCode.UNUSABLE_TIME, f"{field} is not a time and was passed over (2.4)")
        )
        return None
    return None if millis is None else millis // 1000


def is_given(found: object) -> bool:
    """Whether a time is there at all, usable or not. SPEC 2.4."""
    try:
        return unix_millis(found) is not None
    except UnusableTime:
        return True


def event_time(event: Event, kind: str, warnings: list[Warning]) -> int | None:
    """When the event happened, in seconds since 1970, or None. SPEC 2.5.

    kind: the event's type in lower case.
    """
    if event.channel == "sources" and mapped_id(event) is None:
        for field, raw in _warehouse_times(event, kind):
            if raw:
                found = seconds_or_warn(value(raw), field, warnings)
                if found is not None:
                    return found
    found = seconds_or_warn(event.timestamp, "timestamp", warnings)
    if found is None:
        found = seconds_or_warn(event.original_timestamp, "originalTimestamp", warnings)
    return found


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


def first_millis(event: Event) -> int:
    """The time half of an event id: 0 if no time is usable, or before 1970. Never warns. SPEC 5.6."""
    for found in (event.original_timestamp, event.timestamp):
        try:
            millis = unix_millis(found)
        except UnusableTime:
            continue
        if millis is not None:
            return max(millis, 0)
    return 0
