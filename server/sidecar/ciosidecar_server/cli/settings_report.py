"""The answer of `ciosidecar serve --check`: the settings in effect, and where each comes from."""

import os
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from msgspec.json import encode

from ..server_destinations import Notes
from ..settings import Settings
from .output import print_json, printing
from .settings_sources import SettingsSources

_USER = re.compile(r"(?<=//)[^/]*@")


def show_settings(
    settings: Settings,
    sources: SettingsSources,
    notes: Notes,
    store_error: str | None,
    *,
    json: bool,
) -> None:
    """Print the settings in effect: as TOML, each with its source, or with the notes as one line of JSON.

    store_error: the kind of the error if the rate store does not work now.
    """
    if json:
        noted = [{"ref": note.ref, "key": note.key, "message": note.text} for note in notes.shown]
        answer = {"settings": _as_json(settings, sources), "notes": noted, "more_notes": notes.more}
        if settings.rate_store is not None:
            answer["rate_store"] = {"works": store_error is None, "error": store_error}
        print_json(answer)
        return
    with printing():
        for field in fields(settings):
            source = sources.of(field.name)
            line = _toml_line(field.name, getattr(settings, field.name))
            sys.stdout.write(f"{line}  # {source}\n")


def _as_json(settings: Settings, sources: SettingsSources) -> dict[str, Any]:
    by_name: dict[str, Any] = {}
    for field in fields(settings):
        source = sources.of(field.name)
        value = _plain(getattr(settings, field.name))
        by_name[field.name] = {"value": value, "source": source.kind, "name": source.name or None}
    return by_name


def _toml_line(name: str, value: Any) -> str:
    """Return a line of a settings file; a comment for a setting without a value."""
    # The strings, numbers and lists of settings look the same in JSON and TOML.
    return f"# {name} =" if value is None else f"{name} = {encode(_plain(value)).decode()}"


def shown_default(value: Any) -> str | None:
    """Return a default for the help: as a flag or a variable would have it, None if there is nothing to show."""
    if value in (None, (), ""):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, without the user and password of a URL."""
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if not isinstance(value, str | Path):
        return value
    # A path may have bytes that are not UTF-8.
    text = os.fsencode(str(value)).decode("utf-8", "replace")
    return _USER.sub("***@", text)
