"""Requests that were transformed earlier, delivered as they are; and requests that come back with results."""

import json
from typing import Any

import pytest
from ciosidecar import v1

from tests.conftest import CONFIG, Connect, opened
from tests.delivery.caller import (
    CONFIG_V2,
    Told,
    caller,
    delivering,
    group,
    identify,
    put,
    track,
)
from tests.fake_customerio import HOLD, Reply, fake_customerio

US = "https://track.customer.io"
BATCH = f"{US}/api/v2/batch"


def batch(number: int) -> v1.BatchItem:
    """A prepared batch of so many operations."""
    operations = [{"type": "person", "identifiers": {"id": f"u{each}"}} for each in range(number)]
    body = json.dumps({"batch": operations}).encode()
    return v1.BatchItem(prepared=put(BATCH, body, method="POST", endpoint_path="v2/batch"))


def failed_items(told: Told) -> list[tuple[int, str, str]]:
    return [(each.index, each.reason, each.field) for each in told.delivery.failed_items]


async def test_a_transformed_request_is_delivered_as_it_is(connect: Connect) -> None:
    """Method, path, body and credentials as Transform gave them out, without any destination."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        answer = await stub.Transform(
            v1.TransformRequest(
                destinations=[v1.Destination(reference_id=1, config_json=CONFIG)],
                batch=v1.Batch(
                    destination=1,
                    items=[
                        v1.BatchItem(json=json.dumps(event).encode())
                        for event in (identify("ü/?", name="x"), track("1"), group("u1", "g"))
                    ],
                ),
            )
        )
        results = answer.results
        items = []
        for request in results.requests:
            template = results.templates[request.template]
            items.append(
                v1.BatchItem(
                    prepared=v1.PreparedRequest(
                        method=template.method,
                        url=template.base_url + request.path,
                        endpoint_path=template.endpoint_path,
                        headers=template.headers,
                        body=request.body,
                    )
                )
            )
        async with caller(stub) as one:
            await one.send(1, *items, number=0)
            assert [told.status for told in await one.told_all(1)] == [200, 200, 200]
        sent = {(each.method, each.path, each.body) for each in customerio.requests}
        assert sent == {
            (results.templates[each.template].method, each.path, each.body)
            for each in results.requests
        }
        assert {each.headers["authorization"] for each in customerio.requests} == {
            results.templates[0].headers["Authorization"]
        }


async def test_a_batch_taken_in_part_is_207(connect: Connect) -> None:
    """With the items that were refused, by their index; never sent again, never halved."""
    listed = [
        {"batch_index": "2", "reason": "bad", "field": "x"},
        {"batch_index": 0, "message": "worse"},
        {"batch_index": 2, "reason": "again"},
    ]
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(207, json.dumps({"errors": listed}).encode()))
        await one.send(1, batch(3))
        told = await one.told(1)
        assert (told.status, told.code, told.detail.error.retryable) == (207, "REFUSED", False)
        assert failed_items(told) == [(0, "worse", ""), (2, "bad", "x")]
        assert told.warnings == []
        assert len(customerio.requests) == 1


@pytest.mark.parametrize(
    "listed",
    [[{"batch_index": 3}], [{"batch_index": 99_999_999_999}], [{"reason": "whose"}], [None]],
    ids=["out of range", "vast", "no index", "null"],
)
async def test_an_error_of_no_item_is_a_warning(connect: Connect, listed: list[Any]) -> None:
    """The request counts as taken."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(207, json.dumps({"errors": listed}).encode()))
        await one.send(1, batch(3))
        told = await one.told(1)
        assert (told.status, told.warnings, failed_items(told)) == (200, ["UNATTRIBUTED_ERROR"], [])


@pytest.mark.parametrize("body", [b"{", b'"\xff"', b"[]", b'{"batch": 5}', b"{}"])
async def test_a_body_that_has_no_items_is_refused_as_a_whole(
    connect: Connect, body: bytes
) -> None:
    """An error of a batch that cannot be counted is the request's own, with its reason."""
    listed = [{"batch_index": 0, "reason": "bad", "field": "batch"}]
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(207, json.dumps({"errors": listed}).encode()))
        request = put(BATCH, body, method="POST", endpoint_path="v2/batch")
        await one.send(1, v1.BatchItem(prepared=request), number=0)
        told = await one.told(1)
        assert (told.status, told.code, told.detail.error.retryable) == (400, "REFUSED", False)
        assert (told.delivery.reason, failed_items(told)) == ("bad", [])
        assert [each.body for each in customerio.requests] == [body]


@pytest.mark.parametrize("status", [400, 413])
async def test_a_batch_refused_whole_is_not_taken_apart(connect: Connect, status: int) -> None:
    """It is delivered as it is, or not at all: the 4xx, once."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(status, b'{"meta": {"error": "no"}}'))
        await one.send(1, batch(4))
        told = await one.told(1)
        assert (told.status, told.code, told.delivery.reason) == (status, "REFUSED", "no")
        assert len(customerio.requests) == 1


async def test_it_keeps_its_place_among_the_persons_events(connect: Connect) -> None:
    """An event and a prepared request about one person wait for each other."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        request = v1.BatchItem(prepared=put(f"{US}/api/v1/customers/u1"))
        await one.send(1, track("1"), request, batch(2), track("2", "u0"), track("other", "u9"))
        first = await customerio.arrived(2)
        assert sorted(each.person for each in first) == ["u1", "u9"]
        customerio.rule = lambda _request: Reply()
        for each in first:
            each.release()
        assert {told.status for told in await one.told_all(1)} == {200}
        rest = [each.path for each in customerio.requests[2:]]
        assert rest == ["/api/v1/customers/u1", "/api/v2/batch", "/api/v1/customers/u0/events"]


async def test_what_is_no_call_of_the_track_api_is_refused(connect: Connect) -> None:
    """INVALID_ITEM for the item alone; another server sees nothing, nor does Customer.io."""
    async with (
        fake_customerio() as customerio,
        fake_customerio() as elsewhere,
        delivering(connect, customerio) as one,
    ):
        wrong = [
            put(f"{elsewhere.url}/api/v1/customers/u1"),
            put(f"{US}/api/v1/../../admin"),
            put("https://user:secret@track.customer.io/api/v1/customers/u1"),
            put(f"{US}/api/v1/customers/u1", method="GET"),
            put(f"{US}/api/v1/customers/u1", headers={"Authorization": "x\r\nX-Evil: 1"}),
            put(f"{US}/api/v1/customers/u1", headers={}),
            v1.PreparedRequest(),
        ]
        await one.send(1, *(v1.BatchItem(prepared=each) for each in wrong), track("1"))
        told = await one.told_all(1)
        assert {(each.status, each.code) for each in told[:-1]} == {(400, "INVALID_ITEM")}
        assert told[-1].status == 200
        assert (len(customerio.requests), elsewhere.requests) == (1, [])
        assert not any("secret" in each.detail.error.message for each in told)


async def test_results_carry_the_requests_where_asked_for(connect: Connect) -> None:
    """Every request once, with its template and the positions it covers, delivered or not."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        async with caller(
            stub, include_requests=True, detail_level=v1.DetailLevel.DETAIL_LEVEL_NOTABLE
        ) as one:
            customerio.answers(Reply(400))
            deleting = put(f"{US}/api/v1/customers/u8", b"", method="DELETE")
            await one.send(
                1,
                v1.BatchItem(prepared=put(f"{US}/api/v1/customers/u7"), tag=b"a tag"),
                v1.BatchItem(prepared=deleting),
                group("u1", "g1"),
                group("u2", "g2"),
            )
            await one.told_all(1)
            found = {}
            for results in one.messages:
                for request in results.requests:
                    template = results.templates[request.template]
                    for position in request.positions:
                        found[position] = (template.method, template.base_url + request.path)
                tags = {each.position: each.tag for each in results.details}
                assert tags.get(0, b"a tag") == b"a tag"
            assert found == {
                0: ("PUT", f"{US}/api/v1/customers/u7"),
                1: ("DELETE", f"{US}/api/v1/customers/u8"),
                2: ("POST", BATCH),
                3: ("POST", BATCH),
            }


MESSAGE_BYTES = 65_536


async def fitting(
    connect: Connect, reply: Reply, *items: Any, configs: tuple[bytes, ...]
) -> list[Told]:
    """Results of one batch for a caller who takes small messages; all of them fit."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        customerio.answers(then=reply)
        async with caller(
            stub, *configs, include_requests=True, max_receive_bytes=MESSAGE_BYTES
        ) as one:
            await one.send(1, *items)
            told = await one.told_all(1)
            sizes = [v1.TransformStreamResponse(results=each).ByteSize() for each in one.messages]
            assert max(sizes) <= MESSAGE_BYTES
            return told


async def test_results_are_split_to_fit(connect: Connect) -> None:
    """Large requests, and many of them: several messages, none larger than the caller takes."""
    events = [track("1", f"u{number}", properties={"x": "x" * 5000}) for number in range(100)]
    told = await fitting(connect, Reply(), *events, configs=(CONFIG_V2,))
    assert {each.status for each in told} == {200}


async def test_a_request_that_no_message_holds_is_left_out(connect: Connect) -> None:
    """Its result comes all the same."""
    event = track("1", properties={"x": "x" * 90_000})
    told = await fitting(connect, Reply(), event, track("2"), configs=(CONFIG,))
    assert [each.status for each in told] == [200, 200]


async def test_templates_count_towards_the_size(connect: Connect) -> None:
    """Four hundred workspaces with long credentials in one batch."""
    configs = tuple(
        b'{"siteID": "%d%b", "apiKey": "key"}' % (number, b"x" * 100) for number in range(400)
    )
    items = [
        v1.BatchItem(json=json.dumps(track("1")).encode(), destination=number)
        for number in range(1, 401)
    ]
    told = await fitting(connect, Reply(), *items, configs=configs)
    assert {each.status for each in told} == {200}


async def test_reasons_are_left_out_before_they_break_a_message(connect: Connect) -> None:
    """A thousand refused items with 900 bytes of reason each: all are named, some with their reason."""
    listed = [{"batch_index": index, "reason": "x" * 900} for index in range(1000)]
    reply = Reply(207, json.dumps({"errors": listed}).encode())
    (told,) = await fitting(connect, reply, batch(1000), configs=(CONFIG,))
    named = failed_items(told)
    assert [index for index, _, _ in named] == list(range(1000))
    assert named[0][1] == "x" * 900
    assert named[-1][1] == ""


async def test_details_with_tags_and_reasons_fit(connect: Connect) -> None:
    """Two hundred refusals, each with a long reason and the largest tag."""
    reply = Reply(400, json.dumps({"errors": [{"reason": "é" * 600, "field": "é" * 600}]}).encode())
    items = [
        v1.BatchItem(json=json.dumps(track("1", f"u{number}")).encode(), tag=b"x" * 4096)
        for number in range(200)
    ]
    told = await fitting(connect, reply, *items, configs=(CONFIG,))
    assert {each.status for each in told} == {400}
    assert {each.detail.tag for each in told} == {b"x" * 4096}


async def test_only_a_stream_that_delivers_takes_them(connect: Connect) -> None:
    """Elsewhere a prepared request is an INVALID_ITEM: there is nothing to transform."""
    stub = await connect()
    call, _ = await opened(stub)
    await call.write(
        v1.TransformStreamRequest(
            batch=v1.Batch(batch_id=1, destination=1, items=[v1.BatchItem(prepared=put(BATCH))])
        )
    )
    response: Any = await call.read()
    (detail,) = response.results.details
    assert detail.error.code == v1.ErrorCode.Value("ERROR_CODE_INVALID_ITEM")
    call.cancel()
