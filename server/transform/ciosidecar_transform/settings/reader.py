"""Reads settings from a destination's config, and collects what is wrong with them. SPEC 11.1."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import Raw

from ..json_text import value
from ..requests import BASE_URLS
from . import table as known
from .table import Setting
from .templates import looks_like_template


class SettingProblem(NamedTuple):
    """Something that is wrong with a destination's settings, or that one should know of them."""

    key: str
    """As the dashboard's JSON names it."""
    text: str
    """What is wrong and what would be right. Never quotes the value."""
    fatal: bool
    """True: the destination cannot be used. False: it can, and the text says how the setting fares."""


class ConfigReader:
    """One config being read."""

    def __init__(self, config: dict[str, Raw]) -> None:
        self._config = config
        self.problems: list[SettingProblem] = []

    def refuse(self, key: str, text: str, rule: str = "11.1") -> None:
        """Notes what makes the destination unusable."""
        self.problems.append(SettingProblem(key, f"{text} ({rule})", fatal=True))

    def note(self, key: str, text: str) -> None:
        """Notes what a user should know, of a destination that works."""
        self.problems.append(SettingProblem(key, text, fatal=False))

    def given(self, setting: Setting, *, blank_counts: bool = True) -> tuple[str, Any]:
        """The first of its names that is given, and the value; null counts as not given."""
        for key in setting.names:
            found = value(self._config[key]) if key in self._config else None
            if found is not None and (blank_counts or found != ""):
                return key, found
        return setting.key, None

    def credential(self, setting: Setting) -> str:
        """A text that is not blank, or "" and a problem."""
        key, found = self.given(setting)
        if found is None:
            self.refuse(key, "is missing: copy it from Customer.io, Settings, API credentials")
        elif not isinstance(found, str) or not found.strip():
            self.refuse(key, "must be a text that is not blank")
        elif found.strip().startswith("env."):
            self.refuse(key, "is an env. reference that nobody resolved")
        elif looks_like_template(found):
            self.refuse(key, "is a template that cannot be resolved")
        else:
            return found
        return ""

    def choice(self, setting: Setting) -> str:
        """One of its choices."""
        key, found = self.given(setting)
        if found is None:
            return setting.choices[0]
        if not isinstance(found, str) or found not in setting.choices:
            self.refuse(key, f"must be {_one_of(setting.choices)}")
            return setting.choices[0]
        return found

    def identifier_kind(self, setting: Setting) -> str | None:
        """Return one of its choices, or None if it is not given. "" counts as not given."""
        key, found = self.given(setting, blank_counts=False)
        if found is None or (isinstance(found, str) and found in setting.choices):
            return found
        self.refuse(key, f"must be {_one_of(setting.choices)}", "3.8")
        return None

    def flag(self, setting: Setting) -> bool:
        """True or false."""
        key, found = self.given(setting)
        if found is None or isinstance(found, bool):
            return found is True
        self.refuse(key, "must be true or false")
        return False

    def name_list(self, setting: Setting) -> frozenset[str]:
        """The texts of a list."""
        key, found = self.given(setting)
        if found is None:
            return frozenset()
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self.refuse(key, "must be a list of texts")
            return frozenset()
        return frozenset(found)

    def region(self) -> str:
        """US or EU."""
        key, found = self.given(known.DATACENTER, blank_counts=False)
        older_key, older = self.given(known.DATACENTER_EU)
        if isinstance(older, str) and looks_like_template(older):
            self.refuse(older_key, "is a template that cannot be resolved")
        if found is None:
            return "EU" if older is True else "US"
        region = found.upper() if isinstance(found, str) else ""
        if region not in BASE_URLS:
            self.refuse(key, f"must be {_one_of(BASE_URLS)}")
            return "US"
        if older is True and region != "EU":
            self.refuse(key, f"contradicts {older_key}")
        return region

    def event_name(self, setting: Setting) -> str:
        """The name of an event, "" for none."""
        key, found = self.given(setting)
        if found is None:
            return ""
        if not isinstance(found, str):
            self.refuse(key, "must be a text")
            return ""
        if looks_like_template(found):
            self.refuse(key, "is a template that cannot be resolved")
        return found


def _one_of(choices: Iterable[str]) -> str:
    return " or ".join(f'"{choice}"' for choice in choices)
