"""What became of a batch in delivery → Results messages, as its items are answered."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ciosidecar.v1 import event_pb2, service_pb2
from ciosidecar.v1 import result_pb2 as pb

from ..delivery.answers import Failure
from ..delivery.job import Job, Place, Report
from ..delivery.workspace import Workspace
from ..transform import Outcome, Warning
from ..transform.packing import OpenRequest, envelope_bytes
from ..transform.request import BatchItem, Request, RequestTemplate
from .results import MAX_TAG_BYTES, add_template, fill_detail
from .sizes import PER_EVENT_BYTES, RESERVE_BYTES, template_bytes

if TYPE_CHECKING:
    from .delivering import DeliveringStream


MESSAGE_BYTES = 512
"""What a batch, or a job, takes beside its bytes."""


class Reporting(NamedTuple):
    """How a stream's results are told."""

    max_bytes: int
    """Of one message."""
    detail_for_every_item: bool
    include_requests: bool


_TemplateKey = tuple[str, str, str, tuple[tuple[str, str], ...]]


def _template_key(template: RequestTemplate) -> _TemplateKey:
    """By what it says: prepared requests have a template each."""
    headers = tuple(template.headers.items())
    return template.method, template.base_url, template.endpoint_path, headers


class _Answer(NamedTuple):
    position: int
    outcome: Outcome
    job: Job | None = None
    report: Report | None = None


class BatchInWork:
    """A batch of which some items are not answered yet."""

    def __init__(self, stream: "DeliveringStream", batch: event_pb2.Batch) -> None:
        self.stream = stream
        self.batch_id = batch.batch_id
        self._unanswered = len(batch.items)
        self._tags = {position: item.tag for position, item in enumerate(batch.items) if item.tag}
        self._warnings: dict[int, list[Warning]] = {}
        self._answers: list[_Answer] = []
        self._timer: asyncio.TimerHandle | None = None
        self.size = MESSAGE_BYTES + sum(map(len, self._tags.values()))
        """Bytes of credit that the batch holds beside its jobs until it is complete."""
        self.deadline = 0.0
        self.jobs: list[Job] = []

    @property
    def complete(self) -> bool:
        """Whether every item has its answer."""
        return self._unanswered == 0

    def expire_at(self, deadline: float) -> None:
        """Set when delivery of the batch must be over."""
        self.deadline = deadline
        self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Answer what is not answered yet: the time is over."""
        for workspace, jobs in self._by_workspace():
            workspace.expire(jobs)

    def abandon(self) -> None:
        """Forget everything: nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
        for workspace, jobs in self._by_workspace():
            workspace.forget(jobs)

    def _by_workspace(self) -> Iterable[tuple[Workspace, list[Job]]]:
        found: dict[Workspace, list[Job]] = {}
        for job in self.jobs:
            if job.workspace is not None:
                found.setdefault(job.workspace, []).append(job)
        return found.items()

    def note(self, position: int, outcome: Outcome) -> None:
        """What the transform said of an item that is to be delivered."""
        if outcome.warnings:
            self._warnings[position] = outcome.warnings

    def answer(self, position: int, outcome: Outcome) -> None:
        """An item that is not delivered: filtered or refused."""
        self._add(_Answer(position, outcome))

    def settled(self, job: Job, report: Report) -> None:
        """An item that was delivered, or not."""
        self.stream.settled(job)
        if report.error is not None and report.error.retryable:
            self.stream.hold(job, Place(self.batch_id, job.position))
        warnings = self._warnings.pop(job.position, None)
        if report.warnings:
            warnings = [*(warnings or ()), *report.warnings]
        outcome = Outcome(report.status, warnings or [], report.error)
        self._add(_Answer(job.position, outcome, job, report))

    def place(self, job: Job) -> Place | None:
        """Where a job of the same stream came from."""
        owner = job.owner
        if isinstance(owner, BatchInWork) and owner.stream is self.stream:
            return Place(owner.batch_id, job.position)
        return None

    def _add(self, answer: _Answer) -> None:
        self._answers.append(answer)
        self._unanswered -= 1
        if self._unanswered == 0 and self._timer is not None:
            self._timer.cancel()
        self.stream.answered(self)

    def take_responses(
        self, reporting: Reporting
    ) -> Iterator[tuple[service_pb2.TransformStreamResponse, int, int]]:
        """Yield the answers since the last time, in as few responses as fit.

        With each the credit that comes back with it, in events and bytes.
        """
        answers, self._answers = sorted(self._answers, key=lambda one: one.position), []
        complete = self.complete
        while answers or complete:
            response = service_pb2.TransformStreamResponse()
            told = _Message(response.results, reporting, self._tags).tell(answers)
            positions = [one.position for one in answers[:told]]
            size = sum(one.job.size for one in answers[:told] if one.job is not None)
            del answers[:told]
            response.results.batch_id = self.batch_id
            if positions and positions[-1] - positions[0] + 1 == len(positions):
                response.results.first_position = positions[0]
            else:
                response.results.positions.extend(positions)
            last = response.results.batch_complete = complete and not answers
            # An empty batch has cost as much as one event.
            yield response, told or 1, size + (self.size if last else 0)
            if not answers:
                return


class _Message:
    """One Results message that is being filled."""

    def __init__(self, results: pb.Results, reporting: Reporting, tags: dict[int, bytes]) -> None:
        self._results = results
        self._reporting = reporting
        self._tags = tags
        self._size = 0
        self._max_bytes = reporting.max_bytes - RESERVE_BYTES
        self._claimed: set[_TemplateKey] = set()
        self._templates: dict[_TemplateKey, int] = {}

    def tell(self, answers: list[_Answer]) -> int:
        """Adds as many answers as fit, one at least; says how many."""
        told = 0
        jobs = []
        for answer in answers:
            size = PER_EVENT_BYTES
            details = self._results.details
            if self._says_more(answer):
                size += self._add_detail(answer)
            job = answer.job if self._reporting.include_requests else None
            if job is not None:
                request_bytes = self._request_bytes(job)
                if size + request_bytes > self._max_bytes:
                    job = None  # no message of the caller's could hold it
                else:
                    size += request_bytes
            if told and self._size + size > self._max_bytes:
                if details and details[-1].position == answer.position:
                    del details[-1]
                break
            self._results.statuses.append(answer.outcome.status)
            self._size += size
            if job is not None:
                self._claimed.add(_template_key(job.call.template))
                jobs.append(job)
            told += 1
        self._add_requests(jobs)
        return told

    def _says_more(self, answer: _Answer) -> bool:
        outcome, job = answer.outcome, answer.job
        return (
            outcome.status != 200
            or bool(outcome.warnings)
            or self._reporting.detail_for_every_item
            or (job is not None and job.attempts > 1)
        )

    def _add_detail(self, answer: _Answer) -> int:
        """Adds what there is to say beside the status; how many bytes that takes."""
        position, outcome, job, report = answer
        detail = self._results.details.add(position=position)
        detail.tag = self._tags.get(position, b"")[:MAX_TAG_BYTES]
        fill_detail(detail, outcome)
        if job is not None and report is not None:
            delivery = detail.delivery
            delivery.attempts = job.attempts
            delivery.http_status = report.http_status
            delivery.reason = report.reason
            delivery.field = report.field
            if job.attempts:
                delivery.latency.FromMilliseconds(
                    round((job.answered_at - job.first_sent_at) * 1000)
                )
            self._add_failed_items(delivery, report.failed_items)
            if report.retry_after_s is not None:
                detail.error.retry_after.FromMilliseconds(round(report.retry_after_s * 1000))
            if report.blocked_by is not None:
                detail.error.blocked_by.batch_id = report.blocked_by.batch_id
                detail.error.blocked_by.position = report.blocked_by.position
        return detail.ByteSize() + PER_EVENT_BYTES

    def _add_failed_items(self, delivery: pb.DeliveryReport, failures: Sequence[Failure]) -> None:
        """Which items failed is always told, and why while half of the message has room for it."""
        bytes_left = self._max_bytes // 2
        for failure in failures:
            item = delivery.failed_items.add(
                index=failure.item or 0, reason=failure.reason, field=failure.field
            )
            bytes_left -= item.ByteSize()
            if bytes_left < 0:
                item.reason = item.field = ""

    def _request_bytes(self, job: Job) -> int:
        call = job.call
        size = len(call.body) + len(call.path) + PER_EVENT_BYTES
        if isinstance(call, BatchItem):
            size += envelope_bytes(call.template)
        if _template_key(call.template) not in self._claimed:
            size += template_bytes(call.template)
        return size

    def _add_requests(self, jobs: list[Job]) -> None:
        """The jobs' requests: items that may share one do, whatever they shared on the way."""
        shared: dict[tuple[str, str], tuple[OpenRequest, list[int]]] = {}
        for job in jobs:
            call = job.call
            if isinstance(call, Request):
                self._add_request(call, [job.position])
                continue
            key = (call.template.endpoint_path, call.path)
            found = shared.get(key)
            if found is not None and not found[0].takes(call):
                self._add_request(found[0].request(), found[1])
                found = None
            if found is None:
                found = shared[key] = (OpenRequest(call.template, call.path), [])
            found[0].add(call)
            found[1].append(job.position)
        for request, positions in shared.values():
            self._add_request(request.request(), positions)

    def _add_request(self, request: Request, positions: list[int]) -> None:
        template = request.template
        key = _template_key(template)
        index = self._templates.get(key)
        if index is None:
            index = self._templates[key] = len(self._templates)
            add_template(self._results, template)
        self._results.requests.add(
            template=index, path=request.path, body=request.body, positions=positions
        )
