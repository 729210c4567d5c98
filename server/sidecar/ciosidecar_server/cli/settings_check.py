"""Refusal of settings with which `serve` could not run, before anything starts."""

from dataclasses import fields
from pathlib import Path

from ..addresses import UNIX, CannotListen, listenable
from ..server_destinations import ServerDestinations
from ..settings import Settings
from ..settings_validation import wrong_settings
from .files import read_file
from .outcome import EXIT_USAGE, Failed, say
from .settings_sources import SettingsSources


def refuse_wrong(settings: Settings, sources: SettingsSources) -> None:
    """End the command with the reasons, and exit code 2, if settings cannot work."""
    wrong = wrong_settings(settings)
    for name, reason in wrong:
        say(_sentence(sources, name, reason), "red")
    if wrong:
        raise SystemExit(EXIT_USAGE)


def _sentence(sources: SettingsSources, name: str, reason: str) -> str:
    source = sources.of(name)
    place = f" ({source})" if source.kind in ("environment", "file") else ""
    return f"--{name.replace('_', '-')}{place} {reason}"


def check_files(settings: Settings) -> None:
    """Check what needs more than the settings: that their files can be read, and addresses looked up.

    Raises:
        InvalidFile: A file of destinations cannot be used.
        Failed: A file cannot be read, or an address cannot be listened on.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Path):
            read_file(value)
    ServerDestinations(settings)
    protected = settings.insecure or settings.tls_cert is not None
    try:
        for address in settings.listen:
            # A socket may belong to the server that runs with the same settings.
            if not address.startswith(UNIX):
                listenable(address, protected=protected)
    except CannotListen as problem:
        raise Failed(str(problem), EXIT_USAGE) from None
