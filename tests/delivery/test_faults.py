"""Faults of the sidecar's own while it accepts and submits a batch: they cost that batch's items at most, never a stream."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import HANGS_AFTER_S
from tests.fake_customerio import HOLD, OK, FakeCustomerio, fake_customerio
from tests.processes import Server, server
from tests.telemetry.support import metrics_of

SECRET = "the secret"
# Each program raises an exception in a server, at jobs of the person "cursed" where it sees jobs.
_BEGIN = f"""
from ciosidecar_server.delivery.ordering import OrderingGraph
from ciosidecar_server.delivery.settlement import Settlement
from ciosidecar_server.delivery.workspace_queue import WorkspaceQueue
from ciosidecar_server.rpc import delivery_worker
from ciosidecar_server.rpc.counting import EventCounts
from ciosidecar_server.rpc.delivery_batch import DeliveryBatch
from ciosidecar_server.rpc.delivery_worker import DeliveryWorker
from ciosidecar_server.rpc.flow_control import FlowControl
from ciosidecar_server.rpc.resend_gate import ResendGate

def fail_if(cursed):
    if cursed:
        raise ValueError({SECRET!r})

def is_cursed(job):
    return "cursed" in job.request.path

def before(owner, name, cursed):
    method = getattr(owner, name)
    def faulty(*arguments, **options):
        fail_if(cursed(*arguments))
        return method(*arguments, **options)
    setattr(owner, name, faulty)

def after(owner, name, cursed):
    method = getattr(owner, name)
    def faulty(*arguments, **options):
        result = method(*arguments, **options)
        fail_if(cursed(*arguments))
        return result
    setattr(owner, name, faulty)

def any_cursed(owner, jobs):
    return any(map(is_cursed, jobs))

# What is freed was outstanding before: else the stream would take more than its limits from now on.
after(FlowControl, 'remove', lambda self, *_: self._events < 0 or self._bytes < 0)

failed = []

def once(owner, jobs):
    cursed = not failed and any_cursed(owner, jobs)
    failed.extend([True] * cursed)
    return cursed
"""
_OF_AN_ITEM = "lambda self, item, job: b'cursed' in getattr(item, 'event', b'')"
_FAULTS = {
    "before an item is accepted": f"before(DeliveryBatch, 'accept', {_OF_AN_ITEM})",
    "after an item is accepted": f"after(DeliveryBatch, 'accept', {_OF_AN_ITEM})",
    "before a turn is submitted": "before(DeliveryWorker, 'submit', lambda self, batch, jobs, size: any_cursed(None, jobs))",
    "sorting by workspace": "before(delivery_worker, 'by_workspace', lambda jobs: any_cursed(None, jobs))",
    "the place in the order": "before(ResendGate, 'number', lambda self, events: True)",
    "before jobs are counted": "before(FlowControl, 'count', lambda self, workspace, jobs: any_cursed(None, jobs))",
    "before jobs are queued": "before(WorkspaceQueue, 'submit', any_cursed)",
    "before jobs are in order": "before(OrderingGraph, 'enqueue', any_cursed)",
    "after jobs are in order": "after(OrderingGraph, 'enqueue', any_cursed)",
    "after jobs are queued": "after(WorkspaceQueue, 'submit', any_cursed)",
    "the end of a message": "before(WorkspaceQueue, 'message_submitted', lambda self: any_cursed(self, self._jobs))",
    "what follows a failure": "before(DeliveryWorker, 'jobs_settled', lambda self, batch, jobs, outcome: any_cursed(self, jobs))",
}  # fmt: skip
EVERY_JOB = "'number'"
"""The fault of a program with it is not that of cursed jobs alone."""
INTERNAL, BLOCKED = v1.ErrorCode.ERROR_CODE_INTERNAL, v1.ErrorCode.ERROR_CODE_BLOCKED
Details = dict[int, v1.EventDetail | None]
PEOPLE = ("u0", "u1", "cursed", "u0", "u1", "u2")
pytestmark = pytest.mark.timeout(200)


@pytest.fixture
async def customerio() -> AsyncIterator[FakeCustomerio]:
    """A Customer.io that accepts everything."""
    async with fake_customerio() as running:
        yield running


def faulty(folder: Path, program: str, customerio: FakeCustomerio, *more: str) -> Any:
    """A server in which a program runs first. It reads on only once two batches' results are written."""
    folder.joinpath("sitecustomize.py").write_text(f"{_BEGIN}\n{program}\n", "utf-8")
    options = ("--listen", "127.0.0.1:0", "--max-outstanding-events", str(2 * len(PEOPLE)))
    return server(
        *options,
        *("--max-outstanding-bytes", "10000", "--customerio-url", customerio.url, *more),
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


def batch(batch_id: int, people: tuple[str, ...] = PEOPLE, attempt: int = 0) -> v1.Batch:
    """An event for each person, whose name says the batch and the position."""
    items = [
        v1.BatchItem(
            json=json.dumps(
                {"type": "track", "userId": person, "event": f"{batch_id}.{position}"}
            ).encode(),
            attempt=attempt,
        )
        for position, person in enumerate(people)
    ]
    return v1.Batch(batch_id=batch_id, destination=1, items=items)


@asynccontextmanager
async def stream(running: Server) -> AsyncIterator[Any]:
    """A delivering stream. It ends without an error."""
    declared = [v1.Destination(reference_id=1, config_json=b'{"siteID":"s","apiKey":"k"}')]
    async with aio.insecure_channel(running.addresses[0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        call = stub.TransformStream(timeout=HANGS_AFTER_S)
        opening = v1.OpenStream(destinations=declared, delivery=v1.DeliveryOptions())
        await call.write(v1.TransformStreamRequest(open=opening))
        await call.read()
        yield call
        await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
        assert await call.read() is aio.EOF


async def results(call: Any, *batches: v1.Batch) -> list[Details]:
    """The detail of each position that failed and None for those delivered, by batch."""
    found: dict[int, Details] = {each.batch_id: {} for each in batches}
    for each in batches:
        await call.write(v1.TransformStreamRequest(batch=each))
    incomplete = set(found)
    while incomplete:
        message = (await call.read()).results
        details = {detail.position: detail for detail in message.details}
        first = message.first_position
        positions = message.positions or range(first, first + len(message.statuses))
        for position, status in zip(positions, message.statuses, strict=True):
            assert position not in found[message.batch_id]
            found[message.batch_id][position] = None if status == 200 else details[position]
        if message.batch_complete:
            incomplete.remove(message.batch_id)
    for each in batches:
        assert sorted(found[each.batch_id]) == list(range(len(each.items)))
    return list(found.values())


def codes(details: Details) -> set[int]:
    """The error codes of the items that failed, which are all retryable."""
    errors = [detail.error for detail in details.values() if detail is not None]
    assert all(error.retryable and SECRET not in error.message for error in errors)
    return {error.code for error in errors}


@pytest.mark.parametrize("program", _FAULTS.values(), ids=_FAULTS)
async def test_a_fault_costs_its_batch_at_most(
    tmp_path: Path, customerio: FakeCustomerio, program: str
) -> None:
    """Every event has one result, what is delivered is delivered once and in order, and the limits of the stream are free again."""
    bad = [batch(batch_id) for batch_id in range(1, 7)]
    good = batch(50, ("u5", "u6", "u5"))
    with faulty(tmp_path, program, customerio) as running:
        async with stream(running) as call:
            found = await results(call, *bad)
            for details in found:
                assert codes(details) <= {INTERNAL, BLOCKED}
            (even,) = await results(call, good)
            assert EVERY_JOB in program or set(even.values()) == {None}
        metrics = await metrics_of(running)
        log = running.errors()
    delivered = {
        f"{each.batch_id}.{position}"
        for each, details in zip([*bad, good], [*found, even], strict=True)
        for position, detail in details.items()
        if detail is None
    }
    assert len(customerio.names) == len(set(customerio.names))
    assert set(customerio.names) == delivered
    arrived: dict[str, list[float]] = {}
    for request in customerio.requests:
        arrived.setdefault(request.person, []).append(float(request.name))
    assert all(order == sorted(order) for order in arrived.values())
    counted = [value for (name, _), value in metrics.items() if name == "ciosidecar_events_total"]
    assert sum(counted) == len(bad) * len(PEOPLE) + len(good.items)
    assert '"internal error"' in log
    assert SECRET not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("place", ["before jobs are queued", "after jobs are in order"])
async def test_later_events_of_the_people_wait_for_those_that_failed(
    tmp_path: Path, customerio: FakeCustomerio, place: str
) -> None:
    """As after any failure: they are blocked until the caller sends the failed ones again. Then all are delivered, in order."""
    once = _FAULTS[place].replace("any_cursed", "once")
    with faulty(tmp_path, once, customerio) as running:
        async with stream(running) as call:
            (lost,) = await results(call, batch(1, ("cursed", "u1")))
            assert INTERNAL in codes(lost)
            (later,) = await results(call, batch(2, ("cursed", "u2")))
            assert codes(later) == {BLOCKED}
            assert later[0] is not None
            assert later[0].error.code == BLOCKED
            assert later[1] is None
            again = batch(3, ("cursed", "cursed"), attempt=1)
            for position in (0, 1):
                again.items[position].json = batch(position + 1, ("cursed",)).items[0].json
            (resent,) = await results(call, again)
            assert set(resent.values()) == {None}
            (after,) = await results(call, batch(4, ("cursed",)))
            assert set(after.values()) == {None}
    arrived = [request.name for request in customerio.requests if request.person == "cursed"]
    assert arrived == ["1.0", "2.0", "4.0"]


@pytest.mark.parametrize("place", ["before an item is accepted", "before jobs are queued"])
async def test_a_fault_shows_no_credentials(
    tmp_path: Path, customerio: FakeCustomerio, place: str
) -> None:
    """The requests in the results of a destination that is deliver_only have none, also those that failed."""
    file = tmp_path / "destinations.toml"
    file.write_text("[destinations.shop]\nsiteID = 's'\napiKey = 'k'\ndeliver_only = true\n")
    file.chmod(0o600)
    request = v1.DeliverRequest(
        destinations=[v1.Destination(reference_id=1, destination_ref="shop")],
        batch=batch(1, ("cursed", "u1")),
        delivery=v1.DeliveryOptions(include_requests=True),
    )
    with faulty(tmp_path, _FAULTS[place], customerio, "--destinations", str(file)) as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            stub: Any = v1.SidecarServiceStub(channel)
            results = (await stub.Deliver(request, timeout=HANGS_AFTER_S)).results
    assert set(results.statuses) == {500}
    assert len(results.requests) == 2
    assert all("Authorization" not in template.headers for template in results.templates)


@pytest.mark.parametrize(
    "program",
    [
        "before(Settlement, '_answer', lambda self, jobs, *_: any_cursed(self, jobs))",
        "after(Settlement, 'drop', any_cursed)",
        "before(WorkspaceQueue, 'expire', any_cursed)",
    ],
)
async def test_an_item_whose_settlement_fails_is_answered_at_the_deadline(
    tmp_path: Path, customerio: FakeCustomerio, program: str
) -> None:
    """Once, as INTERNAL, and the stream goes on. Customer.io may have the event."""
    customerio.rule = lambda request: HOLD if "expire" in program and "1." in request.name else OK
    with faulty(tmp_path, program, customerio) as running:
        async with stream(running) as call:
            bad = batch(1, ("cursed", "u1"))
            bad.timeout.FromMilliseconds(1_000)
            (found,) = await results(call, bad)
            assert found[0] is not None
            assert found[0].error.code == INTERNAL
            (even,) = await results(call, batch(2, ("u5", "u6")))
            assert set(even.values()) == {None}
    assert customerio.names.count("1.0") <= 1
