"""Outcomes and requests → Results messages that fit what the caller takes."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ciosidecar.v1 import event_pb2
from ciosidecar.v1 import result_pb2 as pb

from ..transform import ErrorCode, Outcome, Refused, Request, RequestTemplate
from ..transform.result import ErrorType, FilterReason, WarningCode
from .sizes import PER_EVENT_BYTES, RESERVE_BYTES, template_bytes


class CarriesResults(Protocol):
    """A response that has Results in it."""

    @property
    def results(self) -> pb.Results:
        """The results, filled in place: protobuf copies whatever is assigned."""


Response = TypeVar("Response", bound=CarriesResults)

ERROR_CODES = {code: pb.ErrorCode.Value(f"ERROR_CODE_{code}") for code in ErrorCode}
ERROR_TYPES = {kind: pb.ErrorType.Value(f"ERROR_TYPE_{kind}") for kind in ErrorType}
WARNING_CODES = {code: pb.WarningCode.Value(f"WARNING_CODE_{code}") for code in WarningCode}
FILTER_REASONS = {
    reason: pb.FilterReason.Value(f"FILTER_REASON_{reason}") for reason in FilterReason
}

MAX_TAG_BYTES = 4096
_MAX_WARNINGS = 16


class ResultsWriter(Generic[Response]):
    """Fills responses with the results of one batch, and starts another where one is full."""

    def __init__(
        self,
        new_response: Callable[[], Response],
        batch_id: int,
        max_bytes: int | None,
        before_split: Callable[[], None],
    ) -> None:
        """max_bytes: of one response; None: no limit.

        before_split: called before a response is closed early, to place what is still shared.
        """
        self._new_response = new_response
        self._batch_id = batch_id
        self._max_bytes = max_bytes - RESERVE_BYTES if max_bytes is not None else None
        self._before_split = before_split
        self.finished: list[Response] = []
        """Responses that are complete and in order."""
        self._next_position = 0
        self._start()

    def _start(self) -> None:
        self._response = self._new_response()
        self._results = results = self._response.results
        results.batch_id = self._batch_id
        results.first_position = self._next_position
        self._add_status = results.statuses.append
        self._add_request = results.requests.add
        self._templates: dict[RequestTemplate, int] = {}
        self._claimed: set[RequestTemplate] = set()
        self._size = 0
        self._has_claim = False

    def claim(self, template: RequestTemplate, size: int) -> None:
        """Makes room for one more request, or item of a shared one. Raises Refused(TOO_LARGE)."""
        size += PER_EVENT_BYTES
        known = template in self._claimed
        needed = size if known else size + template_bytes(template)
        if self._max_bytes is not None and self._size + needed > self._max_bytes:
            # In a message of its own the request needs its template, too.
            needed = size + template_bytes(template)
            if needed > self._max_bytes:
                raise Refused(
                    ErrorCode.TOO_LARGE, "the result does not fit the caller's max_receive_bytes"
                )
            self._split()
        self._claimed.add(template)
        self._size += needed
        self._has_claim = True

    def _split(self) -> None:
        self._before_split()
        self._finish_response()
        self._start()

    def place(self, request: Request, position: int | list[int]) -> None:
        """Adds a complete request."""
        template = request.template
        index = self._templates.get(template)
        if index is None:
            index = self._templates[template] = len(self._templates)
            add_template(self._results, template)
        positions = [position] if type(position) is int else position
        self._add_request(template=index, path=request.path, body=request.body, positions=positions)

    def answer(self, outcome: Outcome, item: event_pb2.BatchItem) -> None:
        """Adds the status of the next position, where the item stands, and a detail if one is due."""
        # An event that has claimed room stays where that is; its detail fits the reserve.
        if not self._has_claim and self._max_bytes is not None and self._size > self._max_bytes:
            self._split()
        self._has_claim = False
        self._add_status(outcome.status)
        if outcome.warnings or outcome.status != 200:
            self._size += self._add_detail(outcome, item.tag)
        self._next_position += 1

    def _add_detail(self, outcome: Outcome, tag: bytes) -> int:
        detail = self._results.details.add(position=self._next_position, tag=tag[:MAX_TAG_BYTES])
        fill_detail(detail, outcome)
        return detail.ByteSize() + PER_EVENT_BYTES

    def finish(self) -> None:
        """Closes the last response. All positions are then answered."""
        self._results.batch_complete = True
        self._finish_response()

    def _finish_response(self) -> None:
        self.finished.append(self._response)


def add_template(results: pb.Results, template: RequestTemplate) -> None:
    """Adds what requests of this template have in common."""
    results.templates.add(
        method=template.method,
        base_url=template.base_url,
        endpoint_path=template.endpoint_path,
        headers=template.headers,
    )


def fill_detail(detail: pb.EventDetail, outcome: Outcome) -> None:
    """Writes what an outcome has to say beside its status."""
    if outcome.error is not None:
        detail.error.code = ERROR_CODES[outcome.error.code]
        detail.error.type = ERROR_TYPES[outcome.error.type]
        detail.error.message = outcome.error.text
        detail.error.retryable = outcome.error.retryable
    for warning in outcome.warnings[:_MAX_WARNINGS]:
        detail.warnings.add(code=WARNING_CODES[warning.code], message=warning.text)
    if outcome.filtered is not None:
        detail.filter_reason = FILTER_REASONS[outcome.filtered]
