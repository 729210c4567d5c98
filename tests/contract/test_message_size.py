"""No Results message is larger than the caller takes, whatever is in it."""

import json
from typing import Any

import pytest
from ciosidecar import v1

from tests.conftest import Connect, Stub, opened, results_of
from tests.fake_customerio import fake_customerio

LIMIT = 65_536
EVENTS = {
    "identify": b'{"type":"identify","userId":"u1","traits":{"a":1}}',
    "track": b'{"type":"track","userId":"u1","event":"Order"}',
    "anonymous": b'{"type":"track","anonymousId":"a1","event":"Order"}',
    "alias": b'{"type":"alias","userId":"u1","previousId":"u2"}',
    "group": b'{"type":"group","userId":"u1","groupId":"g1"}',
}
TAG = b"\xff" * 4096


def config(key_length: int, **more: Any) -> bytes:
    return json.dumps({"siteID": "site", "apiKey": "k" * key_length, **more}).encode()


async def answered(
    stub: Stub, configs: list[bytes], items: list[v1.BatchItem], **opening: Any
) -> tuple[list[int], list[v1.Results]]:
    """Each item's status, once all are answered, and the messages: none larger than the limit."""
    found = [v1.Destination(reference_id=n, config_json=one) for n, one in enumerate(configs, 1)]
    call, _ = await opened(stub, destinations=found, max_receive_bytes=LIMIT, **opening)
    batch = v1.Batch(batch_id=1, destination=1, items=items)
    await call.write(v1.TransformStreamRequest(batch=batch))
    messages = await results_of(call)
    statuses: dict[int, int] = {}
    for message in messages:
        assert v1.TransformStreamResponse(results=message).ByteSize() <= LIMIT
        first = message.first_position
        positions = message.positions or range(first, first + len(message.statuses))
        assert not set(positions) & set(statuses)
        statuses.update(zip(positions, message.statuses, strict=True))
        for request in message.requests:
            assert set(request.positions) <= set(positions)
    call.cancel()
    assert sorted(statuses) == list(range(len(items)))
    return [statuses[position] for position in range(len(items))], messages


def each_event(rounds: int = 5, numbers: tuple[int, ...] = (1,)) -> list[v1.BatchItem]:
    """Events of every kind for every destination, in turns: each kind of call has its own headers."""
    return [
        v1.BatchItem(json=event, destination=number)
        for _ in range(rounds)
        for event in EVENTS.values()
        for number in numbers
    ]


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("key_length", [10, 1_000, 10_000, 30_000, 42_000])
async def test_long_credentials_split_the_results(
    stub: Stub, key_length: int, api_version: str
) -> None:
    """Every request says its template, credentials and all, and every message fits."""
    configs = [
        config(key_length, apiVersion=api_version),
        config(key_length, apiVersion=api_version),
    ]
    items = each_event(numbers=(1, 2))
    statuses, messages = await answered(stub, configs, items)
    assert set(statuses) == {200}
    covered = [p for m in messages for r in m.requests for p in r.positions]
    assert sorted(covered) == list(range(len(items)))


async def test_credentials_that_no_message_holds_are_each_events_error(stub: Stub) -> None:
    """A key of 100,000 characters: TOO_LARGE, and the events of others beside it pass."""
    items = each_event(numbers=(1, 2))
    statuses, messages = await answered(stub, [config(100_000), config(10)], items)
    assert statuses == [400, 200] * (len(items) // 2)
    codes = {detail.error.code for message in messages for detail in message.details}
    assert codes == {v1.ErrorCode.ERROR_CODE_TOO_LARGE}


@pytest.mark.parametrize("key_length", [10, 30_000])
async def test_details_count_too(stub: Stub, key_length: int) -> None:
    """Refused events, each with a tag of 4,096 bytes, and good ones among them."""
    bad = v1.BatchItem(json=b'{"type":"track"}', destination=1, tag=TAG)
    unknown = v1.BatchItem(json=EVENTS["track"], destination=9, tag=TAG)
    good = v1.BatchItem(json=EVENTS["track"], destination=1, tag=TAG)
    items = [bad] * 60 + [unknown, good, bad] * 60 + [unknown] * 60
    statuses, messages = await answered(stub, [config(key_length)], items)
    assert statuses == [400] * 60 + [503, 200, 400] * 60 + [503] * 60
    assert all(message.statuses for message in messages)


@pytest.mark.parametrize("key_length", [10, 30_000, 44_000])
async def test_delivered_results_fit_too(connect: Connect, key_length: int) -> None:
    """With requests and tags; a request that no message holds is left out."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        items = each_event(numbers=(1, 2))
        for item in items:
            item.tag = TAG
        options = v1.DeliveryOptions(
            detail_level=v1.DetailLevel.DETAIL_LEVEL_ALL, include_requests=True
        )
        configs = [config(key_length), config(key_length, apiVersion="v2")]
        statuses, messages = await answered(stub, configs, items, delivery=options)
    assert set(statuses) == {200}
    assert any(message.requests for message in messages) == (key_length < 44_000)


async def test_a_prepared_requests_other_texts_count_by_their_bytes(connect: Connect) -> None:
    """endpoint_path is any text, and takes more bytes than it has characters."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        items = [
            v1.BatchItem(
                prepared=v1.PreparedRequest(
                    method="PUT",
                    url=f"https://track.customer.io/api/v1/customers/u{number}",
                    endpoint_path="\U0001f600" * 4_000 + str(number),
                    headers={"Authorization": "Basic eDp5"},
                )
            )
            for number in range(20)
        ]
        options = v1.DeliveryOptions(include_requests=True)
        statuses, messages = await answered(stub, [], items, delivery=options)
    assert set(statuses) == {200}
    assert sum(len(message.requests) for message in messages) == 20


async def test_problems_of_ten_thousand_destinations_fit(stub: Stub) -> None:
    """Opened says as many as fit, and first of all what keeps a destination from working."""
    noted = config(10, connectionMode={"web": "sometimes"})
    found = [v1.Destination(reference_id=number, config_json=noted) for number in range(1, 9_991)]
    found += [
        v1.Destination(reference_id=number, config_json=b"{}") for number in range(9_991, 10_001)
    ]
    call, answer = await opened(stub, destinations=found, max_receive_bytes=LIMIT)
    assert v1.TransformStreamResponse(opened=answer).ByteSize() <= LIMIT
    fatal = [problem.destination for problem in answer.problems if problem.fatal]
    assert sorted(set(fatal)) == list(range(9_991, 10_001))
    assert len(answer.problems) > 100
    call.cancel()


async def test_the_path_and_the_body_of_a_request_both_count(connect: Connect) -> None:
    """Bodies that fill several messages are split between messages."""
    event = {"type": "track", "userId": "u1", "event": "Order", "properties": {"text": "x" * 5_000}}
    items = [v1.BatchItem(json=json.dumps(event).encode(), destination=1) for _ in range(50)]
    statuses, messages = await answered(await connect(), [config(3)], items)
    assert statuses == [200] * 50
    assert len(messages) >= 50 * 5_000 / LIMIT
