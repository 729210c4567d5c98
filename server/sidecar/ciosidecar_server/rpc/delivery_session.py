"""A stream that delivers: batches in, jobs out to Customer.io, results back as they come."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import NamedTuple

from ciosidecar.v1 import event_pb2, service_pb2
from ciosidecar_transform import EventRejected, Outcome, Request, transform_event
from ciosidecar_transform.ordering import OrderingKey, caller_key, operation_keys, request_keys
from ciosidecar_transform.outcomes import rejected
from ciosidecar_transform.pipeline import internal_error
from ciosidecar_transform.requests import BatchItem
from google.protobuf.duration_pb2 import Duration

from ..delivery import outcomes
from ..delivery.dispatcher import Dispatcher, workspace_key
from ..delivery.job import Job, Place
from ..delivery.prepared_requests import prepared_request
from ..settings import Settings
from .credit import Credit
from .decoding import check_attempt, event_json
from .delivered_results import MESSAGE_BYTES, BatchInWork, Reporting
from .destinations import KnownDestinations
from .resend_gate import ResendGate
from .transform_session import check_size
from .turns import LARGE_BYTES, Turns, in_thread

# Results of one batch gather for so long before they are written, unless they complete it.
_GATHER_S = 0.005
# So often a stream without credit looks for workspaces in trouble that hold too much of it.
_LOOK_S = 0.25


_AS_IT_IS = Outcome(200, [])


class _Read(NamedTuple):
    """What an item is: a request to deliver, or the outcome of what is not delivered."""

    outcome: Outcome
    request: Request | BatchItem | None = None
    keys: Collection[OrderingKey] = ()
    fingerprint: int = 0


class DeliverySession:
    """What one stream has in delivery. Its owner reads batches, and writes what comes back."""

    def __init__(
        self,
        delivery: Dispatcher,
        known: KnownDestinations,
        settings: Settings,
        options: service_pb2.DeliveryOptions,
        max_receive_bytes: int,
        write: Callable[[service_pb2.TransformStreamResponse], Awaitable[None]],
    ) -> None:
        """write: sends one response to the caller; raises if nobody is there."""
        self._dispatcher = delivery
        self._known = known
        self._settings = settings
        self._default_timeout_s = (
            _seconds(options.default_timeout)
            if options.HasField("default_timeout")
            else settings.delivery_timeout_s
        )
        self._reporting = Reporting(
            max_bytes=max_receive_bytes,
            detail_for_every_item=options.detail_level == service_pb2.DETAIL_LEVEL_ALL,
            include_requests=options.include_requests,
        )
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._resend_gate = ResendGate()
        self._batches: dict[BatchInWork, None] = {}
        self._answered: dict[BatchInWork, None] = {}
        self._credit = Credit(settings.max_outstanding_events, settings.max_outstanding_bytes)
        self._something_to_write = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._writing = self._loop.create_task(self._write_results())

    async def take(self, batch: event_pb2.Batch) -> None:
        """Puts a batch into delivery; returns when there is credit for another.

        Raises ProtocolError for a batch of too many events.
        """
        check_size(batch, self._settings)
        in_work = BatchInWork(self, batch)
        self._batches[in_work] = None
        # Whatever is sent costs: a batch without events has an answer that must be kept, too.
        self._credit.charge(max(1, len(batch.items)), in_work.size)
        if batch.items:
            in_work.expire_at(self._loop.time() + self._timeout_s(batch))
        else:
            self.answered(in_work)
        await self._submit(batch, in_work)
        while not self._credit.available:
            await self._until(lambda: self._credit.available, _LOOK_S)
            if not self._credit.available:
                self._make_room()

    def _timeout_s(self, batch: event_pb2.Batch) -> float:
        return _seconds(batch.timeout) if batch.HasField("timeout") else self._default_timeout_s

    def _make_room(self) -> None:
        """Send back what workspaces in trouble hold beyond their share of the credit."""
        alone = self._known.alone
        for workspace in self._credit.workspaces:
            report = workspace.held_back(alone=alone)
            if report is not None:
                workspace.send_back(self._credit.excess(workspace), report)

    async def finish(self) -> None:
        """Returns when everything is answered and written."""
        await self._until(lambda: not self._batches)

    @property
    def idle(self) -> bool:
        """Whether nothing is owed."""
        return not self._batches

    def abandon(self) -> "asyncio.Task[None]":
        """Nobody waits any more: what is not sent yet is not sent. Answers the task that ends."""
        for batch in self._batches:
            batch.abandon()
        self._batches.clear()
        if self._gathering is not None:
            self._gathering.cancel()
        self._writing.cancel()
        return self._writing

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait for a condition, or until the time is over. Raises what the writing of results failed with."""
        until = None if timeout_s is None else self._loop.time() + timeout_s
        while not condition():
            left_s = None if until is None else until - self._loop.time()
            if left_s is not None and left_s <= 0.0:
                return
            self._changed.clear()
            changed = self._loop.create_task(self._changed.wait())
            try:
                await asyncio.wait(
                    (changed, self._writing), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                changed.cancel()
            if self._writing.done():
                self._writing.result()

    async def _submit(self, batch: event_pb2.Batch, in_work: BatchInWork) -> None:
        now = int(time.time())
        turns = Turns()
        for position, item in enumerate(batch.items):
            if turns.over:
                await turns.next()
            json = item.json
            if item.WhichOneof("payload") == "prepared":
                read = partial(self._read_prepared, item)
            else:
                read = partial(self._read_event, item, json, batch, now)
            large = (len(json) or item.ByteSize()) > LARGE_BYTES
            found = await in_thread(read) if large else read()
            if found.request is None:
                in_work.answer(position, found.outcome)
                continue
            in_work.note(position, found.outcome)
            self._submit_call(position, item, in_work, found.request, found.keys, found.fingerprint)

    def _read_event(
        self, item: event_pb2.BatchItem, json: bytes, batch: event_pb2.Batch, now: int
    ) -> "_Read":
        destination = self._known.get(item.destination or batch.destination)
        if isinstance(destination, Outcome):
            return _Read(destination)
        try:
            event_bytes = event_json(item, json, self._settings.max_event_bytes)
        except EventRejected as refusal:
            return _Read(rejected(refusal))
        done = transform_event(
            event_bytes,
            destination,
            source_type=item.source_type,
            now=now,
            connection=self._known.connections.get(item.connection or batch.connection),
        )
        outcome, call, operation, event = done.outcome, done.request, done.operation, done.event
        if call is None or operation is None or event is None:
            return _Read(outcome)
        try:
            by_phone = destination.by_phone
            keys = _own_key(item) or operation_keys(operation, event, by_phone=by_phone)
        except Exception as fault:  # noqa: BLE001 - one event's fault is not the stream's
            return _Read(internal_error(fault, outcome.warnings))
        return _Read(outcome, call, keys, hash(event_bytes))

    def _read_prepared(self, item: event_pb2.BatchItem) -> "_Read":
        told = item.prepared
        try:
            check_attempt(item)
            call = prepared_request(
                told.method,
                told.url,
                told.endpoint_path,
                told.headers,
                told.body,
                self._dispatcher.endpoints,
            )
        except EventRejected as refusal:
            return _Read(rejected(refusal))
        keys = _own_key(item) or request_keys(call)
        return _Read(_AS_IT_IS, call, keys, hash((told.url, told.body)))

    def _submit_call(
        self,
        position: int,
        item: event_pb2.BatchItem,
        in_work: BatchInWork,
        call: Request | BatchItem,
        keys: Collection[OrderingKey],
        fingerprint: int,
    ) -> None:
        job = Job(
            call,
            keys,
            in_work.deadline,
            in_work,
            position,
            fingerprint,
            size=MESSAGE_BYTES + len(call.path) + len(call.body),
            alone=item.dont_batch,
            prepared=item.WhichOneof("payload") == "prepared",
        )
        job.arrival, cause = self._resend_gate.admit(
            workspace_key(call.template), keys, fingerprint, again=item.attempt > 0
        )
        self._credit.charge(0, job.size)
        if cause is not None:
            in_work.settled(job, outcomes.held(cause))
            return
        workspace = self._dispatcher.workspace(call.template)
        if self._credit.share_used(workspace):
            report = workspace.held_back(alone=self._known.alone)
            if report is not None:
                in_work.settled(job, report)
                return
        in_work.jobs.append(job)
        self._credit.hold(workspace, job)
        workspace.submit(job)

    def settled(self, job: Job) -> None:
        """Note that a job was answered: its workspace does not hold it any more."""
        if job.workspace is not None:
            self._credit.release(job.workspace, job)

    def hold(self, job: Job, place: Place) -> None:
        """A job failed and may be tried again: later ones of the same person wait for the caller."""
        workspace = workspace_key(job.request.template)
        self._resend_gate.add(workspace, job.keys, job.fingerprint, job.arrival, place)

    def answered(self, batch: BatchInWork) -> None:
        """There are results of a batch to write."""
        self._answered[batch] = None
        if batch.complete:
            self._something_to_write.set()
        elif self._gathering is None:
            self._gathering = self._loop.call_later(_GATHER_S, self._something_to_write.set)

    async def _write_results(self) -> None:
        while True:
            await self._something_to_write.wait()
            self._something_to_write.clear()
            if self._gathering is not None:
                self._gathering.cancel()
                self._gathering = None
            await self._write_answered()

    async def _write_answered(self) -> None:
        """Writes what is answered by now; with the call, all of it is gone."""
        batches, self._answered = self._answered, {}
        for batch in batches:
            # What came while others were written goes along.
            self._answered.pop(batch, None)
            complete = batch.complete
            for response, events, size in batch.take_responses(self._reporting):
                await self._write(response)
                self._credit.give_back(events, size)
            if complete:
                self._batches.pop(batch, None)
            self._changed.set()


def _own_key(item: event_pb2.BatchItem) -> set[OrderingKey]:
    """Return the caller's own ordering key, or nothing if the caller gives none."""
    return {caller_key(item.ordering_key)} if item.ordering_key else set()


def _seconds(duration: Duration) -> float:
    return max(0.0, duration.seconds + duration.nanos / 1e9)
