"""The answers of a batch in delivery, and the responses that carry them."""

from collections.abc import Iterator
from typing import NamedTuple

from ciosidecar_transform import Outcome

from ..delivery.outcomes import DELIVERED
from .details import Delivered
from .item_job import ItemJob, UnsentItem
from .results_encoder import ResultsEncoder
from .results_message import EncodedResults

_DELIVERED = 200


class Answers(NamedTuple):
    """Answers of a batch that are not written yet, by position."""

    answers: list[ItemJob | UnsentItem]
    are_last: bool
    """Whether the batch is complete with these."""


class Written(NamedTuple):
    """A response, and the events and bytes that are no longer outstanding once it is written."""

    response: EncodedResults
    events: int
    size: int


def encoded(
    encoder: ResultsEncoder,
    answers: list[ItemJob | UnsentItem],
    instead: Outcome | None,
    *,
    complete: bool,
) -> Iterator[EncodedResults]:
    """Yield the responses that carry answers. instead: the outcome of all; None: their own."""
    brief, add_status = encoder.brief, encoder.writer.answer
    for answer in answers:
        if instead is not None:
            encoder.answer(answer, instead)
        elif type(answer) is not ItemJob or answer.delivery is None:
            encoder.answer(answer, answer.outcome)
        elif (
            brief
            and answer.delivery is DELIVERED
            and answer.attempts == 1
            and not answer.outcome.warnings
        ):
            add_status(answer.position, _DELIVERED, 0)  # as the encoder does, some calls early
        else:
            encoder.answer(answer, answer.outcome, Delivered(answer, answer.delivery))
        if encoder.finished:
            yield from encoder.take()
    encoder.finish(complete=complete)
    yield from encoder.take()
