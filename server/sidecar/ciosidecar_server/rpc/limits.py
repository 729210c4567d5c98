"""The limits for callers, on the wire."""

from ciosidecar.v1 import service_pb2 as pb

from ..settings import Settings


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
