"""Refusal of settings with which `serve` could not run, before anything starts."""

from ..addresses import CannotListen
from ..credentials import Credentials
from ..listening import checked_addresses
from ..server_destinations import ServerDestinations
from ..settings import Settings
from ..telemetry.admin_address import OFF, parse
from .outcome import EXIT_USAGE, Failed


def check_files(settings: Settings) -> None:
    """Check what needs more than the settings: that their files can be used, and addresses looked up.

    Raises:
        InvalidFile: A file of destinations cannot be used.
        Failed: A file or an address cannot be used.
    """
    ServerDestinations(settings)
    try:
        checked_addresses(settings)
        Credentials(settings)
        if settings.admin_listen != OFF:
            parse(settings.admin_listen)
    except CannotListen as problem:
        raise Failed(str(problem), EXIT_USAGE) from None
