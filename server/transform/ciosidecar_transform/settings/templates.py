"""Templates in a destination's settings, {{ path || default }}, filled in from an event. Rule 13.1."""

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
    """Where in the event a value stands, and what it is when it does not stand there."""

    path: tuple[str, ...]
    default: bytes | None
    """As JSON text; None: none."""

    def found_in(self, fields: dict[str, Raw]) -> bytes | None:
        """Return what the event has at the path, as JSON text.

        None for what is missing, null or "". fields: the event's own members.
        """
        raw = fields.get(self.path[0], ABSENT)
        for step in self.path[1:]:
            if first_byte(raw) == b"[":
                listed, index = elements(raw), array_index(step)
                raw = listed[index] if 0 <= index < len(listed) else ABSENT
            else:
                raw = members(raw).get(step, ABSENT)
        found = bytes(raw)
        return None if found in _NOTHING else found


def looks_like_template(text: str) -> bool:
    """Whether a text has {{ and, after it, }}."""
    start = text.find("{{")
    return start >= 0 and text.find("}}", start + 2) >= 0


def templates_in(found: Any) -> dict[str, Template]:
    """The templates of a setting's value, at any depth, by how they are written.

    Of a text in which one is malformed there are none: that text is not filled in.
    """
    if isinstance(found, str):
        if not looks_like_template(found) or looks_like_template(_TEMPLATE.sub("", found)):
            return {}
        written = {match[0]: _parsed(match[1]) for match in _TEMPLATE.finditer(found)}
        parsed = {text: template for text, template in written.items() if template is not None}
        return parsed if len(parsed) == len(written) else {}
    parts: Iterable[Any] = ()
    if isinstance(found, dict):
        parts = found.values()
    elif isinstance(found, list):
        parts = found
    return {text: template for one in parts for text, template in templates_in(one).items()}


def filled_in(found: Any, values: Mapping[str, bytes]) -> Any:
    """The value with its templates filled in, once: what comes out is not looked at again.

    values: each template's value as JSON text, by how the template is written.
    Raises ValueError where an object or array would stand inside a text.
    """
    if isinstance(found, dict):
        return {name: filled_in(one, values) for name, one in found.items()}
    if isinstance(found, list):
        return [filled_in(one, values) for one in found]
    if not isinstance(found, str):
        return found
    alone = found.strip()
    if alone in values:
        return _json_value(values[alone])
    return _TEMPLATE.sub(
        lambda match: _as_text(values[match[0]]) if match[0] in values else match[0], found
    )


def _parsed(inside: str) -> Template | None:
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
    """Numbers as texts, as they were written: no setting is a number, and ids often are."""
    return json.decode() if json[:1] in b"-0123456789" else value(Raw(json))


def _as_text(json: bytes) -> str:
    if json[:1] in (b"{", b"["):
        raise ValueError
    found = _json_value(json)
    return found if isinstance(found, str) else json.decode()
