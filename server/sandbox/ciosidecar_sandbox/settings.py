"""Settings of the sandbox, with the same names as flags and in the environment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

DEFAULT_LISTEN = "127.0.0.1:8089"


class CannotStart(Exception):
    """The sandbox cannot start with its settings. The text says why and what to do."""


class UnusableSettings(CannotStart):
    """A setting has a value that no sandbox can have, or contradicts another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The settings of one sandbox."""

    listen: str = DEFAULT_LISTEN
    """Address to listen on: host:port. Port 0 takes any free port."""

    site_id: str | None = None
    """Site id to require, together with --api-key. Without the two, any credentials are accepted."""

    api_key: str | None = field(default=None, repr=False)
    """Track API key to require, together with --site-id."""

    region: Literal["us", "eu"] = "us"
    """Region of the workspace, which `ciosidecar check --probe` asks for."""

    keep: int = 100_000
    """Number of people, of objects, of events and of log rows to keep. The oldest are removed."""

    arrivals: bool = False
    """Keep every arrival of an operation, repeats included, for GET /sandbox/arrivals. --keep and --arrivals-bytes
    bound them."""

    arrivals_bytes: int = 268_435_456
    """Bytes of memory that the arrivals may take. The oldest are removed."""

    fault: str = ""
    """Faults to inject, each with its probability: 429=0.05,slow=0.01:2s,reset=0.01."""

    seed: int = 0
    """Seed of the choice which requests get which faults. The same seed repeats the same choice."""

    retry_after_s: float | None = None
    """Seconds in the Retry-After header of an injected 429. Without it, a 429 has no such header."""

    insecure: bool = False
    """Allow --listen with an address that is not loopback."""

    allow_host: tuple[str, ...] = ()
    """Host name to accept, beside localhost, IP addresses and the host of --listen. Repeatable."""

    tls_cert: Path | None = None
    """PEM file with the certificate chain; serves https instead of http. Needs --tls-key."""

    tls_key: Path | None = None
    """PEM file with the certificate's private key."""
