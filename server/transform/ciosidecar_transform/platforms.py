"""Mobile platforms by the names that devices and SDKs give them. Rule 6.2."""

import re
from typing import Literal

Platform = Literal["ios", "android"]

_NAMES: dict[str, Platform] = {
    "ios": "ios",
    "ipados": "ios",
    "tvos": "ios",
    "watchos": "ios",
    "iphone os": "ios",
    "iphone": "ios",
    "ipad": "ios",
    "android": "android",
}
_WORD_IOS = re.compile(r"(?<![^\W\d_])ios(?![^\W\d_])")


def platform_of_name(name: str | None) -> Platform | None:
    """Return the platform of a device type's or an operating system's name, or None."""
    return _NAMES.get(name.lower()) if name else None


def platform_of_library(name: str | None) -> Platform | None:
    """Return the platform of the SDK that sent an event, by the SDK's name, or None."""
    lowered = (name or "").lower()
    if "android" in lowered:
        return "android"
    return "ios" if _WORD_IOS.search(lowered) else None
