"""How a sandbox is set up: the same names as flags and in the environment."""

from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_LISTEN = "127.0.0.1:8089"


class CannotStart(Exception):
    """The sandbox cannot start as it was asked to; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The settings of one sandbox."""

    listen: str = DEFAULT_LISTEN
    """Address to listen on: host:port (port 0: any free one)."""

    site_id: str | None = None
    """Site id to insist on, together with the API key; without the two any are taken."""

    api_key: str | None = field(default=None, repr=False)
    """Track API key to insist on."""

    keep: int = 100_000
    """People, objects, events and rows of the log to keep; the oldest go."""

    fault: str = ""
    """Faults to inject, and how often: 429=0.05,slow=0.01:2s,reset=0.01."""

    seed: int = 0
    """Which requests get which faults: the same for the same seed."""

    retry_after_s: float | None = None
    """Seconds that a 429 fault asks to wait in Retry-After."""

    insecure: bool = False
    """Listen on other addresses than loopback too."""

    allow_host: tuple[str, ...] = ()
    """Name by which callers may call it, repeatable, beside localhost, addresses and --listen's host."""

    tls_cert: Path | None = None
    """File of PEM with a certificate chain, for clients that insist on https."""

    tls_key: Path | None = None
    """File of PEM with the certificate's key."""
