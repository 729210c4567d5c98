"""Times in every form of rule 2.4, with parts that are right, wrong or at the edge, and then changed."""

from collections.abc import Callable
from random import Random

_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Mon Tue Wed Thu Fri Sat Sun"
_ZONES = (
    "Z z UTC GMT UT utc EST EDT CST CDT MST MDT PST PDT +00 +0100 -05:30 +23:59 +24:00 -0060 +1 CET"
)
_SPACES = (
    " ",
    "  ",
    "\t",
    "\n",
    "\x0b",
    "\x1c",
    "\x1f",
    "\x85",
    "\xa0",
    "\u2003",
    "\u3000",
    "\u200b",
)
# A digit that is none in ASCII, letters that are others' capitals, and halves of pairs.
_ODD = (
    "\u0663",
    "\uff11",
    "\u017f",
    "\u212a",
    "\u0130",
    "\ud83d",
    "\udc00",
    "\0",
    "\u00e9",
    "\U0001f600",
)
_CHARACTERS: tuple[str, ...] = (*"0123456789-/:.,+TtZz ()_eE", *"APMapm", *_ODD, *_SPACES)


def some_time(random: Random) -> str:
    """Return a text that is a time, or nearly."""
    text = random.choice(_FORMS)(random)
    if random.random() < 0.1:
        text = random.choice((str.upper, str.lower, str.swapcase, str.title))(text)
    while random.random() < 0.25:
        text = random.choice(_CHANGES)(random, text)
    return text


def some_number(random: Random) -> str:
    """Return a JSON number near the edges of the units, or nearly one."""
    digits = str(max(0, 10 ** random.randint(0, 22) + random.randint(-2, 2)))
    if random.random() < 0.5:
        digits = "".join(
            random.choices("0123456789", k=random.choice((1, 9, 10, 13, 16, 19, 20, 400)))
        )
    sign = random.choice(("", "", "-", "+"))
    fraction = random.choice(("", "", ".0", ".", ".678", ".9999999999999", "." + "0" * 30 + "1"))
    exponent = random.choice(
        ("", "", "e0", "E+3", "e-3", "e10", "e-400", "e0000000000003", "e9999999999", "e", "e+")
    )
    return sign + "0" * random.choice((0, 0, 1, 5)) + digits + fraction + exponent


def _year(random: Random) -> str:
    odd = ("1900", "2000", "0000", "0001", "9999", "1969", "999", "02024")
    return random.choice(odd) if random.random() < 0.3 else "2024"


def _two(random: Random, most: int) -> str:
    edge = random.random() < 0.15
    number = random.choice((0, 1, most, most + 1)) if edge else random.randint(1, most)
    return str(number) if random.random() < 0.1 else f"{number:02}"


def _clock(random: Random) -> str:
    if random.random() < 0.1:
        return random.choice(
            ("24:00", "24:00:00", "24:00:01", "24:01:00", "12:00", "00:00", "0:00")
        )
    text = f"{_two(random, 23)}:{_two(random, 59)}"
    return text + random.choice(("", f":{_two(random, 59)}", ":00", ":"))


def _fraction(random: Random) -> str:
    return random.choice(("", "", ".", ".6", ".678", ".000", ".678901234", "." + "0" * 40, ",678"))


def _zone(random: Random) -> str:
    return random.choice(("", " ")) + random.choice(_ZONES.split())


def _comment(random: Random) -> str:
    inside = random.choice(("CET", "", "Ora standard\u0103", "a\nb", "\ud83d", "(", ")", "x" * 50))
    return random.choice(("", "", f" ({inside})"))


def _iso(random: Random) -> str:
    separator = random.choice("--/")
    text = _year(random)
    if random.random() < 0.95:
        text += separator + _two(random, 12)
    if random.random() < 0.95:
        text += random.choice((separator, separator, "-", "/")) + _two(random, 31)
    if random.random() < 0.8:
        text += random.choice("TTt ") + _clock(random) + _fraction(random)
        text += random.choice(("", _zone(random), _zone(random) + _go_tail(random)))
    return text


def _sdk(random: Random) -> str:
    date = f"{_year(random)}-{random.randint(0, 13):02}-{random.randint(0, 32):02}"
    clock = f"{random.randint(0, 25):02}:{random.randint(0, 61):02}:{random.randint(0, 61):02}"
    return f"{date}T{clock}.{random.randint(0, 999):03}Z"


def _go_tail(random: Random) -> str:
    name = random.choice(("CET", "UTC", "ABCDEF", "AB", "+0100", "+01", "cet"))
    clock = random.choice(
        ("", " m=+0.000012345", " m=-1.5", " m=+1", " m=1.5", " m=+" + "9" * 60 + ".1")
    )
    return f" {name}{clock}"


def _month(random: Random) -> str:
    name = random.choice(_MONTHS.split())
    return random.choice((name, name[:3], name[:4], name.upper(), name.lower()))


def _half(random: Random) -> str:
    clock = random.choice(("", _clock(random), f"{_two(random, 12)}:{_two(random, 59)}"))
    if not clock:
        return ""
    return random.choice((" ", ", ", ",")) + clock + random.choice(("", " AM", " pm", " XM", "PM"))


def _slashes(random: Random) -> str:
    return f"{_two(random, 12)}/{_two(random, 31)}/{_year(random)}{_half(random)}"


def _month_first(random: Random) -> str:
    comma = random.choice((",", ""))
    return f"{_month(random)} {_two(random, 31)}{comma} {_year(random)}{_half(random)}"


def _day_first(random: Random) -> str:
    return f"{_two(random, 31)} {_month(random)} {_year(random)}{_half(random)}"


def _mail(random: Random) -> str:
    day = random.choice(("", random.choice(_DAYS.split()) + random.choice((", ", ","))))
    date = f"{_two(random, 31)} {_month(random)} {_year(random)}"
    return f"{day}{date} {_clock(random)}{random.choice(('', _zone(random) + _comment(random)))}"


def _javascript(random: Random) -> str:
    date = f"{random.choice(_DAYS.split())} {_month(random)} {_two(random, 31)} {_year(random)}"
    offset = random.choice(("+0100", "-0530", "+2400", "+01:00", ""))
    return (
        f"{date} {_clock(random)} GMT{offset}{_comment(random)}" if random.random() < 0.9 else date
    )


def _insert(random: Random, text: str) -> str:
    at = random.randint(0, len(text))
    return text[:at] + random.choice(_CHARACTERS) + text[at:]


def _replace(random: Random, text: str) -> str:
    at = random.randrange(len(text) or 1)
    return text[:at] + random.choice(_CHARACTERS) + text[at + 1 :]


def _remove(random: Random, text: str) -> str:
    at = random.randrange(len(text) or 1)
    return text[:at] + text[at + random.choice((1, 1, 2, 5)) :]


def _surround(random: Random, text: str) -> str:
    return random.choice((*_SPACES, "")) + text + random.choice((*_SPACES, ""))


def _splice(random: Random, text: str) -> str:
    other = random.choice(_FORMS)(random)
    return text[: random.randint(0, len(text))] + other[random.randint(0, len(other)) :]


_FORMS: tuple[Callable[[Random], str], ...] = (
    _iso,
    _iso,
    _sdk,
    _slashes,
    _month_first,
    _day_first,
    _mail,
    _javascript,
    some_number,
)
_CHANGES: tuple[Callable[[Random, str], str], ...] = (
    _insert,
    _replace,
    _remove,
    _surround,
    _splice,
)
