"""Refusal of settings with which `serve` could not run, before anything starts."""

from ..addresses import CannotListen
from ..credentials import Credentials
from ..listening import checked_addresses
from ..server_destinations import Notes, ServerDestinations
from ..settings import Settings
from ..telemetry.admin_address import OFF, parse
from ..workers.shares import settings_of_workers
from .outcome import EXIT_USAGE, Failed


def check_files(settings: Settings) -> Notes:
    """Check what needs more than the settings: that their files can be used, and addresses looked up.

    Ports are not tried.

    Returns:
        Notes about the destinations of the server.

    Raises:
        InvalidFile: A file of destinations cannot be used.
        Failed: A file or an address cannot be used.
    """
    notes = ServerDestinations(settings).notes
    try:
        for addresses_of_one in _processes(settings):
            checked_addresses(addresses_of_one)
        Credentials(settings)
        if settings.admin_listen != OFF:
            parse(settings.admin_listen)
    except CannotListen as problem:
        raise Failed(str(problem), EXIT_USAGE) from None
    return notes


def _processes(settings: Settings) -> list[Settings]:
    """Return the settings of each process that would listen.

    Raises:
        CannotListen: Two of them, or one and the admin port, would have the same address.
    """
    if settings.workers > 1:
        return settings_of_workers(settings)
    if settings.admin_listen in settings.listen and not settings.admin_listen.endswith(":0"):
        raise CannotListen(
            f"--listen and --admin-listen are both {settings.admin_listen}: give the admin port another one"
        )
    return [settings]
