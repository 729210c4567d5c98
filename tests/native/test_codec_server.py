"""Two real servers, one with each codec: a caller cannot tell them apart by a byte of their results."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_server.app import Sidecar
from ciosidecar_server.settings import Settings
from ciosidecar_transform import native as chosen
from grpc import aio

from tests.bench.events import events
from tests.conftest import HANGS_AFTER_S, UNLIMITED
from tests.fake_customerio import fake_customerio
from tests.native.codecs import NATIVE
from tests.native.wire_messages import field, varint

_SERVICE = "/ciosidecar.v1.SidecarService/"
_MIX = [event for _, event in events(600)]
_ODD = [
    b"",
    b" ",
    b"no event",
    b"\xff",
    b'{"type":"track","userId":"u1","event":"E","properties":{"price":NaN}}',
    b'{"type":"track","userId":"u1","event":"E","properties":{"price":-Infinity}}',
    b'{"type":"track","userId":"u1","event":"E","properties":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"type":"track","userId":"u1","event":"\\ud800"}',
]  # fmt: skip
_DECLARED = [
    v1.Destination(reference_id=number, config_json=b'{"siteID":"s","apiKey":"k%d","apiVersion":"%b"}' % (number, version))
    for number, version in enumerate((b"v1", b"v2", b"v1", b"v2"), 1)
]  # fmt: skip


def _batch(batch_id: int, jsons: list[bytes], **options: Any) -> v1.Batch:
    items = [v1.BatchItem(json=json, **options) for json in jsons]
    return v1.Batch(batch_id=batch_id, destination=1, items=items)


def _batches() -> list[v1.Batch]:
    """Return batches of every shape, for four destinations."""
    made = [
        _batch(1, _MIX[:100]),
        _batch(2, _MIX[100:400], destination=2),
        _batch(3, _ODD),
        _batch(4, [_MIX[0], *_ODD[1:], _MIX[1]], tag=b"tag", source_type="web"),
        _batch(5, _MIX[400:430], destination=2, dont_batch=True),
        _batch(6, _MIX[:3], destination=99),
        _batch(7, _MIX[:3], attempt=-1),
        v1.Batch(batch_id=8),
        v1.Batch(batch_id=9, destination=1, items=[v1.BatchItem(), v1.BatchItem(json=_MIX[0])]),
    ]
    mixed = _batch(10, _MIX[:200])
    for position, item in enumerate(mixed.items):
        item.destination = position % 5
    typed = v1.BatchItem(event=v1.RudderEvent(type="track", user_id="u1", event="Order"))
    typed.event.timestamp.seconds = 1_700_000_000
    typed.event.properties.fields["price"] = 5
    return [*made, mixed, v1.Batch(batch_id=11, destination=1, items=[typed, *made[0].items[:2]])]


class Caller:
    """A caller of one server who sees bytes."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel

    async def unary(self, method: str, request: bytes) -> tuple[grpc.StatusCode, bytes | str]:
        """Return the status of a call, and its response or its details."""
        call: Any = self._channel.unary_unary(_SERVICE + method)
        try:
            return grpc.StatusCode.OK, await call(request, timeout=HANGS_AFTER_S)
        except aio.AioRpcError as failure:
            return failure.code(), failure.details() or ""

    async def stream(
        self, opening: v1.OpenStream, messages: list[bytes]
    ) -> tuple[grpc.StatusCode, list[bytes]]:
        """Return the status of a stream, and its messages behind the first."""
        call: Any = self._channel.stream_stream(_SERVICE + "TransformStream")()
        await call.write(v1.TransformStreamRequest(open=opening).SerializeToString())
        read = []
        try:
            for message in (
                *messages,
                v1.TransformStreamRequest(finish=v1.Finish()).SerializeToString(),
            ):
                await call.write(message)
        except (aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the server has ended the stream: its status says why
        try:
            while (message := await asyncio.wait_for(call.read(), HANGS_AFTER_S)) is not aio.EOF:
                read.append(message)
        except aio.AioRpcError:
            pass
        return await call.code(), read[1:]


@pytest.fixture
async def callers(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Caller, Caller]]:
    """A caller of a server with the compiled codec, and one of a server with the plain codec."""
    settings: dict[str, Any] = getattr(request, "param", {})
    async with AsyncExitStack() as stack:
        customerio = await stack.enter_async_context(fake_customerio())
        made = []
        for module in (NATIVE, None):
            monkeypatch.setattr(chosen, "module", module)
            sidecar = Sidecar(
                Settings(listen=("127.0.0.1:0",), customerio_url=customerio.url, **settings)
            )
            (address,) = await sidecar.start()
            stack.push_async_callback(sidecar.stop_at_once)
            channel = aio.insecure_channel(address, options=UNLIMITED)
            await stack.enter_async_context(channel)
            made.append(Caller(channel))
        compiled, plain = made
        yield compiled, plain


async def test_streams_are_the_same(callers: tuple[Caller, Caller]) -> None:
    """All batches over one stream, in large messages and in small ones: every message is the same."""
    messages = [v1.TransformStreamRequest(batch=batch).SerializeToString() for batch in _batches()]
    for max_receive_bytes in (0, 65_536):
        opening = v1.OpenStream(destinations=_DECLARED, max_receive_bytes=max_receive_bytes)
        compiled, plain = [await caller.stream(opening, messages) for caller in callers]
        assert compiled == plain
        code, read = compiled
        assert code == grpc.StatusCode.OK
        assert len(read) > len(messages) if max_receive_bytes else len(read) == len(messages)


@pytest.mark.parametrize("method", ["Transform", "Deliver"])
async def test_unary_calls_are_the_same(callers: tuple[Caller, Caller], method: str) -> None:
    """Each batch by a call: the responses are the same. Deliver answers with a status for each item."""
    for batch in _batches():
        request: Any = getattr(v1, f"{method}Request")(destinations=_DECLARED, batch=batch)
        if method == "Deliver":
            request.delivery.include_requests = True
        compiled, plain = [
            _timeless(await caller.unary(method, request.SerializeToString())) for caller in callers
        ]
        assert compiled == plain
        assert compiled[0] == grpc.StatusCode.OK


def _timeless(answer: tuple[grpc.StatusCode, bytes | str]) -> tuple[grpc.StatusCode, bytes | str]:
    """Return the answer of a unary call without the times that deliveries took."""
    code, data = answer
    if not isinstance(data, bytes):
        return answer
    response = v1.DeliverResponse.FromString(data)
    timed = [detail for detail in response.results.details if detail.delivery.attempts]
    for detail in timed:
        detail.delivery.ClearField("latency")
    return code, response.SerializeToString(deterministic=True) if timed else data


async def test_delivering_streams_are_the_same(callers: tuple[Caller, Caller]) -> None:
    """Deliveries, with their requests: each batch has the same statuses, requests and details, in any messages."""
    opening = v1.OpenStream(
        destinations=_DECLARED, delivery=v1.DeliveryOptions(include_requests=True)
    )
    for batch in _batches():
        message = v1.TransformStreamRequest(batch=batch).SerializeToString()
        answers = []
        for caller in callers:
            code, read = await caller.stream(opening, [message])
            assert code == grpc.StatusCode.OK
            results = [v1.TransformStreamResponse.FromString(one).results for one in read]
            assert [one.batch_complete for one in results].count(True) == 1
            answers.append(_by_position(results))
        compiled, plain = answers
        assert compiled == plain
        assert len(compiled) == len(batch.items)


def _by_position(messages: list[v1.Results]) -> dict[int, tuple[int, bytes]]:
    """Return the status and the detail of each position."""
    answers = {}
    for results in messages:
        assert results.batch_id
        first = results.first_position
        positions = results.positions or range(first, first + len(results.statuses))
        for detail in results.details:
            detail.delivery.ClearField("latency")
        details = {detail.position: detail.SerializeToString() for detail in results.details}
        for position, status in zip(positions, results.statuses, strict=True):
            assert position not in answers
            answers[position] = status, details.get(position, b"")
    return answers


async def test_bad_messages_end_as_the_same(callers: tuple[Caller, Caller]) -> None:
    """What is no message of the method ends the call with the same status, and never as INTERNAL."""
    good = v1.Batch(batch_id=1, destination=1, items=[v1.BatchItem(json=_MIX[0])])
    whole = v1.TransformStreamRequest(batch=good).SerializeToString()
    bad = (
        whole[:-1],
        varint(3 << 3 | 2) + varint(2**31) + b"\x00",
        field(3, field(6, b"\xff")),
        field(3, varint(2 << 3 | 3)),
        b"",
        field(9, b"unknown"),
    )
    opening = v1.OpenStream(destinations=_DECLARED)
    for data in bad:
        compiled, plain = [await caller.stream(opening, [whole, data]) for caller in callers]
        assert compiled == plain
        assert compiled[0] == grpc.StatusCode.INVALID_ARGUMENT
        assert len(compiled[1]) == 1
        for method in ("Transform", "Deliver"):
            compiled_call, plain_call = [await caller.unary(method, data) for caller in callers]
            assert compiled_call == plain_call
            assert compiled_call[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_batch_of_too_many_items_is_the_same(callers: tuple[Caller, Caller]) -> None:
    """A batch beyond the limit fails the call by its number of items, which both count."""
    made = _batch(1, [_MIX[0]] * 10_001)
    request = v1.TransformRequest(destinations=_DECLARED, batch=made).SerializeToString()
    compiled, plain = [await caller.unary("Transform", request) for caller in callers]
    assert compiled == plain
    assert compiled[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert "10001" in str(compiled[1])


@pytest.mark.parametrize("callers", [{"max_message_bytes": 200_000}], indirect=True)
async def test_results_that_do_not_fit_are_the_same(callers: tuple[Caller, Caller]) -> None:
    """Results beyond one message fail Transform alike, and Deliver leaves the same requests out."""
    for method in ("Transform", "Deliver"):
        request: Any = getattr(v1, f"{method}Request")(
            destinations=_DECLARED, batch=_batch(1, _MIX * 4)
        )
        while request.ByteSize() > 199_000:
            del request.batch.items[-10:]
        if method == "Deliver":
            request.delivery.include_requests = True
        compiled, plain = [
            _timeless(await caller.unary(method, request.SerializeToString())) for caller in callers
        ]
        assert compiled == plain
