"""Templates in settings, {{ path || default }}, that each event fills in. Rule 13.1."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Raw

from ..json_text import ABSENT, array_index, elements, encode, first_byte, members, value

_TEMPLATE = re.compile(r"""\{\{((?:[^"'{}]|"[^"]*"|'[^']*')*)\}\}""")
_PATH = re.compile(r"""[^\s.\[\]|"'{}]+(?:\.[^\s.\[\]|"'{}]+|\[\d+\])*""")
_STEP = re.compile(r"[^.\[\]]+")
_PREFIXES = ("message", "event")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""", re.DOTALL)
_NOT_BARE = re.compile(r"""["']|\|\|""")
_NOTHING = (b"", b"null", b'""')


class Template(NamedTuple):
    """A path into the event, and the default for an event without a value there."""

    path: tuple[str, ...]
    default: bytes | None
    """The default as JSON text. None: there is no default."""

    def value_in(self, fields: dict[str, Raw]) -> bytes | None:
        """Return the event's value at the path as JSON text, or None if missing, null or "".

        Args:
            fields: The members of the event.
        """
        raw = fields.get(self.path[0], ABSENT)
        for step in self.path[1:]:
            if first_byte(raw) == b"[":
                items, index = elements(raw), array_index(step)
                raw = items[index] if 0 <= index < len(items) else ABSENT
            else:
                raw = members(raw).get(step, ABSENT)
        json = bytes(raw)
        return None if json in _NOTHING else json


def looks_like_template(text: str) -> bool:
    """Return whether a text has {{ and, after it, }}."""
    start = text.find("{{")
    return start >= 0 and text.find("}}", start + 2) >= 0


def templates_in(setting_value: Any) -> dict[str, Template]:
    """Return the templates of a setting's value, at any depth, by their text.

    A text with a malformed template has none: such a text is not filled in.
    """
    if isinstance(setting_value, str):
        return _templates_in_text(setting_value)
    parts: Iterable[Any] = ()
    if isinstance(setting_value, dict):
        parts = setting_value.values()
    elif isinstance(setting_value, list):
        parts = setting_value
    return {text: template for part in parts for text, template in templates_in(part).items()}


def _templates_in_text(setting_text: str) -> dict[str, Template]:
    without_templates = _TEMPLATE.sub("", setting_text)
    if not looks_like_template(setting_text) or looks_like_template(without_templates):
        return {}
    templates = {match[0]: _parsed(match[1]) for match in _TEMPLATE.finditer(setting_text)}
    usable = {text: template for text, template in templates.items() if template is not None}
    return usable if len(usable) == len(templates) else {}


def filled_in(setting_value: Any, values: Mapping[str, bytes]) -> Any:
    """Return a setting's value with its templates filled in. The values are not filled in again.

    Args:
        setting_value: The value of the setting.
        values: The value of each template as JSON text, by the text of the template.

    Raises:
        ValueError: An object or array would stand inside a text.
    """
    if isinstance(setting_value, dict):
        return {name: filled_in(part, values) for name, part in setting_value.items()}
    if isinstance(setting_value, list):
        return [filled_in(part, values) for part in setting_value]
    if not isinstance(setting_value, str):
        return setting_value
    template_alone = setting_value.strip()
    if template_alone in values:
        return _json_value(values[template_alone])
    return _TEMPLATE.sub(
        lambda match: _as_text(values[match[0]]) if match[0] in values else match[0],
        setting_value,
    )


def _parsed(inside: str) -> Template | None:
    """Return the template between the braces, or None if it is malformed."""
    path, separator, default = (part.strip() for part in inside.partition("||"))
    if _PATH.fullmatch(path) is None or bool(separator) != bool(default):
        return None
    steps = _STEP.findall(path)
    if len(steps) > 1 and steps[0] in _PREFIXES:
        del steps[0]
    if not default:
        return Template(tuple(steps), None)
    if default in ("true", "false"):
        return Template(tuple(steps), default.encode())
    quoted = _QUOTED.fullmatch(default)
    if quoted is None and _NOT_BARE.search(default):
        return None
    return Template(tuple(steps), encode(default if quoted is None else default[1:-1]))


def _json_value(json: bytes) -> Any:
    """Return the value, a number as text: no setting is a number, and ids often are."""
    return json.decode() if json[:1] in b"-0123456789" else value(Raw(json))


def _as_text(json: bytes) -> str:
    if json[:1] in (b"{", b"["):
        raise ValueError
    json_value = _json_value(json)
    return json_value if isinstance(json_value, str) else json.decode()
