"""Outcomes, delivery reports and requests → Results messages that fit what the caller accepts."""

from collections.abc import Collection
from typing import NamedTuple

from ciosidecar_transform import ErrorCode, EventRejected, Outcome, Request, RequestTemplate
from ciosidecar_transform.batching import envelope_bytes
from ciosidecar_transform.requests import SharedItem

from .details import Delivered, make_brief, new_detail
from .results_message import NO_LIMIT, Answered, EncodedResults, NewResults, ResultsMessage
from .shared_requests import SharedRequests
from .sizes import PER_EVENT_BYTES, RESERVE_BYTES
from .templates import EncodedTemplate, EncodedTemplates, encode_template


class Reporting(NamedTuple):
    """What the results contain, and how large a message of results may be."""

    max_bytes: int | None = None
    """The size of one message; None: no limit."""
    detail_for_every_item: bool = False
    include_requests: bool = False
    """Whether the results contain the requests of delivered items."""
    one_message: bool = False
    """Whether all results are one message. If seven eighths are used, further requests, texts and tags are
    left out."""
    splits: bool = True
    """Whether results that do not fit one message have several. Otherwise they are `too_large`."""


class ResultsEncoder:
    """An encoder of the results of one batch. If a message is full, the encoder begins another.

    A position, its detail and all its requests are in one message. A transform reserves room for
    the requests of an item before `answer` and adds them at any time until the message is closed.
    A delivery hands each item's request to `answer`.
    """

    hidden: Collection[RequestTemplate] = ()
    """Templates whose credentials the caller must not see."""

    def __init__(
        self,
        new_results: NewResults,
        batch_id: int,
        reporting: Reporting,
        templates: EncodedTemplates,
    ) -> None:
        """Begin without items.

        Args:
            new_results: makes an empty message.
            batch_id: the caller's id of the batch.
            reporting: what the results contain.
            templates: the templates of the stream or call.
        """
        self._new_results = new_results
        max_bytes = reporting.max_bytes
        self._max_bytes = NO_LIMIT if max_bytes is None else max_bytes - RESERVE_BYTES
        self._one_message = reporting.one_message and max_bytes is not None
        # The last eighth holds the statuses and codes of all further items.
        self._full_bytes = (
            NO_LIMIT if max_bytes is None or not self._one_message else max_bytes - max_bytes // 8
        )
        self._splits = reporting.splits
        self._max_failures_bytes = None if max_bytes is None else self._max_bytes // 2
        self._message_bytes = min(self._max_bytes, self._full_bytes)
        self._templates = templates
        self._detail_for_every_item = reporting.detail_for_every_item
        self._includes_requests = reporting.include_requests
        self.brief = not (self._includes_requests or self._detail_for_every_item)
        """Whether an item that was accepted at once, without warnings, has a status alone."""
        self.finished: list[EncodedResults] = []
        """The messages that are complete, for `take`."""
        self.begin(batch_id)

    def begin(self, batch_id: int) -> None:
        """Begin with another batch, after `finish`. batch_id: its id."""
        self.too_large = False
        """Whether there are results that fit no message, because there is a message already."""
        self.closed_items = 0
        """The number of items in messages that are closed."""
        self.writer: ResultsMessage = self._new_results(
            batch_id, self._message_bytes, self, self._includes_requests
        )
        """The message under construction, to which a transform adds requests."""
        self._message = self.writer
        self._shared = SharedRequests(self._message.add) if self._includes_requests else None
        self.flush_requests = _nothing if self._shared is None else self._shared.flush
        """Called before a message is closed: adds the requests that still take items."""

    def encoded(self, template: RequestTemplate) -> EncodedTemplate:
        """Return a template as the caller may see it."""
        if template not in self.hidden:
            return self._templates.get(template)
        headers = {name: text for name, text in template.headers.items() if name != "Authorization"}
        return encode_template(template, headers)

    def reserve_beyond(self, template: RequestTemplate, size: int) -> None:
        """Reserve room for a request where the message has none.

        Raises:
            EventRejected: TOO_LARGE, if no message can hold the request.
        """
        message = self._message
        needed = message.needed(template, size)
        if message.size + needed > self._full_bytes:
            raise EventRejected(ErrorCode.TOO_LARGE, "the result does not fit the response")
        if message.size + needed > self._max_bytes:
            # In a message of its own the request needs its template, too.
            needed = size + PER_EVENT_BYTES + self.encoded(template).counted_bytes
            if needed > self._max_bytes:
                raise EventRejected(
                    ErrorCode.TOO_LARGE, "the result does not fit the caller's max_receive_bytes"
                )
            self._split()
            if self.too_large:
                raise EventRejected(ErrorCode.TOO_LARGE, "the results fit no message")
        message.take_room(template, needed)

    def answer(self, item: Answered, outcome: Outcome, delivered: Delivered | None = None) -> None:
        """Add the status of an item, a detail if the item is due one, and its delivered request."""
        if (
            outcome.status != 200
            or outcome.warnings
            or self._detail_for_every_item
            or (delivered is not None and (delivered.job.attempts > 1 or self._shared is not None))
        ):
            self._answer_in_full(item, outcome, delivered)
        else:
            self._message.answer(item.position, 200, 0)

    def _answer_in_full(
        self, item: Answered, outcome: Outcome, delivered: Delivered | None
    ) -> None:
        detail = None
        detail_bytes = 0
        if (
            outcome.status != 200
            or outcome.warnings
            or self._detail_for_every_item
            or (delivered is not None and delivered.job.attempts > 1)
        ):
            detail = new_detail(
                item.position, item.tag, outcome, delivered, self._max_failures_bytes
            )
            detail_bytes = detail.ByteSize() + PER_EVENT_BYTES
            if self._message.size + detail_bytes > self._full_bytes:
                make_brief(detail)
                detail_bytes = detail.ByteSize() + PER_EVENT_BYTES
        if delivered is not None and self._shared is not None:
            request = delivered.job.request
            if self._reserve_beside_detail(request, detail_bytes):
                detail_bytes = 0
                self._shared.add(request, item.position)
        # If room for a request is reserved in this message, RESERVE_BYTES hold the detail.
        self._message.answer(item.position, outcome.status, detail_bytes)
        if detail is not None:
            self._message.add_detail(detail)

    def _reserve_beside_detail(self, request: Request | SharedItem, detail_bytes: int) -> bool:
        """Reserve room for a request and its item's detail; return False if no message has it."""
        size = len(request.body) + len(request.path) + detail_bytes
        if isinstance(request, SharedItem):
            size += envelope_bytes(request.template)
        try:
            self._message.reserve(request.template, size)
        except EventRejected:
            return False
        return True

    def make_room(self, size: int) -> None:
        """Count the bytes of an item for which the message has no room."""
        if self._message.size + size > self._max_bytes:
            self._split()
        self._message.size += size

    def _split(self) -> None:
        if self._message.answered and not self._one_message:
            if not self._splits:
                self.too_large = True
                return
            self._close(complete=False)
            self._message.begin()

    def finish(self, *, complete: bool = True) -> None:
        """Close the last message. complete: whether every position of the batch is answered."""
        self._close(complete=complete)
        self.release()

    def release(self) -> None:
        """Forget the message under construction. Only `take` may follow."""
        # The encoder, its message and the transform refer to each other: without this they wait for gc.
        self.flush_requests = _nothing
        self._message.release()
        # A stream that waits for its caller holds no message.
        del self._message, self.writer
        self._shared = None

    def _close(self, *, complete: bool) -> None:
        self.flush_requests()
        response = self._message.close(complete=complete)
        self.finished.append(response)
        self.closed_items += response.events

    def take(self) -> list[EncodedResults]:
        """Return the messages that are complete and in order, each once."""
        finished, self.finished = self.finished, []
        return finished


def _nothing() -> None:
    """Add no request: none is shared."""
