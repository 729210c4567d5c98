"""Settings that hold for every destination which does not set them itself. Rule 11.1."""

from msgspec import DecodeError, Raw
from msgspec.json import Decoder, encode

from ..json_text import members, repair_surrogates, value
from .dynamic import read_destination
from .reader import ConfigReader, SettingProblem
from .table import API_KEY, DATACENTER, DATACENTER_EU, SETTINGS, SITE_ID, Setting
from .unread_keys import similar_key

_CREDENTIALS = (SITE_ID, API_KEY)
_REGION = (DATACENTER, DATACENTER_EU)
_BY_NAME = {name: setting for setting in SETTINGS for name in setting.names}
_decode_config = Decoder(dict[str, Raw]).decode


class Defaults:
    """Settings for destinations that do not set them."""

    def __init__(self, config: dict[str, Raw]) -> None:
        self._defaults = [(_same_setting(_BY_NAME[key]), key, raw) for key, raw in config.items()]

    def apply(self, config_json: bytes) -> bytes:
        """Return a destination's config with the defaults of the settings that it lacks.

        A config that cannot be read is returned as it is.
        """
        try:
            config = _decode_config(repair_surrogates(config_json))
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return config_json
        reader = ConfigReader(config)
        missing = {
            key: raw
            for settings, key, raw in self._defaults
            if not any(_is_set(reader, setting) for setting in settings)
        }
        return encode(config | missing) if missing else config_json


def read_defaults(config_json: bytes) -> tuple[Defaults | None, list[SettingProblem]]:
    """Return the defaults of a config, or None, and the config's problems.

    Args:
        config_json: A JSON object in UTF-8, with the keys of a destination's config.
    """
    config = {key: raw for key, raw in members(Raw(config_json)).items() if value(raw) is not None}
    problems = [problem for key in config if (problem := _problem_of(key)) is not None]
    if not problems:
        credentials = {setting.key: Raw(b'"-"') for setting in _CREDENTIALS}
        _, problems = read_destination(encode(credentials | config))
    if any(problem.fatal for problem in problems):
        return None, problems
    return Defaults(config), problems


def _problem_of(key: str) -> SettingProblem | None:
    setting = _BY_NAME.get(key)
    if setting is None:
        return SettingProblem(key, f"is no setting of a destination{similar_key(key)}", fatal=True)
    if setting in _CREDENTIALS:
        # A destination whose key was forgotten would send its events to another workspace.
        return SettingProblem(key, "is a credential, which has no default", fatal=True)
    return None


def _same_setting(setting: Setting) -> tuple[Setting, ...]:
    """Return the settings of which a destination may have any instead of a default."""
    return _REGION if setting in _REGION else (setting,)


def _is_set(reader: ConfigReader, setting: Setting) -> bool:
    blank_counts = setting.kind not in ("region", "identifier")
    return reader.key_and_value(setting, blank_counts=blank_counts)[1] is not None
