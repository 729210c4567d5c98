"""The life of a stream as a caller sees it."""

from typing import Any

import grpc
import pytest
from ciosidecar import read_results, v1
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.conftest import CONFIG, Connect, Stub, batch, destination, end_of, opened, results_of

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
BROKEN = b'{"type":"track","userId":"u1"}'


def message(**found: Any) -> v1.TransformStreamRequest:
    return v1.TransformStreamRequest(**found)


async def test_an_event_comes_back_as_its_request(stub: Stub) -> None:
    """Open, one batch, finish: the request, the result, and the end with OK."""
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK)))
    (results,) = await results_of(call)
    (result,) = read_results(results)
    assert result.status == 200
    (request,) = result.requests
    assert (request.method, request.url) == (
        "POST",
        "https://track.customer.io/api/v1/customers/u1/events",
    )
    assert request.headers["Authorization"] == "Basic c2l0ZTprZXk="
    assert request.body == b'{"name":"Order","type":"event","data":{}}'
    await call.write(message(finish=v1.Finish()))
    assert await end_of(call) == (grpc.StatusCode.OK, "")


async def test_opened_names_the_session_and_the_limits(stub: Stub) -> None:
    """Opened says what the caller is held to, and names each stream differently."""
    _, first = await opened(stub)
    _, second = await opened(stub)
    assert first.session_id != second.session_id
    assert first.limits.max_batch_events == 10_000
    assert first.limits.max_message_bytes == 64 << 20
    assert first.limits == (await stub.GetCapabilities(v1.GetCapabilitiesRequest())).limits


async def test_one_broken_event_among_99_good_ones(stub: Stub) -> None:
    """1.4: ninety-nine good results and one error, at its own position."""
    events = [TRACK] * 100
    events[41] = b'{"type": "track", broken'
    call, _ = await opened(stub)
    await call.write(message(batch=batch(*events)))
    (results,) = await results_of(call)
    assert [position for position, status in enumerate(results.statuses) if status != 200] == [41]
    (detail,) = results.details
    assert (detail.position, detail.error.code) == (41, v1.ErrorCode.ERROR_CODE_INVALID_JSON)
    assert len(results.requests) == 99
    assert len(results.templates) == 1


async def test_an_event_that_is_too_large_harms_no_neighbour(stub: Stub) -> None:
    """An event of 5 MB is its own TOO_LARGE."""
    huge = b'{"type":"identify","userId":"u1","traits":{"a":"' + b"x" * 5_000_000 + b'"}}'
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK, huge, TRACK)))
    (results,) = await results_of(call)
    assert list(results.statuses) == [200, 400, 200]
    assert results.details[0].error.code == v1.ErrorCode.ERROR_CODE_TOO_LARGE


async def test_an_event_of_exactly_the_limit_passes(connect: Connect) -> None:
    """max_event_bytes itself passes, one byte more does not."""
    stub = await connect(max_event_bytes=len(TRACK))
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK, TRACK + b" ")))
    (results,) = await results_of(call)
    assert list(results.statuses) == [200, 400]


async def test_unknown_destination_is_retryable_and_the_stream_lives_on(
    stub: Stub,
) -> None:
    """12.1: 503 for events under an unknown number; declared later, the same event passes."""
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK, number=7)))
    (results,) = await results_of(call)
    (result,) = read_results(results)
    assert (result.status, result.error and result.error.code) == (503, "UNKNOWN_DESTINATION")
    assert result.error is not None
    assert result.error.retryable
    upsert = v1.UpsertDestinations(destinations=[destination(7)])
    await call.write(message(upsert_destinations=upsert))
    await call.write(message(batch=batch(TRACK, batch_id=2, number=7)))
    (results,) = await results_of(call, 2)
    assert list(results.statuses) == [200]


async def test_a_replaced_destination_serves_later_events(stub: Stub) -> None:
    """Upserting a number replaces it for what arrives afterwards."""
    call, _ = await opened(stub)
    eu = destination(1, b'{"siteID": "site", "apiKey": "key", "datacenter": "EU"}')
    await call.write(message(batch=batch(TRACK)))
    await call.write(message(upsert_destinations=v1.UpsertDestinations(destinations=[eu])))
    await call.write(message(batch=batch(TRACK, batch_id=2)))
    (before,), (after,) = await results_of(call, 1), await results_of(call, 2)
    assert before.templates[0].base_url == "https://track.customer.io"
    assert after.templates[0].base_url == "https://track-eu.customer.io"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (b'{"siteID": "site"}', "apiKey"),
        (b'{"siteID": 5, "apiKey": "key"}', "siteID"),
        (b'{"siteID": "site", "apiKey": "key", "datacenter": []}', "datacenter"),
        (b"[]", ""),
        (b"{", ""),
        (b"", ""),
        (b"[" * 10_000, ""),
        (b'{"siteID": "\xff"}', ""),
    ],
    ids=["no-key", "number", "list", "array", "cut", "empty", "nested", "not-utf-8"],
)
async def test_unusable_settings_refuse_their_events(stub: Stub, config: bytes, key: str) -> None:
    """11.1: Opened names the key, and each event is INVALID_DESTINATION; other destinations work."""
    call, answer = await opened(stub, destinations=[destination(1, config), destination(2)])
    assert key in [problem.key for problem in answer.problems if problem.fatal]
    assert {problem.destination for problem in answer.problems} == {1}
    bad, good = v1.BatchItem(json=TRACK), v1.BatchItem(json=TRACK, destination=2)
    await call.write(message(batch=v1.Batch(batch_id=1, destination=1, items=[bad, good])))
    (results,) = await results_of(call)
    assert list(results.statuses) == [400, 200]
    error = results.details[0].error
    assert error.code == v1.ErrorCode.ERROR_CODE_INVALID_DESTINATION
    assert error.type == v1.ErrorType.ERROR_TYPE_CONFIGURATION
    assert not error.retryable
    assert "site" not in error.message.replace("siteID", "")


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([message(batch=batch(TRACK))], "open"),
        ([message(finish=v1.Finish())], "open"),
        ([message()], "open"),
        ([message(open=v1.OpenStream()), message(open=v1.OpenStream())], "open"),
        ([message(open=v1.OpenStream()), message()], "message"),
        (
            [message(open=v1.OpenStream(destinations=[v1.Destination()]))],
            "destinations[0].reference_id",
        ),
        ([message(open=v1.OpenStream(max_receive_bytes=1023))], "open.max_receive_bytes"),
        ([message(open=v1.OpenStream()), message(batch=batch(*[TRACK] * 6))], "batch.items"),
    ],
    ids=[
        "batch-first",
        "finish-first",
        "nothing-first",
        "second-open",
        "empty-message",
        "number-0",
        "receive-too-little",
        "batch-too-large",
    ],
)
async def test_broken_protocol_ends_the_stream_and_says_how(
    connect: Connect, messages: list[v1.TransformStreamRequest], field: str
) -> None:
    """INVALID_ARGUMENT with a google.rpc.BadRequest that names the field."""
    stub = await connect(max_batch_events=5)
    call: Any = stub.TransformStream()
    for one in messages:
        await call.write(one)
    code, text = await end_of(call)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith(field)
    status = await rpc_status.aio.from_call(call)
    assert status is not None
    violations = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(violations)
    assert violations.field_violations[0].field == field


async def test_what_was_answered_before_a_breach_stays_answered(connect: Connect) -> None:
    """A batch that is too large ends the stream after the results of the one before it."""
    stub = await connect(max_batch_events=5)
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK)))
    await call.write(message(batch=batch(*[TRACK] * 6, batch_id=2)))
    (results,) = await results_of(call)
    assert list(results.statuses) == [200]
    assert (await end_of(call))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_beyond_the_limit_is_resource_exhausted(connect: Connect) -> None:
    """A message larger than the server takes fails the call, by gRPC's own hand."""
    stub = await connect(max_message_bytes=10_000)
    call, _ = await opened(stub)
    await call.write(message(batch=batch(b"x" * 10_001)))
    assert (await end_of(call))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_too_many_destinations_are_resource_exhausted(connect: Connect) -> None:
    """Nobody fills the server's memory with destinations."""
    stub = await connect(max_destinations=3)
    call, _ = await opened(stub)
    many = v1.UpsertDestinations(destinations=[destination(number) for number in (1, 2, 3, 4)])
    await call.write(message(upsert_destinations=many))
    assert (await end_of(call))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_half_close_is_taken_for_finish(stub: Stub) -> None:
    """What was sent is answered, then the stream ends with OK."""
    call, _ = await opened(stub)
    await call.write(message(batch=batch(TRACK)))
    await call.done_writing()
    (results,) = await results_of(call)
    assert list(results.statuses) == [200]
    assert await end_of(call) == (grpc.StatusCode.OK, "")


async def test_an_empty_batch_has_an_empty_answer(stub: Stub) -> None:
    """A batch without items is answered, complete, with nothing."""
    call, _ = await opened(stub)
    await call.write(message(batch=v1.Batch(batch_id=1)))
    (results,) = await results_of(call)
    assert results == v1.Results(batch_id=1, batch_complete=True)


async def test_results_are_split_to_what_the_caller_takes(stub: Stub) -> None:
    """Each message fits, every position is answered once, in order, with its request."""
    limit = 65_536
    event = b'{"type":"track","userId":"u1","event":"E","properties":{"a":"' + b"x" * 9000 + b'"}}'
    group = b'{"type":"group","userId":"u2","groupId":"g","traits":{"a":"' + b"y" * 900 + b'"}}'
    call, _ = await opened(stub, max_receive_bytes=limit)
    await call.write(message(batch=batch(*[event, group] * 40)))
    messages = await results_of(call)
    assert len(messages) > 5
    assert all(results.ByteSize() <= limit for results in messages)
    assert [results.batch_complete for results in messages] == [False] * (len(messages) - 1) + [
        True
    ]
    answered = [result for results in messages for result in read_results(results)]
    assert [result.position for result in answered] == list(range(80))
    covered = sorted(
        position
        for result in answered
        for request in result.requests
        for position in request.positions
    )
    assert covered == list(range(80))
    for results in messages:
        here = {result.position for result in read_results(results)}
        for request in results.requests:
            assert set(request.positions) <= here


async def test_a_result_that_fits_no_message_is_that_events_error(
    stub: Stub,
) -> None:
    """An event whose request exceeds max_receive_bytes is TOO_LARGE; its neighbours pass."""
    event = (
        b'{"type":"track","userId":"u1","event":"E","properties":{"a":"' + b"x" * 70_000 + b'"}}'
    )
    call, _ = await opened(stub, max_receive_bytes=65_536)
    await call.write(message(batch=batch(TRACK, event, TRACK)))
    (results,) = await results_of(call)
    assert list(results.statuses) == [200, 400, 200]
    assert results.details[0].error.code == v1.ErrorCode.ERROR_CODE_TOO_LARGE


async def test_what_a_router_holds_survives(stub: Stub) -> None:
    """64-bit batch ids, raw tags, statuses and endpoint paths come back as they were."""
    largest = 2**63 - 1
    tag = bytes(range(256))
    call, _ = await opened(stub)
    items = [v1.BatchItem(json=BROKEN, tag=tag), v1.BatchItem(json=TRACK, tag=tag)]
    await call.write(message(batch=v1.Batch(batch_id=largest, destination=1, items=items)))
    (results,) = await results_of(call, largest)
    assert list(results.statuses) == [400, 200]
    assert [detail.tag for detail in results.details] == [tag]
    assert [template.endpoint_path for template in results.templates] == ["v1/customers/events"]


async def test_groups_share_a_request_and_say_whose_it_is(stub: Stub) -> None:
    """8.1, 10.3: one request to v2/batch covers the groups of a batch; dont_batch keeps one out."""
    groups = [b'{"type":"group","userId":"u%d","groupId":"g%d"}' % (n, n) for n in range(4)]
    items = [v1.BatchItem(json=event) for event in groups]
    items[2].dont_batch = True
    call, _ = await opened(stub)
    await call.write(message(batch=v1.Batch(batch_id=1, destination=1, items=items)))
    (results,) = await results_of(call)
    covered = [list(request.positions) for request in results.requests]
    assert sorted(covered) == [[0, 1, 3], [2]]
    last = next(result for result in read_results(results) if result.position == 3)
    assert last.requests[0].url == "https://track.customer.io/api/v2/batch"


async def test_items_that_hold_no_event(stub: Stub) -> None:
    """An empty item, and a prepared request on a stream that does not deliver, are INVALID_ITEM."""
    prepared = v1.PreparedRequest(method="POST", url="https://track.customer.io/api/v1/events")
    items = [v1.BatchItem(), v1.BatchItem(prepared=prepared), v1.BatchItem(json=TRACK)]
    call, _ = await opened(stub)
    await call.write(message(batch=v1.Batch(batch_id=1, destination=1, items=items)))
    (results,) = await results_of(call)
    assert list(results.statuses) == [400, 400, 200]
    assert {detail.error.code for detail in results.details} == {
        v1.ErrorCode.ERROR_CODE_INVALID_ITEM
    }


async def test_two_streams_do_not_know_each_others_destinations(
    stub: Stub,
) -> None:
    """A number means what its own stream declared."""
    first, _ = await opened(stub)
    second, _ = await opened(stub, destinations=[destination(5, CONFIG)])
    await second.write(message(batch=batch(TRACK)))
    (results,) = await results_of(second)
    assert list(results.statuses) == [503]
    await first.write(message(batch=batch(TRACK)))
    (results,) = await results_of(first)
    assert list(results.statuses) == [200]
