"""What callers are held to, on the wire."""

from ciosidecar.v1 import service_pb2 as pb

from ..settings import Settings


def limits(settings: Settings, *, delivering: bool = False) -> pb.Limits:
    """The limits of a server with these settings. delivering: of a stream that delivers."""
    return pb.Limits(
        max_batch_events=settings.max_batch_events,
        max_message_bytes=settings.max_message_bytes,
        max_event_bytes=settings.max_event_bytes,
        # A stream that transforms has one batch in work; the next is read once its results are
        # written.
        max_outstanding_events=(
            settings.max_outstanding_events if delivering else settings.max_batch_events
        ),
        max_outstanding_bytes=(
            settings.max_outstanding_bytes if delivering else settings.max_message_bytes
        ),
        max_destinations=settings.max_destinations,
    )
