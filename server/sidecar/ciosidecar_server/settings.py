"""Settings of the sidecar, with the same names as flags, in the environment and in a file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter


def _split_list(_type: object, text: str, **_options: object) -> list[str]:
    """Return the elements of a list in the environment: they are separated by commas or blanks."""
    return text.replace(",", " ").split()


def _group(name: str) -> Parameter:
    """Return what puts a setting into a group of the help, in the order in which groups are made."""
    return Parameter(group=Group.create_ordered(name))


_ACCESS = _group("Addresses and access")
_PROCESSES = _group("Processes")
_LIMITS = _group("Limits for callers")
_DELIVERY = _group("Delivery")
_DESTINATIONS = _group("Destinations")
_DIAGNOSTICS = _group("Diagnostics")

DEFAULT_LISTEN = "127.0.0.1:50550"
DEFAULT_ADMIN_LISTEN = "127.0.0.1:50549"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server process."""

    listen: Annotated[tuple[str, ...], Parameter(env_var_split=_split_list), _ACCESS] = (
        DEFAULT_LISTEN,
    )
    """Address to listen on: host:port, [IPv6]:port, unix:PATH or unix-abstract:NAME. Port 0 takes any free
    port. 0.0.0.0:port is all of IPv4, [::]:port and :port are all of IPv4 and IPv6. Repeatable. An address
    that other machines can reach needs TLS or --insecure."""

    tls_cert: Annotated[Path | None, _ACCESS] = None
    """PEM file with the server's certificate chain; enables TLS on every address except unix sockets. The
    files of TLS are read again when they change."""

    tls_key: Annotated[Path | None, _ACCESS] = None
    """PEM file with the certificate's private key."""

    tls_client_ca: Annotated[Path | None, _ACCESS] = None
    """PEM file with the CA certificates that client certificates must be signed by; enables mTLS."""

    auth_token_file: Annotated[Path | None, _ACCESS] = None
    """File with the bearer tokens that callers may present, one a line, of 16 characters or more. Every call
    but health needs one of them. Several tokens at a time allow rotation. The file is read again when it
    changes."""

    insecure: Annotated[bool, _ACCESS] = False
    """Allow --listen without TLS on addresses that other machines can reach."""

    socket_mode: Annotated[str | None, _ACCESS] = None
    """Permissions of unix sockets, in octal: 0660. Defaults to what the umask leaves, with --socket-group to
    0660."""

    socket_group: Annotated[str | None, _ACCESS] = None
    """Group that owns unix sockets, by name or number."""

    admin_listen: Annotated[str, _ACCESS] = DEFAULT_ADMIN_LISTEN
    """Address of the admin port: metrics, health and a page, over HTTP without TLS. host:port, or none. Port 0
    takes any free port."""

    workers: Annotated[int, _PROCESSES] = 1
    """Number of processes, each with addresses of its own: worker 2 has the next port, and each has a suffix of a
    socket's path: PATH-1, PATH-2."""

    worker_start_timeout_s: Annotated[float, _PROCESSES] = 60.0
    """Seconds that a worker has from its start until it is ready. One that takes longer is killed: the first time that
    ends the start with exit code 1, later the worker is started again. Without --workers there is no such limit."""

    grace_s: Annotated[float, Parameter(alias="--grace"), _PROCESSES] = 10.0
    """Seconds that open streams have to finish after SIGTERM or Ctrl-C."""

    max_batch_events: Annotated[int, _LIMITS] = 10_000
    """Limit of the events in one batch."""

    max_event_bytes: Annotated[int, _LIMITS] = 1_048_576
    """Limit of the bytes of one event."""

    max_message_bytes: Annotated[int, _LIMITS] = 67_108_864
    """Limit of the bytes of one gRPC message, in either direction."""

    max_destinations: Annotated[int, _LIMITS] = 10_000
    """Limit of the destinations, and of the source connections, that one stream or call may declare."""

    max_outstanding_events: Annotated[int, _LIMITS] = 10_000
    """Number of unanswered events at which the server stops reading a delivering stream."""

    max_outstanding_bytes: Annotated[int, _LIMITS] = 67_108_864
    """Bytes of unanswered events at which the server stops reading a delivering stream."""

    connection_idle_s: Annotated[float, _LIMITS] = 600.0
    """Seconds after which a caller's connection without a call is closed, 1 or more. gRPC's clients connect again by
    themselves. A connection whose HTTP/2 preface is not there within 10 seconds is closed in any case."""

    max_unary_bytes: Annotated[int, _LIMITS] = 67_108_864
    """Bytes of the unary calls Transform and Deliver that the server works on at a time, with 512 more for each
    event. A call beyond it fails with RESOURCE_EXHAUSTED, and nothing of it is sent. A call alone is always accepted."""

    delivery: Annotated[bool, _DELIVERY] = True
    """Deliver requests, and ask Customer.io about credentials, for callers that want it. Without it
    the server connects to no other machine, unless OTEL_EXPORTER_OTLP_ENDPOINT names one for traces."""

    delivery_rate: Annotated[float, _DELIVERY] = 900.0
    """Limit of the requests a second that this sidecar sends to one Customer.io workspace, shared by its
    workers. Customer.io asks for at most 1,000, Pipelines and transactional messages included. Each
    sidecar counts only its own requests: divide what other senders leave by the number of sidecars. With
    --rate-store it is the limit of all sidecars together."""

    rate_store: Annotated[str | None, _DELIVERY] = field(default=None, repr=False)
    """URL of the Redis in which several sidecars keep the rate of a workspace together: redis://host:port/0,
    rediss://host:port/0 or unix:///path. Needs the extra rate-store. Set a URL with a password in the environment
    or in the file of --settings: other users of a machine can read flags."""

    replicas: Annotated[int | None, _DELIVERY] = None
    """Number of sidecars that share --delivery-rate through --rate-store. While the store is away, each keeps to
    its share. Needs --rate-store. Defaults to the number that was last seen in the store. The greater of the two
    counts."""

    delivery_concurrency: Annotated[int, _DELIVERY] = 100
    """Limit of the concurrent requests to one workspace, shared by the workers."""

    delivery_timeout_s: Annotated[float, _DELIVERY] = 60.0
    """Seconds that the delivery of a batch may take, retries included, unless the caller sets it."""

    request_timeout_s: Annotated[float, _DELIVERY] = 10.0
    """Seconds that one request to Customer.io may take."""

    connect_timeout_s: Annotated[float, _DELIVERY] = 5.0
    """Seconds that connecting to Customer.io may take, TLS included."""

    max_connections: Annotated[int, _DELIVERY] = 512
    """Limit of the connections to Customer.io, for all workspaces together, shared by the workers."""

    http2: Annotated[bool, _DELIVERY] = False
    """Offer HTTP/2 to Customer.io."""

    customerio_url: Annotated[str | None, _DELIVERY] = None
    """URL to deliver to instead of Customer.io: http://host:port, for example the sandbox's URL."""

    customerio_eu_url: Annotated[str | None, _DELIVERY] = None
    """URL to deliver to instead of Customer.io's EU region. Defaults to --customerio-url."""

    destinations: Annotated[Path | None, _DESTINATIONS] = None
    """TOML or JSON file with destinations that callers name by ref, without their settings. It is read
    again when it changes, and on SIGHUP."""

    destination_defaults: Annotated[Path | None, _DESTINATIONS] = None
    """TOML or JSON file with settings that hold for every destination which does not set them itself."""

    reflection: Annotated[bool, _DIAGNOSTICS] = True
    """Offer gRPC server reflection, which tools such as grpcurl use."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], _DIAGNOSTICS] = "info"
    """Least level of log lines."""

    log_format: Annotated[Literal["auto", "json", "console"], _DIAGNOSTICS] = "auto"
    """Format of log lines. auto: console if stderr is a terminal, else JSON."""

    metrics_destinations: Annotated[int, _DIAGNOSTICS] = 100
    """Limit of the destinations that metrics tell apart. The others share the label other."""

    tap_bodies: Annotated[bool, _DIAGNOSTICS] = False
    """Let `ciosidecar tap` show the bodies of requests, which are personal data."""

    core_dumps: Annotated[bool, _DIAGNOSTICS] = False
    """Leave to the system whether a crash writes a core file. Such a file has events and keys in it. Without this,
    the limit of core files is 0."""
