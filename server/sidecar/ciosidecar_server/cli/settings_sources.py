"""Where the settings of `serve` come from: flags, then the environment, then a TOML file."""

import os
import re
import tomllib
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, get_args

import cyclopts.config
from cyclopts import App, CycloptsError, Token
from cyclopts.argument import Argument, ArgumentCollection

PREFIX = "CIOSIDECAR_"
FILE_FLAG = "--settings"
# The sandbox's own settings, the address that the examples of the clients read, and the choice of an implementation,
# which the transform reads.
_OTHER_NAMES = {"CIOSIDECAR_ADDRESS", "CIOSIDECAR_NATIVE"}
_OTHERS = re.compile(r"CIOSIDECAR_(SANDBOX_\w+|ADDRESS|NATIVE)")
# Kubernetes puts the addresses of a Service named ciosidecar into the environment of every pod.
_KUBERNETES = re.compile(
    r"CIOSIDECAR_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_Config = Callable[[App, tuple[str, ...], ArgumentCollection], None]


class Source(NamedTuple):
    """Where the value of a setting comes from."""

    kind: str = "default"
    """default, file, environment or flag."""
    name: str = ""
    """The key in the file, the variable, or the flag; "" for a default."""

    def __str__(self) -> str:
        """Return the source for people."""
        return f"{self.kind} {self.name}".rstrip()


class Environment(cyclopts.config.Env):
    """Options from the environment, by any of their names. An empty variable counts as not set."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give each argument that has no value yet the value of its variable.

        Raises:
            CycloptsError: Two variables set the same argument.
        """
        del app, commands
        for argument in arguments:
            names = [name for name in variables(argument) if os.environ.get(name, "").strip()]
            if len(names) > 1:
                raise CycloptsError(msg=f"{' and '.join(names)} set the same option: keep one")
            if not names or argument.tokens:
                continue
            parts = argument.env_var_split(os.environ[names[0]])
            for index, part in enumerate(parts):
                argument.append(Token(keyword=names[0], value=part, source="env", index=index))


class SettingsSources:
    """The sources of one start of `serve`, after its flags: the environment, then the file."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._root: App | None = None

    def chain(self, root: App) -> tuple[_Config, ...]:
        """Return the sources as cyclopts asks them, the first one first. root: the command line."""
        self._root = root
        environment, whole = SOURCES_OF_ALL
        return environment, self._read_file, whole, self._remember

    def of(self, name: str) -> Source:
        """Return where a setting comes from. name: of the field of Settings."""
        return self._sources.get(name, Source())

    def unknown_variables(self) -> list[str]:
        """Return a sentence for each variable of the environment that is ours, and no command's."""
        return [] if self._root is None else _unknown_variables(self._root, os.environ)

    def _read_file(
        self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection
    ) -> None:
        """Give each argument that has no value yet the value of the file.

        Raises:
            CycloptsError: The file cannot be read, or has a key that is no setting.
        """
        path = next(
            (_value(argument) for argument in arguments if argument.name == FILE_FLAG), None
        )
        if path is None:
            return
        by_key = {
            key: argument
            for argument in arguments
            if _is_setting(argument)
            for key in keys(argument)
        }
        for place, key, value in _settings_of(Path(path), by_key):
            # What cyclopts says of a wrong value names the source: here the file and the line.
            setting = cyclopts.config.Dict({key: value}, source=place, use_commands_as_keys=False)
            setting(app, commands, arguments)

    def _remember(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Remember where each value comes from."""
        del app, commands
        self._sources = {
            _field(argument): _source(argument.tokens[0])
            for argument in arguments
            if argument.tokens
        }


SOURCES = SettingsSources()
"""The sources of this process's command line."""


def variables(argument: Argument) -> list[str]:
    """Return the environment variables of an argument, the one in the help first."""
    if not argument.parameter.show_env_var:
        return []
    return [PREFIX + name for name in map(_upper, argument.parameter.name or ()) if name]


def _unknown_variables(root: App, environment: Iterable[str]) -> list[str]:
    unknown = {
        name
        for name in environment
        if name.startswith(PREFIX)
        and not _OTHERS.fullmatch(name)
        and not _KUBERNETES.fullmatch(name)
    }
    known: set[str] = set()
    # `serve` comes first, and has most of them: the other commands take a tenth of a second to import.
    for name in root:
        if unknown and not name.startswith("-") and name != "sandbox":
            known.update(*map(variables, root[name].assemble_argument_collection()))
            unknown -= known
    return [
        f"{name} is in the environment, and is no setting{_hint(name, sorted(known | _OTHER_NAMES), PREFIX)}"
        for name in sorted(unknown)
    ]


def _settings_of(path: Path, known: dict[str, Argument]) -> list[tuple[str, str, Any]]:
    """Return the file and line, key and value of each setting of a file. Every key is one of `known`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        settings = tomllib.loads(text)
    except OSError as problem:
        raise CycloptsError(msg=f"Cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise CycloptsError(msg=f"{path} is not UTF-8") from None
    except tomllib.TOMLDecodeError as problem:
        raise CycloptsError(msg=f"{path} is not TOML: {problem}") from None
    except RecursionError:
        raise CycloptsError(msg=f"{path} is nested too deeply") from None
    except ValueError:  # an integer that Python does not convert
        raise CycloptsError(msg=f"{path} has a number with too many digits") from None
    by_name: dict[str, str] = {}
    placed: list[tuple[str, str, Any]] = []
    for key, value in settings.items():
        place = f"{path}{_line(text, key)}"
        argument = known.get(key)
        if argument is None:
            hint = _hint(key, sorted(known))
            raise CycloptsError(msg=f"{place}: {key} is no setting{hint}")
        if isinstance(value, dict):
            raise CycloptsError(msg=f"{place}: {key} must be a value, not a table")
        if other := by_name.get(argument.name):
            raise CycloptsError(msg=f"{place}: {other} and {key} are the same setting: keep one")
        by_name[argument.name] = key
        placed.append((place, key, value))
    return placed


def _line(text: str, key: str) -> str:
    """Return where a file has a key, as a suffix of its name; "" if that cannot be told."""
    name = re.escape(key)
    match = re.search(rf"""^[ \t]*\[*[ \t]*["']?{name}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
    return "" if match is None else f":{text.count(chr(10), 0, match.start()) + 1}"


def _hint(name: str, known: list[str], prefix: str = "") -> str:
    """Return a question for the most similar name, "" if none is similar. prefix: of all names."""
    names = [other.removeprefix(prefix) for other in known]
    near = get_close_matches(name.removeprefix(prefix), names, 1, 0.7)
    return f": did you mean {prefix}{near[0]}?" if near else ""


def _value(argument: Argument) -> str | None:
    return argument.tokens[0].value if argument.tokens else None


def _is_setting(argument: Argument) -> bool:
    """Return whether a file may set an argument: --settings, --check and --json are for one start."""
    return argument.parameter.show_env_var is not False and argument.name not in ("*", FILE_FLAG)


def keys(argument: Argument) -> list[str]:
    """Return the keys of an argument in a file: a flag's names, with _ or with - between words."""
    names = [name.removeprefix("--") for name in argument.parameter.name or ()]
    return [key for name in names for key in dict.fromkeys((name.replace("-", "_"), name))]


def _field(argument: Argument) -> str:
    return argument.name.removeprefix("--").replace("-", "_")


def _upper(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_").upper() if flag.startswith("--") else ""


def _require_whole_numbers(
    app: App, commands: tuple[str, ...], arguments: ArgumentCollection
) -> None:
    """Refuse a value that should be a whole number and is none: cyclopts would round 1.5.

    Raises:
        CycloptsError: There is such a value.
    """
    del app, commands
    for argument in arguments:
        is_integer = argument.hint is int or int in get_args(argument.hint)
        if is_integer and any(not _is_whole(token) for token in argument.tokens):
            source = _source(argument.tokens[0])
            place = f" ({argument.tokens[0].source})" if source.kind == "file" else ""
            raise CycloptsError(msg=f"{source.kind} {source.name} must be a whole number{place}")


SOURCES_OF_ALL: tuple[_Config, ...] = (Environment(PREFIX, command=False), _require_whole_numbers)
"""What every command gets its options from, as cyclopts asks it."""


def _is_whole(token: Token) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", token.value.strip(), re.ASCII) is not None


def _source(token: Token) -> Source:
    name = token.keyword or ""
    if token.source == "cli":
        return Source("flag", name)
    if token.source == "env":
        return Source("environment", name)
    return Source("file", name.strip("[]"))
