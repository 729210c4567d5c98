"""How a server is set up: the same names as flags, in the environment and in a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

_Count = Annotated[int, Parameter(validator=Number(gte=1))]
_Positive = Annotated[float, Parameter(validator=Number(gt=0))]

DEFAULT_LISTEN = "127.0.0.1:50550"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server process."""

    listen: tuple[str, ...] = (DEFAULT_LISTEN,)
    """Address to listen on, repeatable: host:port (port 0: any free one), or unix:PATH.

    One that other machines can reach needs TLS, or --insecure."""

    tls_cert: Path | None = None
    """File of PEM with the server's certificate chain: TLS on every address but unix sockets."""

    tls_key: Path | None = None
    """File of PEM with the certificate's key."""

    tls_client_ca: Path | None = None
    """File of PEM with whom to believe; callers then need a certificate of theirs."""

    insecure: bool = False
    """Listen without TLS on addresses that other machines can reach."""

    grace_s: Annotated[float, Parameter(alias="--grace", validator=Number(gte=0))] = 10.0
    """Seconds that open streams get to finish after SIGTERM or Ctrl-C."""

    max_batch_events: _Count = 10_000
    """Events a batch may hold."""

    max_event_bytes: _Count = 1_048_576
    """Bytes one event may have."""

    max_message_bytes: _Count = 67_108_864
    """Bytes one gRPC message may have, either way."""

    max_destinations: _Count = 10_000
    """Destinations, and connections, that one stream or call may declare."""

    max_outstanding_events: _Count = 10_000
    """Events of one delivering stream that may be unanswered before no more is read."""

    max_outstanding_bytes: _Count = 67_108_864
    """Bytes of one delivering stream that may be unanswered before no more is read."""

    delivery_rate: _Positive = 900.0
    """Requests a second that this process sends to one Customer.io workspace. Customer.io asks for
    at most 1,000 in all, its Pipelines and transactional sends included, and every sidecar counts
    its own: set each to what the others leave, divided by the number of sidecars."""

    delivery_concurrency: _Count = 100
    """Requests to one workspace that may be unanswered at a time."""

    delivery_timeout_s: _Positive = 60.0
    """Seconds the delivery of a batch may take, retries included, where its caller sets no other."""

    request_timeout_s: _Positive = 10.0
    """Seconds one request to Customer.io may take."""

    connect_timeout_s: _Positive = 5.0
    """Seconds that connecting to Customer.io may take, TLS included."""

    max_connections: _Count = 512
    """Connections to Customer.io, over all workspaces."""

    http2: bool = False
    """Offer HTTP/2 to Customer.io."""

    customerio_url: str | None = None
    """Deliver here in place of Customer.io: http://host:port, the sandbox's for instance."""

    customerio_eu_url: str | None = None
    """Deliver here what is meant for the EU region; --customerio-url if not given."""

    reflection: bool = True
    """Answer gRPC server reflection, which is how grpcurl finds its way."""

    log_level: str = "info"
    """debug, info, warning or error."""
