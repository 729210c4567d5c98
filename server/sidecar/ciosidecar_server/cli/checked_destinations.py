"""The destinations that `ciosidecar check` is asked about: from a config, a file, or a running sidecar."""

from pathlib import Path
from typing import NamedTuple

from ciosidecar import AsyncClient, Destination, v1
from ciosidecar_transform.settings.reader import SettingProblem

from ..destinations_file import FileDestination, read_destinations
from ..server_destinations import Known, read_known_defaults
from .files import read_file
from .outcome import EXIT_USAGE, Failed


class Subject(NamedTuple):
    """A destination to check."""

    ref: str
    """The name in the file; "" for a config."""
    destination: Destination | None = None
    problems: tuple[SettingProblem, ...] = ()
    """Why there is nothing to ask the sidecar about."""

    async def check(self, client: AsyncClient, *, probe: bool) -> v1.CheckDestinationResponse:
        """Return the sidecar's answer, or the problems of a destination that has none."""
        if self.destination is not None:
            return await client.check(self.destination, probe=probe)
        problems = [
            v1.SettingProblem(key=problem.key, message=problem.text, fatal=problem.fatal)
            for problem in self.problems
        ]
        return v1.CheckDestinationResponse(problems=problems)


def subjects(
    config: Path | None,
    destinations: Path | None,
    ref: str | None,
    defaults: Path | None,
    target: str | None,
) -> list[Subject]:
    """Return the destinations to check.

    Raises:
        Failed: The options contradict each other, or a file cannot be read.
        InvalidFile: A file of destinations has not the right shape.
    """
    known = Known(defaults=None if defaults is None else read_known_defaults(defaults))
    if config is not None:
        if destinations is not None or ref is not None:
            raise Failed("--config excludes --destinations and --ref", EXIT_USAGE)
        return [Subject("", Destination(known.effective(read_file(config))))]
    if destinations is not None:
        return _of_file(destinations, ref, known)
    if ref is None:
        raise Failed(
            "give --config FILE, --destinations FILE, or --ref REF with --target ADDRESS",
            EXIT_USAGE,
        )
    if target is None:
        raise Failed(
            "--ref needs --destinations FILE, or --target of a sidecar that knows it", EXIT_USAGE
        )
    return [Subject(ref, Destination.by_ref(ref))]


def _of_file(file: Path, ref: str | None, known: Known) -> list[Subject]:
    listed = read_destinations(file).destinations
    chosen = [destination for destination in listed if ref in (None, destination.ref)]
    if ref is not None and not chosen:
        raise Failed(f"{file} has no destination {ref}", EXIT_USAGE)
    return [_subject(destination, known) for destination in chosen]


def _subject(listed: FileDestination, known: Known) -> Subject:
    if listed.problems:
        return Subject(listed.ref, problems=tuple(listed.problems))
    return Subject(listed.ref, Destination(known.effective(listed.config_json), listed.ref))
