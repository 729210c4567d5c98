"""Times in the forms that RudderStack's sources send. Rule 2.4."""

import re
from datetime import UTC, date, datetime

from msgspec import Raw

from .json_text import VastNumber, first_byte, value
from .native import twin

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# ISO 8601 has a year 0, Python's calendar has none. The calendar repeats after 400 years.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_MONTHS = (
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
)
_MONTH_OF = {name: number for number, name in enumerate(_MONTHS, 1)} | {
    name[:3]: number for number, name in enumerate(_MONTHS, 1)
}
# The obsolete zones of mail, in hours (RFC 2822, 4.3).
_OLD_ZONES = {
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
}

# A text may be a megabyte of anything. Unbounded repeats are possessive, so that every pattern reads a
# text once.
_OFFSET = r"[+-]\d\d(?::?\d\d)?"
_GO_TAIL = r"(?: (?:[A-Z]{3,5}|[+-]\d\d(?:\d\d)?)(?: m=[+-]\d++\.\d++)?)?"
_ISO = (
    r"(?P<y>\d{4})(?:(?P<sep>[-/])(?P<m>\d{1,2})(?:(?P=sep)(?P<d>\d{1,2}))?)?"
    r"(?:[Tt ](?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.(?P<f>\d++))?)?"
    rf"(?: ?(?P<zone>[Zz]|UTC|GMT|{_OFFSET}){_GO_TAIL})?)?"
)
_CLOCK = r"(?:,? (?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d))?(?: (?P<half>AM|PM))?)?"
_MONTH = "(?P<name>" + "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + ")"
_SHORT_MONTH = "(?P<name>" + "|".join(name[:3] for name in _MONTHS) + ")"
_WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_COMMENT = r"(?: \([^()]*+\))?"
_RFC_2822 = (
    rf"(?:{_WEEKDAY}, ?)?(?P<d>\d{{1,2}}) {_SHORT_MONTH} (?P<y>\d{{4}})"
    r" (?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d))?"
    rf"(?: ?(?P<zone>Z|UTC?|GMT|{'|'.join(_OLD_ZONES)}|{_OFFSET}){_COMMENT})?"
)
_JAVASCRIPT = (
    rf"{_WEEKDAY} {_SHORT_MONTH} (?P<d>\d\d) (?P<y>\d{{4}})"
    rf"(?: (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d) GMT(?P<zone>[+-]\d{{4}}){_COMMENT})?"
)
_FORMS = (
    re.compile(_ISO, re.ASCII),
    *(
        re.compile(form, re.ASCII | re.IGNORECASE)
        for form in (
            rf"(?P<m>\d{{1,2}})/(?P<d>\d{{1,2}})/(?P<y>\d{{4}}){_CLOCK}",
            rf"{_MONTH} (?P<d>\d{{1,2}}),? (?P<y>\d{{4}}){_CLOCK}",
            rf"(?P<d>\d{{1,2}}) {_MONTH} (?P<y>\d{{4}}){_CLOCK}",
            _RFC_2822,
            _JAVASCRIPT,
        )
    ),
)
_NUMBER = re.compile(r"(-?)(\d++)(?:\.(\d++))?(?:[eE]([+-]?)0*+(\d*+)(?<=\d))?", re.ASCII)


class UnusableTime(ValueError):
    """A value is present but is no time."""


@twin
def unix_millis(json_value: object, /) -> int | None:
    """Return whole milliseconds since 1970, rounded down, or None if the value is absent. Rule 2.4.

    Numbers are read as seconds, milliseconds, microseconds or nanoseconds, depending on their size.

    Raises:
        UnusableTime: The value is present but is no time.
    """
    if isinstance(json_value, str):
        # The form that SDKs send, 2024-01-02T03:04:05.678Z. The shape is checked because fromisoformat
        # also reads week dates, and in newer Pythons hour 24.
        if (
            len(json_value) == 24
            and json_value[10] == "T"
            and json_value[23] == "Z"
            and json_value[7] == "-"
            and json_value[19] == "."
            and json_value[11:13] != "24"
        ):
            try:
                since = datetime.fromisoformat(json_value) - _EPOCH
            except ValueError:
                return _of_text(json_value.strip())
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
        return _of_text(json_value.strip())
    if json_value is None or json_value is False:
        return None
    if isinstance(json_value, int) and json_value is not True:
        return _of_integer(json_value) if json_value else None
    if isinstance(json_value, float):
        # Through the shortest decimal: 1704164645.678 * 1000 is not whole as a double.
        return _of_decimal(repr(json_value)) if json_value else None
    if isinstance(json_value, VastNumber):
        return _of_decimal(json_value.literal)
    raise UnusableTime


def _of_integer(number: int) -> int:
    size = abs(number)
    if 10**8 <= size < 10**11:
        return number * 1000
    if 10**11 <= size < 10**14:
        return number
    if 10**14 <= size < 10**17:
        return number // 1000
    if 10**17 <= size < 10**20:
        return number // 1_000_000
    raise UnusableTime


def _of_decimal(text: str) -> int:
    """Return the milliseconds of a JSON number, by its digits: there may be a million of them."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnusableTime
    minus, whole, fraction, exponent_sign, exponent = match.groups(default="")
    written = whole + fraction
    digits = written.lstrip("0")
    if not digits or len(exponent) > 9:
        raise UnusableTime
    # The number is 0.d1d2d3… times ten to the power of `size`.
    size = len(whole) - (len(written) - len(digits)) + int(f"{exponent_sign}{exponent or 0}")
    if not 9 <= size <= 20:
        raise UnusableTime
    # From one unit to the next are three digits: seconds below 1e11, milliseconds below 1e14, and so on.
    length = size + (3 if size <= 11 else 0 if size <= 14 else -3 if size <= 17 else -6)
    millis = int(digits[:length].ljust(length, "0"))
    if minus:
        return -millis - bool(digits[length:].strip("0"))
    return millis


def _of_text(text: str) -> int | None:
    if not text or text == "0":
        return None
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return _of_parts(match.groupdict())
    return _of_decimal(text)


def _of_parts(part: dict[str, str | None]) -> int:
    name = part.get("name")
    month = int(part["m"] or 1) if name is None else _MONTH_OF[name.lower()]
    hour, minute, second = (int(part[unit] or 0) for unit in "HMS")
    half, fraction = part.get("half"), part.get("f") or ""
    if half is not None:
        if not 1 <= hour <= 12:
            raise UnusableTime
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    elif hour == 24 and (part["S"] is None or minute or second or fraction.strip("0")):
        raise UnusableTime
    if hour > 24 or minute > 59 or second > 59:
        raise UnusableTime
    year = int(part["y"] or 0)
    try:
        days = date(year or _CYCLE_YEARS, month, int(part["d"] or 1)).toordinal() - _EPOCH_DAY
    except ValueError:
        raise UnusableTime from None
    if not year:
        days -= _CYCLE_DAYS
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - _offset_s(part.get("zone"))
    return seconds * 1000 + int(fraction[:3].ljust(3, "0"))


def _offset_s(zone: str | None) -> int:
    """Return the seconds east of UTC."""
    if zone is None:
        return 0
    if zone[0] not in "+-":
        return _OLD_ZONES.get(zone.upper(), 0) * 3600
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise UnusableTime
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def seconds(json_value: object) -> int | None:
    """Return whole seconds since 1970, rounded down, or None if the value is absent. Rule 2.4.

    Raises:
        UnusableTime: The value is present but is no time.
    """
    millis = unix_millis(json_value)
    return None if millis is None else millis // 1000


def attribute_seconds(raw: Raw) -> int | None:
    """Return whole seconds since 1970 of JSON text; None if absent, null, blank, 0 or false.

    Raises:
        UnusableTime: The value is anything else that is no time.
    """
    if first_byte(raw) in (b"{", b"["):
        raise UnusableTime
    return seconds(value(raw))


def is_given(json_value: object) -> bool:
    """Return whether a time is present, usable or not. Rule 2.4."""
    try:
        return unix_millis(json_value) is not None
    except UnusableTime:
        return True
