"""Keys of a destination's config that are no settings, so that typing mistakes are reported."""

from difflib import get_close_matches
from functools import lru_cache

from msgspec import DecodeError, Raw

from ..json_text import members, repair_surrogates
from .reader import SettingProblem
from .table import DATACENTER_EU, SETTINGS

MAX_KEYS = 100
"""The number of keys that are reported."""
_MAX_KEY_CHARACTERS = 100
_SDKS = "is a setting of RudderStack's SDKs: it is ignored here (rule 11.3)"
_IGNORED = {
    "eventFilteringOption": _SDKS,
    "whitelistedEvents": _SDKS,
    "blacklistedEvents": _SDKS,
    "sendPageNameInSDK": _SDKS,
    "dataUseInApp": _SDKS,
    "eventDelivery": "is the dashboard's own: it is ignored here",
    "eventDeliveryTS": "is the dashboard's own: it is ignored here",
}
_READ = [name for setting in SETTINGS for name in setting.names]
# Reversed, so that the first of two spellings wins. An alternative name is suggested only for a key
# that differs from it in case alone.
_BY_LOWER_CASE = {name.lower(): name for name in (*_IGNORED, *reversed(_READ))}
_LIKELY = [setting.key.lower() for setting in SETTINGS if setting is not DATACENTER_EU] + [
    name.lower() for name in _IGNORED
]


def unread_keys(config_json: bytes) -> list[SettingProblem]:
    """Return a note for each key that is no setting, with the most similar setting. Rule 11.1.

    Args:
        config_json: The config of a destination.

    Returns:
        No note for a config that cannot be read.
    """
    try:
        str(config_json, "utf-8")
        keys = list(members(Raw(repair_surrogates(config_json))))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return []
    unread = [key for key in keys if key not in _READ][:MAX_KEYS]
    return [
        SettingProblem(key[:_MAX_KEY_CHARACTERS], _IGNORED.get(key) or _unknown(key), fatal=False)
        for key in unread
    ]


def similar_key(key: str) -> str:
    """Return a question for the setting that may be meant, or "" if no setting is similar."""
    return _question(key[:_MAX_KEY_CHARACTERS].lower())


# Thousands of destinations of one origin have the same mistakes, and a search takes a millisecond.
@lru_cache(maxsize=1000)
def _question(lowered: str) -> str:
    near = [lowered] if lowered in _BY_LOWER_CASE else get_close_matches(lowered, _LIKELY, 1, 0.7)
    return f": did you mean {_BY_LOWER_CASE[near[0]]}?" if near else ""


def _unknown(key: str) -> str:
    return f"is no setting, and is ignored (rule 11.1){similar_key(key)}"
