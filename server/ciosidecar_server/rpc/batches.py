"""One batch → its results, without holding up anybody else's."""

import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from ciosidecar.v1 import event_pb2 as pb

from ..settings import Settings
from ..transform import AnyDestination, BatchTransform, Outcome, Refused
from ..transform.result import refused
from .destinations import KnownDestinations
from .failures import ProtocolError
from .items import event_json
from .results import Response, ResultsWriter
from .turns import LARGE_BYTES, Turns, in_thread


async def answer_batch(
    batch: pb.Batch,
    known: KnownDestinations,
    settings: Settings,
    new_response: Callable[[], Response],
    max_receive_bytes: int | None,
) -> AsyncIterator[Response]:
    """The results of a batch, in order, in as few responses as fit.

    Raises ProtocolError for a batch of too many events.
    """
    check_size(batch, settings)
    items = batch.items
    writer = ResultsWriter(
        new_response,
        batch.batch_id,
        max_receive_bytes,
        lambda: transform.flush(),  # noqa: PLW0108 - each needs the other
    )
    transform = BatchTransform(int(time.time()), writer)
    max_event_bytes = settings.max_event_bytes
    default_number = known_number = batch.destination
    destination = known.get(known_number)
    default_connection = batch.connection
    connection_of = known.connections.get

    def outcome_of(
        position: int, item: pb.BatchItem, json: bytes, destination: AnyDestination
    ) -> Outcome:
        try:
            event = event_json(item, json, max_event_bytes)
        except Refused as refusal:
            return refused(refusal)
        return transform.add(
            position,
            event,
            destination,
            source_type=item.source_type,
            alone=item.dont_batch,
            connection=connection_of(item.connection or default_connection),
        )

    turns = Turns()
    for position, item in enumerate(items):
        if turns.over:
            for response in writer.finished:
                yield response
            writer.finished.clear()
            await turns.next()
        number = item.destination or default_number
        if number != known_number:
            known_number, destination = number, known.get(number)
        if isinstance(destination, Outcome):
            outcome = destination
        else:
            json = item.json
            if (len(json) or item.ByteSize()) > LARGE_BYTES:
                outcome = await in_thread(partial(outcome_of, position, item, json, destination))
            else:
                outcome = outcome_of(position, item, json, destination)
        writer.answer(outcome, item)
    transform.flush()
    writer.finish()
    for response in writer.finished:
        yield response


def check_size(batch: pb.Batch, settings: Settings) -> None:
    """Raises ProtocolError for a batch of too many events."""
    if len(batch.items) > settings.max_batch_events:
        raise ProtocolError(
            "batch.items",
            f"{len(batch.items)} events where a batch may hold {settings.max_batch_events}",
        )
