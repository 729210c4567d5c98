"""Outcomes, delivery reports and requests → Results messages that fit what the caller accepts."""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, NamedTuple, Protocol, TypeVar

from ciosidecar.v1 import result_pb2 as pb
from ciosidecar_transform import ErrorCode, EventRejected, Outcome, Request, RequestTemplate
from ciosidecar_transform.batching import envelope_bytes
from ciosidecar_transform.requests import SharedItem

from .details import Delivered, make_brief, new_detail
from .shared_requests import SharedRequests
from .sizes import PER_EVENT_BYTES, RESERVE_BYTES, template_bytes


class CarriesResults(Protocol):
    """A response that contains Results."""

    @property
    def results(self) -> pb.Results:
        """The results, filled in place: protobuf copies whatever is assigned."""


class Answered(Protocol):
    """An item that has its outcome."""

    @property
    def position(self) -> int:
        """The position of the item in its batch."""

    @property
    def tag(self) -> bytes:
        """The caller's tag of the item."""


Response = TypeVar("Response", bound=CarriesResults)


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


class ResultsEncoder(Generic[Response]):
    """An encoder of the results of one batch. If a response is full, the encoder begins another.

    A position, its detail and all its requests are in one message. A transform reserves room for
    the requests of an item before `answer` and adds them at any time until the message is closed.
    A delivery hands each item's request to `answer`.
    """

    def __init__(
        self, new_response: Callable[[], Response], batch_id: int, reporting: Reporting
    ) -> None:
        self._new_response = new_response
        self._batch_id = batch_id
        max_bytes = reporting.max_bytes
        self._max_bytes = None if max_bytes is None else max_bytes - RESERVE_BYTES
        self._one_message = reporting.one_message and max_bytes is not None
        # The last eighth holds the statuses and codes of all further items.
        self._full_bytes = 0 if max_bytes is None else max_bytes - max_bytes // 8
        self._detail_for_every_item = reporting.detail_for_every_item
        self._shared = SharedRequests(self.add) if reporting.include_requests else None
        self.flush_requests = _nothing if self._shared is None else self._shared.flush
        """Called before a message is closed: adds the requests that still take items."""
        self._finished: list[Response] = []
        self.hidden: Collection[RequestTemplate] = ()
        """Templates whose credentials the caller must not see."""
        self._begin()

    def _begin(self) -> None:
        self._response = self._new_response()
        self._results = results = self._response.results
        results.batch_id = self._batch_id
        self._positions: list[int] = []
        self._add_position = self._positions.append
        self._add_status = results.statuses.append
        self._add_request = results.requests.add
        self._templates: dict[RequestTemplate, int] = {}
        self._template_indexes: dict[Hashable, int] = {}
        self._reserved: set[RequestTemplate] = set()
        self._reserved_keys: set[Hashable] = set()
        self._size = 0
        self._has_room = False

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """Reserve room for the next item's request, or for its part of a shared one.

        Raises:
            EventRejected: TOO_LARGE, if no message can hold the request.
        """
        size += PER_EVENT_BYTES
        needed = size if template in self._reserved else size + self._new_template_bytes(template)
        if self._one_message and self._size + needed > self._full_bytes:
            raise EventRejected(ErrorCode.TOO_LARGE, "the result does not fit the response")
        if self._max_bytes is not None and self._size + needed > self._max_bytes:
            # In a message of its own the request needs its template, too.
            needed = size + template_bytes(template)
            if needed > self._max_bytes:
                raise EventRejected(
                    ErrorCode.TOO_LARGE, "the result does not fit the caller's max_receive_bytes"
                )
            self._split()
        if template not in self._reserved:
            self._reserved.add(template)
            self._reserved_keys.add(self._key(template))
        self._size += needed
        self._has_room = True

    def _new_template_bytes(self, template: RequestTemplate) -> int:
        """Return what a template adds to the message."""
        return 0 if self._key(template) in self._reserved_keys else template_bytes(template)

    def _key(self, template: RequestTemplate) -> Hashable:
        """Return what makes two templates equal: each prepared request has an object of its own."""
        if self._shared is None:
            return template
        headers = tuple(self._shown_headers(template).items())
        return template.method, template.base_url, template.endpoint_path, headers

    def add(self, request: Request, position: int | list[int]) -> None:
        """Add a complete request. position: of the item, or items, that the request covers."""
        index = self._templates.get(request.template)
        if index is None:
            index = self._add_template(request.template)
        positions = [position] if type(position) is int else position
        self._add_request(template=index, path=request.path, body=request.body, positions=positions)

    def _shown_headers(self, template: RequestTemplate) -> dict[str, str]:
        """Return the headers that the caller may see."""
        if template not in self.hidden:
            return template.headers
        return {name: text for name, text in template.headers.items() if name != "Authorization"}

    def _add_template(self, template: RequestTemplate) -> int:
        key = self._key(template)
        index = self._template_indexes.get(key)
        if index is None:
            index = self._template_indexes[key] = len(self._template_indexes)
            self._results.templates.add(
                method=template.method,
                base_url=template.base_url,
                endpoint_path=template.endpoint_path,
                headers=self._shown_headers(template),
            )
        self._templates[template] = index
        return index

    def answer(self, item: Answered, outcome: Outcome, delivered: Delivered | None = None) -> None:
        """Add the status of an item, a detail if the item is due one, and its delivered request."""
        detail = None
        detail_bytes = 0
        if (
            outcome.status != 200
            or outcome.warnings
            or self._detail_for_every_item
            or (delivered is not None and delivered.job.attempts > 1)
        ):
            most_bytes = None if self._max_bytes is None else self._max_bytes // 2
            detail = new_detail(item.position, item.tag, outcome, delivered, most_bytes)
            detail_bytes = detail.ByteSize() + PER_EVENT_BYTES
            if self._one_message and self._size + detail_bytes > self._full_bytes:
                make_brief(detail)
                detail_bytes = detail.ByteSize() + PER_EVENT_BYTES
        if delivered is not None and self._shared is not None:
            request = delivered.job.request
            if self._reserve_beside_detail(request, detail_bytes):
                detail_bytes = 0
                self._shared.add(request, item.position)
        if not self._has_room:
            self._make_room(PER_EVENT_BYTES + detail_bytes)
        elif detail_bytes:
            # Room for the request is reserved in this message; RESERVE_BYTES hold the detail.
            self._size += detail_bytes
        self._has_room = False
        self._add_status(outcome.status)
        self._add_position(item.position)
        if detail is not None:
            self._results.details.append(detail)

    def _reserve_beside_detail(self, request: Request | SharedItem, detail_bytes: int) -> bool:
        """Reserve room for a request and its item's detail; return False if no message has it."""
        size = len(request.body) + len(request.path) + detail_bytes
        if isinstance(request, SharedItem):
            size += envelope_bytes(request.template)
        try:
            self.reserve(request.template, size)
        except EventRejected:
            return False
        return True

    def _make_room(self, size: int) -> None:
        if self._max_bytes is not None and self._size + size > self._max_bytes:
            self._split()
        self._size += size

    def _split(self) -> None:
        if self._positions and not self._one_message:
            self._close()
            self._begin()

    def finish(self, *, complete: bool = True) -> None:
        """Close the last message. complete: whether every position of the batch is answered."""
        self._results.batch_complete = complete
        self._close()
        # The encoder and the transform refer to each other: without this they wait for gc.
        self.flush_requests = _nothing

    def _close(self) -> None:
        self.flush_requests()
        positions = self._positions
        if positions and positions[-1] - positions[0] + 1 != len(positions):
            self._results.positions.extend(positions)
        elif positions:
            self._results.first_position = positions[0]
        self._finished.append(self._response)

    def take(self) -> list[Response]:
        """Return the responses that are complete and in order, each once."""
        finished, self._finished = self._finished, []
        return finished


def _nothing() -> None:
    """Add no request: none is shared."""
