"""The files of --destinations and --destination-defaults: TOML or JSON."""

import json
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ciosidecar_transform import SettingProblem
from msgspec.json import encode

from .regular_files import read_regular_file

_ENV = "env:"
_FILE = "file:"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DELIVER_ONLY = "deliver_only"
# Half an emoji, a number beyond 64 bits, a value nested a thousand levels deep.
_NOT_JSON = (UnicodeEncodeError, OverflowError, RecursionError)
_NO_JSON_VALUE = "has a value that JSON in UTF-8 cannot hold"


class InvalidFile(Exception):
    """A file cannot be used. The text names the file and the place, never a value."""

    def __init__(self, text: str, paths: frozenset[Path] = frozenset()) -> None:
        super().__init__(text)
        self.paths = paths
        """The files that it refers to, as far as they were read."""


@dataclass(frozen=True, slots=True)
class FileDestination:
    """A destination of the file."""

    ref: str
    config_json: bytes = field(repr=False)
    """The settings as the dashboard's JSON, with the values of variables and files. Holds the credentials."""
    deliver_only: bool
    problems: list[SettingProblem]
    """Fatal problems: values that are not there, and a wrong deliver_only."""


class DestinationsFile(NamedTuple):
    """The content of a file with destinations."""

    destinations: list[FileDestination]
    paths: frozenset[Path]
    """The files that it refers to."""


def read_destinations(path: Path) -> DestinationsFile:
    """Read a file with destinations.

    Raises:
        InvalidFile: The file cannot be read, is not TOML or JSON, or has not the right shape.
    """
    content = read_object(path)
    for key in content:
        if key != "destinations":
            raise InvalidFile(f'{path}: {key} is no table of this file: it has "destinations" only')
    tables = content.get("destinations", {})
    if not isinstance(tables, dict):
        raise InvalidFile(f"{path}: destinations must be a table with a table for each destination")
    values = _Values(path.parent)
    destinations = [_destination(path, ref, table, values) for ref, table in tables.items()]
    return DestinationsFile(destinations, frozenset(values.paths))


def _destination(path: Path, ref: str, table: Any, values: "_Values") -> FileDestination:
    if not isinstance(table, dict):
        raise InvalidFile(f"{path}: destinations.{ref} must be a table")
    if not ref.strip() or not ref.isprintable():
        raise InvalidFile(f"{path}: a destination needs a name without control characters")
    problems: list[SettingProblem] = []
    config = {}
    for key, value in table.items():
        if key == _DELIVER_ONLY:
            continue
        try:
            config[key] = values.resolved(value)
        except ValueError as problem:
            problems.append(SettingProblem(key, str(problem), fatal=True))
    deliver_only = table.get(_DELIVER_ONLY, False)
    if not isinstance(deliver_only, bool):
        problems.append(SettingProblem(_DELIVER_ONLY, "must be true or false", fatal=True))
    try:
        config_json = encode(config)
    except _NOT_JSON:
        problems.append(SettingProblem("", _NO_JSON_VALUE, fatal=True))
        config_json = b"{}"
    return FileDestination(ref, config_json, deliver_only is True, problems)


def read_config(path: Path) -> bytes:
    """Return the content of a TOML or JSON file as JSON.

    Raises:
        InvalidFile: The file cannot be read, or is neither.
    """
    try:
        return encode(read_object(path))
    except _NOT_JSON:
        raise InvalidFile(f"{path} {_NO_JSON_VALUE}") from None


def read_object(path: Path) -> dict[str, Any]:
    """Return the content of a TOML or JSON file. A file that begins with { is JSON.

    Raises:
        InvalidFile: The file cannot be read, or is neither.
    """
    try:
        text = read_text(path)
    except OSError as problem:
        raise InvalidFile(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidFile(f"{path} is not UTF-8") from None
    if not text.strip():
        # What a full disk leaves, or a writer that is not done. It must not remove all destinations.
        raise InvalidFile(f"{path} is empty: a comment (#) is enough for a file without settings")
    try:
        if not text.lstrip().startswith("{"):
            return tomllib.loads(text)
        content: dict[str, Any] = json.loads(text, object_pairs_hook=_without_duplicates)
    except tomllib.TOMLDecodeError as problem:
        raise InvalidFile(f"{path} is not TOML: {_place(str(problem))}") from None
    except json.JSONDecodeError as problem:
        place = f"at line {problem.lineno}, column {problem.colno}"
        raise InvalidFile(f"{path} is not JSON: {problem.msg} ({place})") from None
    except _DuplicateKey as problem:
        raise InvalidFile(f"{path}: {problem} is there twice") from None
    except RecursionError:
        raise InvalidFile(f"{path} is nested too deeply") from None
    except ValueError:  # an integer that Python does not convert
        raise InvalidFile(f"{path} has a number with too many digits") from None
    return content


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without the byte order mark that some editors write.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: The file is not UTF-8.
    """
    return read_regular_file(path).decode("utf-8-sig")


class _DuplicateKey(Exception):
    """An object has a key twice. The text is the key."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise _DuplicateKey(key)
        members[key] = value
    return members


def _place(text: str) -> str:
    """Return a message of tomllib without what it quotes: that may be a part of a secret."""
    match = re.search(r"\(at [^()]*\)$", text)
    return match[0] if match else "it cannot be parsed"


class _Values:
    """The values that a file takes from elsewhere."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.paths: set[Path] = set()

    def resolved(self, value: Any) -> Any:
        """Return a value with its references resolved, at any depth.

        Raises:
            ValueError: A variable or file is not there. The text names it.
        """
        if isinstance(value, dict):
            return {key: self.resolved(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.resolved(part) for part in value]
        if isinstance(value, str) and value.startswith(_ENV):
            return _variable(value.removeprefix(_ENV))
        if isinstance(value, str) and value.startswith(_FILE):
            return self._file(value.removeprefix(_FILE))
        return value

    def _file(self, name: str) -> str:
        if not name.strip():
            raise ValueError("names no file after file:")
        path = self._directory / name
        if "\0" in name:
            raise ValueError("names no file after file:")
        self.paths.add(path)
        try:
            text = read_text(path)
        except UnicodeDecodeError:
            raise ValueError(f"is in the file {path}, which is not UTF-8") from None
        except OSError as problem:
            raise ValueError(
                f"is in the file {path}, which cannot be read: {problem.strerror}"
            ) from None
        return text.removesuffix("\n").removesuffix("\r")


def _variable(name: str) -> str:
    if _VARIABLE.fullmatch(name) is None:
        # What was meant as a key must not be quoted.
        raise ValueError("names no environment variable after env:")
    if name not in os.environ:
        raise ValueError(f"is in the environment variable {name}, which is not set")
    return os.environ[name]
