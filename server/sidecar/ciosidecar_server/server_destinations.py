"""Destinations that the server knows, and defaults for all destinations: read from files, and read again."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ciosidecar_transform import AnyDestination, SettingProblem, read_destination
from ciosidecar_transform.settings.defaults import Defaults, read_defaults
from ciosidecar_transform.settings.unread_keys import unread_keys

from .counted import counted
from .destinations_file import FileDestination, InvalidFile, read_config, read_destinations
from .settings import Settings
from .watching import FileWatch, report_fault
from .workers.lifeline import worker_number

_log = logging.getLogger(__name__)
_MAX_PROBLEMS = 10
_MAX_NOTES = 20


@dataclass(frozen=True, slots=True)
class ServerDestination:
    """A destination that callers name by ref."""

    destination: AnyDestination
    config_json: bytes = field(repr=False)
    """The settings as the dashboard's JSON, with defaults. Holds the credentials."""
    deliver_only: bool
    """Whether callers may only have requests delivered, and never see its credentials."""
    problems: list[SettingProblem]
    """Notes about its settings."""


class Known(NamedTuple):
    """What the files say, at one time."""

    destinations: Mapping[str, ServerDestination] = {}
    """By ref."""
    defaults: Defaults | None = None

    def effective(self, config_json: bytes) -> bytes:
        """Return the settings of a destination with the defaults of those that it lacks."""
        return config_json if self.defaults is None else self.defaults.apply(config_json)


class Note(NamedTuple):
    """A setting of the file that has no effect, or not the effect that it seems to have."""

    ref: str
    key: str
    text: str
    """Quotes no value."""

    def __str__(self) -> str:
        """Return the note as a sentence, which fits into a line whatever the key contains."""
        key = self.key if self.key.isprintable() else ascii(self.key)
        return f"destinations.{self.ref}: {key} {self.text}"


class Notes(NamedTuple):
    """The notes of one reading of the file."""

    shown: list[Note]
    """The first ones, 20 at most."""
    more: int
    """The number of the others."""

    def sentences(self) -> list[str]:
        """Return a sentence for each note, and one for those that are only counted."""
        told = [str(note) for note in self.shown]
        if self.more:
            told.append(
                f"{counted(self.more, 'more note')} about destinations: `ciosidecar check --destinations` prints them all"
            )
        return told


class _Reading(NamedTuple):
    """What one reading of the files results in."""

    known: Known
    referred: frozenset[Path] = frozenset()
    """The files that the file of destinations refers to."""
    notes: Notes = Notes([], 0)


class ServerDestinations:
    """The destinations and defaults of the server.

    The files are read again after a change, and on `reload`. If they cannot be used, those of the
    last time stay.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the files.

        Raises:
            InvalidFile: A file cannot be used.
        """
        self._files = (settings.destinations, settings.destination_defaults)
        self._referred: frozenset[Path] = frozenset()
        # Before the reading, which a change may come during.
        self._watch = FileWatch(self._paths(), self.reload)
        begun_ns = time.time_ns()
        self.known, self._referred, self.notes = _read(*self._files)
        """What the files said the last time that they could be used."""
        self._watch.replace(self._paths(), begun_ns)
        self._asked = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Log the notes, and begin to watch the files, in the running event loop."""
        self._log_notes()
        if any(self._files):
            self._reloading = asyncio.get_running_loop().create_task(self._reload_when_asked())
            self._watch.start()

    async def aclose(self) -> None:
        """Watch no more."""
        await self._watch.aclose()
        if self._reloading is not None:
            self._reloading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reloading

    def reload(self) -> None:
        """Read the files again soon."""
        self._asked.set()

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._reload()
            except Exception as fault:  # noqa: BLE001 - a fault must not end the reloading
                report_fault(fault)

    async def _reload(self) -> None:
        begun_ns = time.time_ns()
        try:
            # A file with thousands of destinations takes seconds to parse.
            reading = await asyncio.to_thread(_read, *self._files)
            self.known, self._referred, self.notes = reading
        except InvalidFile as problem:
            self._referred |= problem.paths
            _log.error("the destinations stay as they were: %s", problem)
        else:
            _log.info("the destinations were read again: %d", len(self.known.destinations))
            self._log_notes()
        self._watch.replace(self._paths(), begun_ns)

    def _log_notes(self) -> None:
        if worker_number() not in (None, 1):  # all workers read the same file
            return
        for sentence in self.notes.sentences():
            _log.warning("%s", sentence)

    def _paths(self) -> list[Path]:
        return [path for path in self._files if path is not None] + sorted(self._referred)


def _read(destinations: Path | None, defaults: Path | None) -> _Reading:
    """Read the files.

    Raises:
        InvalidFile: A file cannot be used.
    """
    known = Known(defaults=None if defaults is None else read_known_defaults(defaults))
    if destinations is None:
        return _Reading(known)
    file = read_destinations(destinations)
    by_ref: dict[str, ServerDestination] = {}
    wrong: list[str] = []
    notes: list[Note] = []
    more = 0
    for listed in file.destinations:
        checked = checked_destination(listed, known)
        if isinstance(checked, ServerDestination):
            by_ref[listed.ref] = checked
            own = _notes(listed.ref, checked)
            room = _MAX_NOTES - len(notes)
            notes += own[:room]
            more += len(own[room:])
        else:
            wrong += [_sentence(listed.ref, problem) for problem in checked if problem.fatal]
    if wrong:
        others = "" if len(wrong) <= _MAX_PROBLEMS else f" and {len(wrong) - _MAX_PROBLEMS} more"
        raise InvalidFile(f"{destinations}: {'; '.join(wrong[:_MAX_PROBLEMS])}{others}", file.paths)
    return _Reading(known._replace(destinations=by_ref), file.paths, Notes(notes, more))


def _notes(ref: str, usable: ServerDestination) -> list[Note]:
    """Return what `ciosidecar check` would say of a destination that can be used."""
    noted = [*usable.problems, *unread_keys(usable.config_json)]
    return [Note(ref, problem.key, problem.text) for problem in noted]


def checked_destination(
    listed: FileDestination, known: Known
) -> ServerDestination | list[SettingProblem]:
    """Return a destination of the file, or its problems if it cannot be used."""
    if listed.problems:
        return listed.problems
    config_json = known.effective(listed.config_json)
    destination, problems = read_destination(config_json)
    if destination is None:
        return problems
    return ServerDestination(destination, config_json, listed.deliver_only, problems)


def _sentence(ref: str, problem: SettingProblem) -> str:
    return f"destinations.{ref}: {problem.key} {problem.text}"


def read_known_defaults(path: Path) -> Defaults:
    """Return the defaults of a file.

    Raises:
        InvalidFile: The file cannot be used.
    """
    defaults, problems = read_defaults(read_config(path))
    if defaults is None:
        wrong = [f"{problem.key} {problem.text}" for problem in problems if problem.fatal]
        raise InvalidFile(f"{path}: {'; '.join(wrong[:_MAX_PROBLEMS])}")
    return defaults
