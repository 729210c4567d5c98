"""Faults of the codec, by real panics and by exceptions: a batch at most, never a call, a stream or a word of an event."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import HANGS_AFTER_S
from tests.fake_customerio import FakeCustomerio, fake_customerio
from tests.native import faulty
from tests.processes import Server
from tests.security.watching import wait_for_log, wait_until
from tests.telemetry.support import metrics_of

pytestmark = [pytest.mark.timeout(400), pytest.mark.serial]
COMPILED, PYTHON = "require", "never"
DECLARED = [
    v1.Destination(reference_id=1, config_json=b'{"siteID":"s","apiKey":"k"}'),
    v1.Destination(reference_id=2, config_json=b'{"siteID":"s","apiKey":"k","apiVersion":"v2"}'),
]
METHODS = ("Transform", "TransformStream", "Deliver", "delivering TransformStream")


def event(user_id: str, **more: Any) -> bytes:
    """A track event."""
    fields = {"type": "track", "userId": user_id, "event": "E", "timestamp": "2026-01-02"}
    return json.dumps(fields | more).encode()


def batch(batch_id: int, odd: v1.BatchItem, number: int = 1) -> v1.Batch:
    """Five items, the third of which is the odd one."""
    items = [v1.BatchItem(json=event(f"u{position}"), tag=b"t") for position in range(5)]
    items[2].CopyFrom(odd)
    return v1.Batch(batch_id=batch_id, destination=number, items=items)


class Fault(NamedTuple):
    """A batch at which the codec fails."""

    odd: bytes = event("odd")
    batch_id: int = 7
    tag: bytes = b"t"

    def batch(self, number: int) -> v1.Batch:
        """The batch, for a destination."""
        return batch(self.batch_id, v1.BatchItem(json=self.odd, tag=self.tag), number)


OF_THE_COMPILED = {
    "reading an item": Fault(event(faulty.IN_ITEM)),
    "reading tags": Fault(tag=faulty.IN_TAG.encode()),
    "adding a request": Fault(event("odd", event=faulty.IN_ADD)),
    "answering": Fault(batch_id=faulty.IN_ANSWER),
    "closing a message": Fault(batch_id=faulty.IN_CLOSE),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a compiled package that panics."""
    built = tmp_path_factory.mktemp("faults")
    faulty.build(built)
    return built


@pytest.fixture
async def customerio() -> AsyncIterator[FakeCustomerio]:
    """A Customer.io that accepts everything."""
    async with fake_customerio() as running:
        yield running


@pytest.fixture
def compiled(folder: Path, customerio: FakeCustomerio) -> Iterator[Server]:
    """A server with the compiled package that panics."""
    with faulty.faulty_server(COMPILED, folder, "--customerio-url", customerio.url) as running:
        yield running


@pytest.fixture(params=[COMPILED, PYTHON])
def either(
    request: pytest.FixtureRequest, folder: Path, customerio: FakeCustomerio
) -> Iterator[Server]:
    """A server of either implementation."""
    with faulty.faulty_server(request.param, folder, "--customerio-url", customerio.url) as running:
        yield running


async def answers(
    running: Server, method: str, *batches: v1.Batch, max_receive_bytes: int = 0
) -> list[list[v1.Results]]:
    """The messages that answer each batch: of calls, or of one stream."""
    options = v1.DeliveryOptions(include_requests=True)
    async with aio.insecure_channel(running.addresses[0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        if method == "Transform":
            calls = [v1.TransformRequest(destinations=DECLARED, batch=each) for each in batches]
            return [[(await stub.Transform(each, timeout=HANGS_AFTER_S)).results] for each in calls]
        if method == "Deliver":
            requests = [
                v1.DeliverRequest(destinations=DECLARED, batch=each, delivery=options)
                for each in batches
            ]
            return [
                [(await stub.Deliver(each, timeout=HANGS_AFTER_S)).results] for each in requests
            ]
        opening = v1.OpenStream(destinations=DECLARED, max_receive_bytes=max_receive_bytes)
        if method != "TransformStream":
            opening.delivery.CopyFrom(options)
        call = stub.TransformStream(timeout=HANGS_AFTER_S)
        await call.write(v1.TransformStreamRequest(open=opening))
        await call.read()
        read = []
        for each in batches:
            await call.write(v1.TransformStreamRequest(batch=each))
            messages = [(await call.read()).results]
            while not messages[-1].batch_complete:
                messages.append((await call.read()).results)
            read.append(messages)
        await call.done_writing()
        assert await call.read() is aio.EOF
        return read


def statuses(messages: list[v1.Results]) -> list[int]:
    """The status of each position, of messages that answer each position once."""
    found: dict[int, int] = {}
    for results in messages:
        first = results.first_position
        positions = results.positions or range(first, first + len(results.statuses))
        for position, status in zip(positions, results.statuses, strict=True):
            assert position not in found
            found[position] = status
    assert sorted(found) == list(range(len(found)))
    return [status for _, status in sorted(found.items())]


def covered(messages: list[v1.Results]) -> list[int]:
    """The positions that have a request."""
    return sorted(
        position
        for results in messages
        for request in results.requests
        for position in request.positions
    )


def require_silence(running: Server) -> None:
    """Fail if the log quotes a panic or an exception."""
    log = running.errors()
    assert faulty.SECRET not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("fault", OF_THE_COMPILED.values(), ids=OF_THE_COMPILED)
async def test_what_the_compiled_codec_leaves_the_protobuf_library_does(
    compiled: Server, fault: Fault
) -> None:
    """Every method, both API versions, again and again: each item has its result and its request."""
    good = batch(8, v1.BatchItem(json=event("even")))
    for method in METHODS:
        for number in (1, 2):
            bad = fault.batch(number)
            for messages in await answers(compiled, method, bad, good, bad, good):
                assert statuses(messages) == [200] * 5, method
                assert covered(messages) == [0, 1, 2, 3, 4], method
    await asyncio.to_thread(
        wait_until,
        lambda: (
            '"internal error"' in compiled.errors()
            or "the compiled reader failed" in compiled.errors()
        ),
    )
    require_silence(compiled)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "fault",
    [Fault(event("odd", event=faulty.IN_EVERY_ADD)), Fault(batch_id=faulty.IN_EVERY_CLOSE)],
    ids=["add", "close"],
)
async def test_what_no_writer_can_write_is_internal(
    either: Server, method: str, fault: Fault
) -> None:
    """The items of that batch that are not answered, and of no other. The counts say the same."""
    good = batch(8, v1.BatchItem(json=event("even")))
    for number in (1, 2):
        bad = fault.batch(number)
        lost, even = await answers(either, method, bad, good)
        failed = [position for position, status in enumerate(statuses(lost)) if status != 200]
        # In v1, a request that cannot be added is its event's alone.
        is_of_an_event = number == 1 and fault.batch_id == 7 and method.endswith("Transform")
        assert failed == ([2] if is_of_an_event else failed)
        assert 2 in failed
        errors = {detail.position: detail.error for results in lost for detail in results.details}
        for position in failed:
            assert errors[position].code == v1.ErrorCode.ERROR_CODE_INTERNAL
            assert errors[position].retryable
            assert faulty.SECRET not in errors[position].message
        assert covered(lost) == [position for position in range(5) if position not in failed]
        assert statuses(even) == [200] * 5
        assert covered(even) == [0, 1, 2, 3, 4]
    require_silence(either)
    metrics = await metrics_of(either)
    counted = [value for (name, _), value in metrics.items() if name == "ciosidecar_events_total"]
    assert sum(counted) == 20


@pytest.mark.parametrize("method", ["TransformStream", "delivering TransformStream"])
async def test_a_fault_behind_messages_that_are_complete(either: Server, method: str) -> None:
    """What a batch has answered stays, and only the rest is INTERNAL: every item has one answer and one count."""
    filling = {"a": "x" * 3_000}
    items = [v1.BatchItem(json=event(f"u{position}", properties=filling)) for position in range(60)]
    items[50].json = event("odd", event=faulty.IN_EVERY_ADD)
    bad = v1.Batch(batch_id=7, destination=2, items=items)
    (messages,) = await answers(either, method, bad, max_receive_bytes=65_536)
    found = statuses(messages)
    assert len(found) == 60
    lost = found.count(500)
    assert 10 <= lost < 30
    answered = [position for position, status in enumerate(found) if status == 200]
    assert len(answered) == 60 - lost
    assert 50 not in answered
    assert covered(messages) == answered
    metrics = await metrics_of(either)
    counted = {
        dict(labels)["code"]: value
        for (name, labels), value in metrics.items()
        if name == "ciosidecar_events_total"
    }
    if method == "TransformStream":
        assert counted == {"": 60 - lost, "INTERNAL": lost}
        assert answered == list(range(60 - lost))
    else:
        # All were delivered.
        assert counted == {"": 60}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("method", ["TransformStream", "delivering TransformStream"])
async def test_a_fault_between_two_messages(
    folder: Path, customerio: FakeCustomerio, method: str, number: int
) -> None:
    """The message before it is complete. Its items are not answered once more, and the others are INTERNAL."""
    filling = {"a": "x" * 3_000}
    items = [v1.BatchItem(json=event(f"u{position}", properties=filling)) for position in range(60)]
    bad = v1.Batch(batch_id=faulty.IN_BEGIN, destination=number, items=items)
    good = batch(8, v1.BatchItem(json=event("even")))
    url = customerio.url
    with faulty.faulty_server(PYTHON, folder, "--customerio-url", url) as running:
        lost, even = await answers(running, method, bad, good, max_receive_bytes=65_536)
        found = statuses(lost)
        assert len(found) == 60
        answered = [position for position, status in enumerate(found) if status == 200]
        if method == "TransformStream":
            assert 0 < len(answered) < 60
        assert answered == list(range(len(answered)))
        assert set(found) - {200} == ({500} if len(answered) < 60 else set())
        assert covered(lost) == answered
        assert statuses(even) == [200] * 5
        require_silence(running)


async def test_a_panic_in_a_leaf_is_the_error_of_its_event_alone(compiled: Server) -> None:
    """INTERNAL, again and again. What the panic said is neither in the result nor in the log."""
    cursed = v1.BatchItem(json=event("odd", timestamp=f"{faulty.YEAR}-01-02"))
    for _ in range(3):
        ((results,),) = await answers(compiled, "Transform", batch(1, cursed))
        assert list(results.statuses) == [200, 200, 500, 200, 200]
        (detail,) = results.details
        assert detail.error.code == v1.ErrorCode.ERROR_CODE_INTERNAL
        assert faulty.SECRET not in detail.error.message
    await wait_for_log(compiled, "internal error in an event: RuntimeError at ")
    assert "panicked" not in compiled.errors()
    require_silence(compiled)
