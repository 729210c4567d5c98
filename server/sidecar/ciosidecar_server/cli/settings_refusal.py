"""Refusal of settings that cannot work, by their values alone. Imports no gRPC: the parent of workers uses it."""

from ..rate_store.opening import problem_of
from ..settings import Settings
from ..settings_validation import WrongSetting, wrong_settings
from .outcome import EXIT_USAGE, say
from .settings_sources import SettingsSources


def refuse_wrong(settings: Settings, sources: SettingsSources) -> None:
    """End the command with the reasons, and exit code 2, if settings cannot work."""
    wrong = wrong_settings(settings)
    if not wrong and (problem := problem_of(settings)) is not None:
        wrong = [WrongSetting("rate_store", problem)]
    for name, reason in wrong:
        say(_sentence(sources, name, reason), "red")
    if wrong:
        raise SystemExit(EXIT_USAGE)


def _sentence(sources: SettingsSources, name: str, reason: str) -> str:
    source = sources.of(name)
    place = f" ({source})" if source.kind in ("environment", "file") else ""
    return f"--{name.replace('_', '-')}{place} {reason}"
