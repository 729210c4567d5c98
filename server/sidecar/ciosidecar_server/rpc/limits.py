"""The limits for callers, and the limit that a caller sets."""

from ciosidecar.v1 import service_pb2 as pb

from ..settings import Settings
from .errors import ProtocolError

MIN_RECEIVE_BYTES = 65_536
DEFAULT_RECEIVE_BYTES = 4_194_304


def limits(settings: Settings, *, delivering: bool = False) -> pb.Limits:
    """Return the limits of a server. delivering: whether they are for a stream with delivery."""
    return pb.Limits(
        max_batch_events=settings.max_batch_events,
        max_message_bytes=settings.max_message_bytes,
        max_event_bytes=settings.max_event_bytes,
        # A stream without delivery reads the next batch after it has written the results of the last.
        max_outstanding_events=(
            settings.max_outstanding_events if delivering else settings.max_batch_events
        ),
        max_outstanding_bytes=(
            settings.max_outstanding_bytes if delivering else settings.max_message_bytes
        ),
        max_destinations=settings.max_destinations,
    )


def receive_limit(opening: pb.OpenStream) -> int:
    """Return how many bytes a message to the caller of a stream may have.

    Raises:
        ProtocolError: the caller asks for less than MIN_RECEIVE_BYTES.
    """
    limit = opening.max_receive_bytes or DEFAULT_RECEIVE_BYTES
    if limit < MIN_RECEIVE_BYTES:
        raise ProtocolError("open.max_receive_bytes", f"must be at least {MIN_RECEIVE_BYTES}")
    return limit
