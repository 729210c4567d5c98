"""What callers are held to, on the wire."""

from ciosidecar.v1 import service_pb2 as pb

from ..settings import Settings


def limits(settings: Settings) -> pb.Limits:
    """The limits of a server with these settings."""
    return pb.Limits(
        max_batch_events=settings.max_batch_events,
        max_message_bytes=settings.max_message_bytes,
        max_event_bytes=settings.max_event_bytes,
        # A stream has one batch in work; the next is read once its results are written.
        max_events_in_flight=settings.max_batch_events,
        max_bytes_in_flight=settings.max_message_bytes,
        max_destinations=settings.max_destinations,
    )
