"""URLs that replace Customer.io's."""

from ..settings_validation import NOT_A_HOST_URL, is_host_url
from .outcome import EXIT_USAGE, Failed


def check_url(url: str | None, flag: str = "--customerio-url") -> None:
    """Check that a URL has a host and nothing else.

    Raises:
        Failed: It has more, or is no URL. The text does not contain it: it may have a password.
    """
    if url is not None and not is_host_url(url):
        raise Failed(f"{flag} {NOT_A_HOST_URL}", EXIT_USAGE)
