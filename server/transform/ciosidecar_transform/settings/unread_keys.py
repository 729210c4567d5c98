"""Keys of a destination's config that nobody reads: a typing mistake must not pass in silence."""

from difflib import get_close_matches

from msgspec import DecodeError, Raw

from ..json_text import members, repair_surrogates
from .reader import SettingProblem
from .table import DATACENTER_EU, SETTINGS

MAX_KEYS = 100
"""How many are told."""
_MAX_KEY_CHARACTERS = 100
_SDKS = "is a setting of RudderStack's SDKs: it is ignored here (11.3)"
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
# Backwards, so that of two spellings the first is left; other names are meant only where they are
# written but for case.
_BY_LOWER_CASE = {name.lower(): name for name in (*_IGNORED, *reversed(_READ))}
_LIKELY = [one.key.lower() for one in SETTINGS if one is not DATACENTER_EU] + [
    name.lower() for name in _IGNORED
]


def unread_keys(config_json: bytes) -> list[SettingProblem]:
    """Return a note for each key that is no setting, with the setting whose name is nearest to it.

    config_json: the config of a destination; nothing is said of one that cannot be read. Rule 11.1.
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


def _unknown(key: str) -> str:
    lowered = key[:_MAX_KEY_CHARACTERS].lower()
    near = [lowered] if lowered in _BY_LOWER_CASE else get_close_matches(lowered, _LIKELY, 1, 0.7)
    hint = f": did you mean {_BY_LOWER_CASE[near[0]]}?" if near else ""
    return f"is no setting, and is ignored (11.1){hint}"
