"""Destinations whose settings are filled in from each event. Rule 13.1."""

from functools import lru_cache
from typing import Any

from msgspec import DecodeError, Raw, ValidationError
from msgspec.json import Decoder, encode

from ..event import FilledEvent, without
from ..json_text import ABSENT, members, repair_surrogates, value
from ..outcomes import ErrorCode, EventRejected
from . import table as known
from .destination import Destination, settled, unusable
from .reader import ConfigReader, SettingProblem
from .table import Setting
from .templates import Template, filled_in, templates_in

MAX_VALUE_BYTES = 4096
"""Of what an event puts in place of a template: no setting is longer, and values are kept."""
MAX_KEPT = 64
"""How many destinations a config with templates keeps: those that were asked for last."""
_decode_config = Decoder(dict[str, Raw]).decode


class DynamicDestination:
    """Settings with templates in them, and the destinations they came to of late."""

    def __init__(self, config: dict[str, Raw], templates: dict[str, dict[str, Template]]) -> None:
        """templates: by the key under which they stand, then by how they are written."""
        self._config = config
        self._keys = list(templates)
        self._templates = {
            text: (key, template)
            for key, found in templates.items()
            for text, template in found.items()
        }
        self._settled = lru_cache(MAX_KEPT)(self._settle)
        # What its destinations may do, they are taken to do: at worst that closes a request early.
        self.closes_requests = self._may_be(known.API_VERSION, wanted="v2")
        self.by_phone = self._may_be(known.PHONE_AS_IDENTIFIER, wanted=True) or self._may_be(
            known.USER_ID_KIND, wanted="phone"
        )

    def _may_be(self, setting: Setting, *, wanted: object) -> bool:
        return setting.key in self._keys or value(self._config.get(setting.key, ABSENT)) == wanted

    def for_event(self, event_json: bytes) -> tuple[Destination, FilledEvent | None]:
        """Return the destination that an event makes of the settings, and what is left of the event.

        What filled a template is taken out of the event, so that a credential never becomes an
        attribute; None if nothing did, and the event is as it was. event_json: an event that can
        be decoded. Raises EventRejected(INVALID_DESTINATION).
        """
        try:
            fields = members(Raw(event_json))
        except DecodeError:
            fields = members(Raw(repair_surrogates(event_json)))
        values, taken = [], []
        for key, template in self._templates.values():
            found = template.found_in(fields)
            if found is None:
                found = template.default
                if found is None:
                    raise _refused(key, "without default, and the event has nothing to put there")
            else:
                taken.append(template.path)
            if len(found) > MAX_VALUE_BYTES:
                raise _refused(key, f"that the event fills with more than {MAX_VALUE_BYTES} bytes")
            values.append(found)
        destination = self._usable(tuple(values))
        return destination, without(event_json, taken) if taken else None

    def problems_with_defaults(self) -> list[SettingProblem]:
        """What is wrong where no event fills anything in; nothing if a template has no default."""
        defaults = [template.default for _, template in self._templates.values()]
        values = tuple(default for default in defaults if default is not None)
        found = self._settled(values) if len(values) == len(defaults) else None
        return found if isinstance(found, list) else []

    def _usable(self, values: tuple[bytes, ...]) -> Destination:
        found = self._settled(values)
        if isinstance(found, Destination):
            return found
        raise unusable(found)

    def _settle(self, values: tuple[bytes, ...]) -> Destination | list[SettingProblem]:
        """The destination with these values in place of the templates, or what is wrong with it."""
        by_text = dict(zip(self._templates, values, strict=True))
        config = self._config.copy()
        for key in self._keys:
            try:
                config[key] = Raw(encode(filled_in(value(config[key]), by_text)))
            except (ValueError, RecursionError):
                return [SettingProblem(key, "becomes no text and no setting (13.1)", fatal=True)]
        destination, problems = settled(config)
        return destination or problems


def _refused(key: str, why: str) -> EventRejected:
    return EventRejected(ErrorCode.INVALID_DESTINATION, f"{key} has a template {why} (13.1)")


AnyDestination = Destination | DynamicDestination


def read_destination(config_json: bytes) -> tuple[AnyDestination | None, list[SettingProblem]]:
    """The destination of a dashboard's config, or None, and what is wrong with the config.

    config_json: the config as a JSON object in UTF-8. Unknown keys are ignored. Never raises.
    """
    try:
        return _read(config_json)
    except RecursionError:
        return None, [SettingProblem("", "the config is nested too deeply (11.1)", fatal=True)]


def _read(config_json: bytes) -> tuple[AnyDestination | None, list[SettingProblem]]:
    config = _decoded(config_json)
    if config is None:
        return None, [
            SettingProblem("", "the config must be a JSON object in UTF-8 (11.1)", fatal=True)
        ]
    # The usual config has no templates; an escape may spell one.
    if b"{{" not in config_json and b"\\" not in config_json:
        return settled(config)
    reader = ConfigReader(config)
    dynamic: dict[str, dict[str, Template]] = {}
    names: set[str] = set()
    for setting in known.SETTINGS:
        key, found = reader.given(setting, blank_counts=setting.kind != "region")
        templates = _templates_in(found)
        if templates:
            dynamic[key] = templates
            names.update(setting.names)
    return _read_dynamic(config, dynamic, names) if dynamic else settled(config)


def _read_dynamic(
    config: dict[str, Raw], dynamic: dict[str, dict[str, Template]], names: set[str]
) -> tuple[DynamicDestination | None, list[SettingProblem]]:
    """dynamic: the templates, by key. names: all names of the settings that have templates."""
    static = {name: raw for name, raw in config.items() if name not in names}
    problems = [one for one in settled(static, filled_in_later=names)[1] if one.key not in names]
    problems += [
        SettingProblem(key, "is filled in from each event (13.1)", fatal=False) for key in dynamic
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


def _templates_in(found: Any) -> dict[str, Template]:
    try:
        return templates_in(found)
    except RecursionError:  # so deep that no setting is understood either
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
