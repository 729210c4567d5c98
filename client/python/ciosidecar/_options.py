"""The options of streams and deliveries, checked, and as messages of the contract."""

from dataclasses import dataclass
from enum import Enum

from ciosidecar import v1
from ciosidecar._channel import MAX_MESSAGE_BYTES
from ciosidecar.affinity import Affinity

_MIN_RECEIVE_BYTES = 65_536
# The default of `ciosidecar serve --delivery-timeout-s`.
_SERVER_DELIVERY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """The options of a stream. Invalid values raise ValueError."""

    max_batch_events: int = 200
    """The maximum number of events in a message. The sidecar's own limit applies too."""
    max_batch_bytes: int = 1 << 20
    """The maximum size of the events in a message, except for a single larger event."""
    linger_s: float = 0.005
    """The time that an event waits for others to share its message."""
    max_outstanding_events: int = 10_000
    """The maximum number of outstanding events: sent, and their answers not taken. Beyond it,
    sending waits."""
    max_outstanding_bytes: int = 32 << 20
    """The maximum size of the outstanding events."""
    max_receive_bytes: int = 16 << 20
    """The largest message that the sidecar may send: 65,536 bytes to 64 MiB."""
    reconnect_for_s: float = 60.0
    """How long the stream tries to reconnect while no sidecar answers."""
    timeout_s: float | None = None
    """The time limit of the whole stream, after which it fails with DEADLINE_EXCEEDED. Defaults to
    none."""
    unordered: bool = False
    """True: answers are yielded as they arrive. False: in the order of their events."""
    affinity: Affinity | None = None
    """PERSON: the stream has a connection to each address of the client, and all events of a person
    go to one of them. Requires a client with several addresses. None: the stream is at one sidecar."""
    client_name: str = "ciosidecar-python"
    """The caller's name. The sidecar logs it when a stream opens and closes."""
    client_version: str = ""
    """The caller's release. The sidecar logs it with the name."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is out of range.
        """
        for name in (
            "max_batch_events",
            "max_batch_bytes",
            "max_outstanding_events",
            "max_outstanding_bytes",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("linger_s", "reconnect_for_s", "timeout_s"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative")
        if not _MIN_RECEIVE_BYTES <= self.max_receive_bytes <= MAX_MESSAGE_BYTES:
            raise ValueError(
                f"max_receive_bytes must be {_MIN_RECEIVE_BYTES} to {MAX_MESSAGE_BYTES}"
            )


class DetailLevel(Enum):
    """Which results of a delivery have a delivery report."""

    NOTABLE = "notable"
    """Results of events that were not delivered, were sent more than once, or have a warning."""
    ALL = "all"
    """All results."""


_DETAIL_LEVELS = {
    DetailLevel.NOTABLE: v1.DetailLevel.DETAIL_LEVEL_NOTABLE,
    DetailLevel.ALL: v1.DetailLevel.DETAIL_LEVEL_ALL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """The options of a delivery. Invalid values raise ValueError."""

    timeout_s: float | None = None
    """The time limit for the delivery of a batch, retries included. Defaults to the sidecar's own.
    Events that are not delivered by then fail with a retryable error."""
    detail_level: DetailLevel = DetailLevel.ALL
    """Which results have a delivery report. NOTABLE is faster."""
    include_requests: bool = False
    """If true, results contain the requests too."""

    def __post_init__(self) -> None:
        """Check the time limit.

        Raises:
            ValueError: The time limit is not above 0.
        """
        check_timeout(self.timeout_s)

    @classmethod
    def of(cls, deliver: "DeliveryOptions | bool") -> "DeliveryOptions | None":
        """Return the options: the default ones for True, None for False."""
        if isinstance(deliver, DeliveryOptions):
            return deliver
        return cls() if deliver else None

    @property
    def longest_delivery_s(self) -> float:
        """Return the time limit of the delivery: `timeout_s`, or the default of a sidecar."""
        return _SERVER_DELIVERY_TIMEOUT_S if self.timeout_s is None else self.timeout_s

    def to_proto(self) -> v1.DeliveryOptions:
        """Return the options as a message of the contract."""
        message = v1.DeliveryOptions(
            detail_level=_DETAIL_LEVELS[self.detail_level],
            include_requests=self.include_requests,
        )
        if self.timeout_s is not None:
            message.default_timeout.FromMilliseconds(round(self.timeout_s * 1000))
        return message


def check_timeout(timeout_s: float | None) -> None:
    """Check the time limit of a delivery.

    Raises:
        ValueError: The time limit is not above 0.
    """
    if timeout_s is not None and timeout_s <= 0:
        raise ValueError("timeout_s must be above 0, or None for the sidecar's own limit")


def open_request(
    options: StreamOptions, delivery: DeliveryOptions | None
) -> v1.TransformStreamRequest:
    """Return the first message of a stream."""
    request = v1.TransformStreamRequest()
    request.open.client_name = options.client_name
    request.open.client_version = options.client_version
    request.open.max_receive_bytes = options.max_receive_bytes
    if delivery is not None:
        request.open.delivery.CopyFrom(delivery.to_proto())
    return request
