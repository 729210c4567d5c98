"""Destinations whose settings are filled in from each event. Rule 13.1."""

from functools import lru_cache
from typing import Any, Self

from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder, encode

from ..event import FilledEvent, without
from ..json_text import ABSENT, members, repair_surrogates, value
from ..outcomes import ErrorCode, EventRejected
from . import table
from .destination import Destination, settled, unusable
from .reader import ConfigReader, SettingProblem
from .table import Setting
from .templates import Template, filled_in, templates_in

MAX_VALUE_BYTES = 4096
"""The bytes of a value that may replace a template: no setting is longer, and values are cached."""
MAX_CACHED = 64
"""The number of destinations that a config with templates caches: the last ones used."""
_decode_config = Decoder(dict[str, Raw]).decode


class DynamicDestination:
    """Settings with templates, and the destinations that recent events made of them."""

    def __init__(self, config: dict[str, Raw], templates: dict[str, dict[str, Template]]) -> None:
        """Store the config and its templates.

        Args:
            config: The members of the config.
            templates: The templates, by key and then by their text.
        """
        self._config = config
        self._by_key = templates
        self._keys = list(templates)
        self._templates = {
            text: (key, template)
            for key, templates_of_key in templates.items()
            for text, template in templates_of_key.items()
        }
        self._settled = lru_cache(MAX_CACHED)(self._settle)
        self.api_version = self._api_version()
        """v1, v2, or template if each event fills the version in."""
        # True if any of its destinations may be so: at worst that closes a request early.
        self.closes_requests = self._may_be(table.API_VERSION, wanted="v2")
        self.by_phone = self._may_be(table.PHONE_AS_IDENTIFIER, wanted=True) or self._may_be(
            table.USER_ID_KIND, wanted="phone"
        )

    def __reduce__(
        self,
    ) -> tuple[type[Self], tuple[dict[str, Raw], dict[str, dict[str, Template]]]]:
        """Pickle what the destination was made of. The cache stays behind."""
        return type(self), (self._config, self._by_key)

    def _api_version(self) -> str:
        if table.API_VERSION.key in self._keys:
            return "template"
        return "v2" if self._may_be(table.API_VERSION, wanted="v2") else "v1"

    def _may_be(self, setting: Setting, *, wanted: object) -> bool:
        return setting.key in self._keys or value(self._config.get(setting.key, ABSENT)) == wanted

    def for_event(self, event_json: bytes) -> tuple[Destination, FilledEvent | None]:
        """Return the destination that an event makes of the settings, and the rest of the event.

        A value that fills a template is taken out of the event, so that a credential never becomes
        an attribute.

        Args:
            event_json: An event that can be decoded.

        Returns:
            None instead of the rest of the event, if the event fills no template.

        Raises:
            EventRejected: INVALID_DESTINATION.
        """
        try:
            fields = members(Raw(event_json))
        except DecodeError:
            fields = members(Raw(repair_surrogates(event_json)))
        values, taken_paths = [], []
        for key, template in self._templates.values():
            filling = template.value_in(fields)
            if filling is None:
                filling = template.default
                if filling is None:
                    raise _rejection(key, "without default, and the event has no value for it")
            else:
                taken_paths.append(template.path)
            if len(filling) > MAX_VALUE_BYTES:
                raise _rejection(
                    key, f"that the event fills with more than {MAX_VALUE_BYTES} bytes"
                )
            values.append(filling)
        destination = self._usable(tuple(values))
        return destination, without(event_json, taken_paths) if taken_paths else None

    def problems_with_defaults(self) -> list[SettingProblem]:
        """Return the problems of the defaults; none if a template has no default."""
        defaults = [template.default for _, template in self._templates.values()]
        values = tuple(default for default in defaults if default is not None)
        settled = self._settled(values) if len(values) == len(defaults) else None
        return settled if isinstance(settled, list) else []

    def _usable(self, values: tuple[bytes, ...]) -> Destination:
        destination = self._settled(values)
        if isinstance(destination, Destination):
            return destination
        raise unusable(destination)

    def _settle(self, values: tuple[bytes, ...]) -> Destination | list[SettingProblem]:
        """Return the destination with the values in place of the templates, or its problems."""
        by_text = dict(zip(self._templates, values, strict=True))
        config = self._config.copy()
        for key in self._keys:
            try:
                config[key] = Raw(encode(filled_in(value(config[key]), by_text)))
            except (ValueError, RecursionError):
                return [
                    SettingProblem(key, "becomes no text and no setting (rule 13.1)", fatal=True)
                ]
        destination, problems = settled(config)
        return destination or problems


def _rejection(key: str, why: str) -> EventRejected:
    return EventRejected(ErrorCode.INVALID_DESTINATION, f"{key} has a template {why} (rule 13.1)")


AnyDestination = Destination | DynamicDestination


def read_destination(config_json: bytes) -> tuple[AnyDestination | None, list[SettingProblem]]:
    """Return the destination of a dashboard's config, or None, and the config's problems.

    Unknown keys are ignored. Never raises.

    Args:
        config_json: A JSON object in UTF-8.
    """
    try:
        return _read(config_json)
    except RecursionError:
        return None, [SettingProblem("", "the config is nested too deeply (rule 11.1)", fatal=True)]


def _read(config_json: bytes) -> tuple[AnyDestination | None, list[SettingProblem]]:
    config = _decoded(config_json)
    if config is None:
        return None, [
            SettingProblem("", "the config must be a JSON object in UTF-8 (rule 11.1)", fatal=True)
        ]
    # The usual config has no templates. An escape may spell a brace.
    if b"{{" not in config_json and b"\\" not in config_json:
        return settled(config)
    reader = ConfigReader(config)
    dynamic: dict[str, dict[str, Template]] = {}
    names: set[str] = set()
    for setting in table.SETTINGS:
        key, setting_value = reader.key_and_value(setting, blank_counts=setting.kind != "region")
        templates = _templates_in(setting_value)
        if templates:
            dynamic[key] = templates
            names.update(setting.names)
    return _read_dynamic(config, dynamic, names) if dynamic else settled(config)


def _read_dynamic(
    config: dict[str, Raw], dynamic: dict[str, dict[str, Template]], names: set[str]
) -> tuple[DynamicDestination | None, list[SettingProblem]]:
    """Return the destination of a config with templates, or None, and the config's problems.

    Args:
        config: The members of the config.
        dynamic: The templates, by key and then by their text.
        names: All names of the settings that have templates.
    """
    static = {name: raw for name, raw in config.items() if name not in names}
    _, static_problems = settled(static, filled_in_later=names)
    problems = [problem for problem in static_problems if problem.key not in names]
    problems += [
        SettingProblem(key, "is filled in from each event (rule 13.1)", fatal=False)
        for key in dynamic
    ]
    if any(problem.fatal for problem in problems):
        return None, problems
    destination = DynamicDestination(config, dynamic)
    problems += [
        SettingProblem(key, f"with the defaults of templates: {text}", fatal=False)
        for key, text, fatal in destination.problems_with_defaults()
        if fatal
    ]
    return destination, problems


def _templates_in(setting_value: Any) -> dict[str, Template]:
    try:
        return templates_in(setting_value)
    except RecursionError:  # nested too deeply for any setting to read
        return {}


def _decoded(config_json: bytes) -> dict[str, Raw] | None:
    try:
        str(config_json, "utf-8")
        return _decode_config(config_json)
    except (UnicodeDecodeError, DecodeError, RecursionError):
        pass
    try:
        str(config_json, "utf-8")
        return _decode_config(repair_surrogates(config_json))
    except (UnicodeDecodeError, ValidationError, DecodeError, RecursionError):
        return None
