"""Reader of a destination's config that collects its problems. Rule 11.1."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import Raw

from ..json_text import value
from ..requests import BASE_URLS
from . import table
from .table import Setting
from .templates import looks_like_template


class SettingProblem(NamedTuple):
    """An error in a destination's settings, or a note about them."""

    key: str
    """The key in the dashboard's JSON."""
    text: str
    """A message for people: what is wrong and what would be right. Never quotes the value."""
    fatal: bool
    """True: the destination cannot be used. False: it can, and the text says how the setting is read."""


class ConfigReader:
    """A reader of one config."""

    def __init__(self, config: dict[str, Raw]) -> None:
        self._config = config
        self.problems: list[SettingProblem] = []

    def reject(self, key: str, text: str, rule: str = "11.1") -> None:
        """Add a problem that makes the destination unusable."""
        self.problems.append(SettingProblem(key, f"{text} (rule {rule})", fatal=True))

    def note(self, key: str, text: str) -> None:
        """Add a note about a setting of a destination that can be used."""
        self.problems.append(SettingProblem(key, text, fatal=False))

    def key_and_value(self, setting: Setting, *, blank_counts: bool = True) -> tuple[str, Any]:
        """Return the first key of a setting that the config has, and its value; null is no value.

        Args:
            setting: The setting.
            blank_counts: Whether "" is a value.

        Returns:
            The setting's own key and None, if the config does not have the setting.
        """
        for key in setting.names:
            json_value = value(self._config[key]) if key in self._config else None
            if json_value is not None and (blank_counts or json_value != ""):
                return key, json_value
        return setting.key, None

    def credential(self, setting: Setting) -> str:
        """Return a text that is not blank, or "" and add a problem."""
        key, text = self.key_and_value(setting)
        if text is None:
            self.reject(key, "is missing: copy it from Customer.io, Settings, API credentials")
        elif not isinstance(text, str) or not text.strip():
            self.reject(key, "must be a text that is not blank")
        elif text.strip().startswith("env."):
            self.reject(key, "is an env. reference that was not resolved")
        elif looks_like_template(text):
            self.reject(key, "is a template that cannot be resolved")
        else:
            return text
        return ""

    def choice(self, setting: Setting) -> str:
        """Return the choice, or the default. Add a problem for any other value."""
        key, choice = self.key_and_value(setting)
        if choice is None:
            return setting.choices[0]
        if not isinstance(choice, str) or choice not in setting.choices:
            self.reject(key, f"must be {_one_of(setting.choices)}")
            return setting.choices[0]
        return choice

    def identifier_kind(self, setting: Setting) -> str | None:
        """Return the kind, or None for none or "". Add a problem for any other value."""
        key, kind = self.key_and_value(setting, blank_counts=False)
        if kind is None or (isinstance(kind, str) and kind in setting.choices):
            return kind
        self.reject(key, f"must be {_one_of(setting.choices)}", "3.8")
        return None

    def flag(self, setting: Setting) -> bool:
        """Return the flag, or False. Add a problem for a value that is no boolean."""
        key, flag = self.key_and_value(setting)
        if flag is None or isinstance(flag, bool):
            return flag is True
        self.reject(key, "must be true or false")
        return False

    def name_list(self, setting: Setting) -> frozenset[str]:
        """Return the texts of a list. Add a problem for any other value."""
        key, names = self.key_and_value(setting)
        if names is None:
            return frozenset()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.reject(key, "must be a list of texts")
            return frozenset()
        return frozenset(names)

    def region(self) -> str:
        """Return the region, US or EU. Add a problem for any other value, and for a contradiction."""
        key, datacenter = self.key_and_value(table.DATACENTER, blank_counts=False)
        older_key, older = self.key_and_value(table.DATACENTER_EU)
        if isinstance(older, str) and looks_like_template(older):
            self.reject(older_key, "is a template that cannot be resolved")
        if datacenter is None:
            return "EU" if older is True else "US"
        region = datacenter.upper() if isinstance(datacenter, str) else ""
        if region not in BASE_URLS:
            self.reject(key, f"must be {_one_of(BASE_URLS)}")
            return "US"
        if older is True and region != "EU":
            self.reject(key, f"contradicts {older_key}")
        return region

    def event_name(self, setting: Setting) -> str:
        """Return the name of an event, "" for none. Add a problem for a value that is no text."""
        key, name = self.key_and_value(setting)
        if name is None:
            return ""
        if not isinstance(name, str):
            self.reject(key, "must be a text")
            return ""
        if looks_like_template(name):
            self.reject(key, "is a template that cannot be resolved")
        return name


def _one_of(choices: Iterable[str]) -> str:
    return " or ".join(f'"{choice}"' for choice in choices)
