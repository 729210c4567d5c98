"""How a server is set up: the same names as flags, in the environment and in a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

DEFAULT_LISTEN = "127.0.0.1:50550"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server process."""

    listen: tuple[str, ...] = (DEFAULT_LISTEN,)
    """Address to listen on, repeatable: host:port (port 0: any free one), or unix:PATH."""

    tls_cert: Path | None = None
    """File of PEM with the server's certificate chain: TLS on every address but unix sockets."""

    tls_key: Path | None = None
    """File of PEM with the certificate's key."""

    tls_client_ca: Path | None = None
    """File of PEM with whom to believe; callers then need a certificate of theirs."""

    grace_s: Annotated[float, Parameter(alias="--grace")] = 10.0
    """Seconds that open streams get to finish after SIGTERM or Ctrl-C."""

    max_batch_events: int = 10_000
    """Events a batch may hold."""

    max_event_bytes: int = 1_048_576
    """Bytes one event may have."""

    max_message_bytes: int = 67_108_864
    """Bytes one gRPC message may have, either way."""

    max_destinations: int = 10_000
    """Destinations, and connections, that one stream or call may declare."""

    reflection: bool = True
    """Answer gRPC server reflection, which is how grpcurl finds its way."""

    log_level: str = "info"
    """debug, info, warning or error."""
