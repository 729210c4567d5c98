"""Destinations that speak Track API v2, as a caller sees them. Rule 10."""

import json
from typing import Any

from ciosidecar import read_results, v1

from tests.conftest import CONFIG, Stub, batch, destination, opened, results_of

V2 = CONFIG[:-1] + b', "apiVersion": "v2"}'
TRACK = b'{"type":"track","userId":"u%d","event":"Order"}'


def message(**found: Any) -> v1.TransformStreamRequest:
    """What a caller says."""
    return v1.TransformStreamRequest(**found)


def wide(number: int, size: int) -> bytes:
    """A track of its own person with so many bytes of properties."""
    head = b'{"type":"track","userId":"u%d","event":"e","properties":{"p":"' % number
    return head + b"x" * size + b'"}}'


async def test_a_batch_becomes_one_request(stub: Stub) -> None:
    """Which covers every event of it, in order; refused ones are not in it."""
    call, _ = await opened(stub, destinations=[destination(config=V2)])
    events = [TRACK % n for n in range(100)]
    events[41] = b"{"
    await call.write(message(batch=batch(*events)))
    (results,) = await results_of(call)
    (request,) = results.requests
    good = [n for n in range(100) if n != 41]
    assert list(request.positions) == good
    found = json.loads(request.body)["batch"]
    assert [item["identifiers"]["id"] for item in found] == [f"u{n}" for n in good]
    assert [one.status for one in read_results(results)].count(200) == 99


async def test_typed_settings_choose_the_api_version(stub: Stub) -> None:
    """API_VERSION_V2 means the same as apiVersion v2."""
    typed = v1.DestinationSettings(
        site_id="site", api_key="key", api_version=v1.ApiVersion.API_VERSION_V2
    )
    call, _ = await opened(stub, destinations=[v1.Destination(reference_id=1, typed=typed)])
    await call.write(message(batch=batch(TRACK % 1)))
    (results,) = await results_of(call)
    assert results.requests[0].path == "/api/v2/batch"
    assert results.templates[0].endpoint_path == "v2/batch"


async def test_api_versions_side_by_side(stub: Stub) -> None:
    """A destination in v1 and one in v2 on one stream, in one batch."""
    both = [destination(1), destination(2, V2)]
    call, _ = await opened(stub, destinations=both)
    mixed = batch(*[TRACK % n for n in range(4)])
    for item, number in zip(mixed.items, (1, 2, 1, 2), strict=True):
        item.destination = number
    await call.write(message(batch=mixed))
    (results,) = await results_of(call)
    found = {tuple(one.positions): one.path for one in results.requests}
    assert found == {
        (0,): "/api/v1/customers/u0/events",
        (2,): "/api/v1/customers/u2/events",
        (1, 3): "/api/v2/batch",
    }


async def test_an_event_that_is_not_to_be_batched_is_alone(stub: Stub) -> None:
    """dont_batch is what a router asks for after a batch failed."""
    call, _ = await opened(stub, destinations=[destination(config=V2)])
    events = batch(*[TRACK % n for n in range(3)])
    events.items[1].dont_batch = True
    await call.write(message(batch=events))
    (results,) = await results_of(call)
    covered = sorted(list(one.positions) for one in results.requests)
    assert covered == [[0, 2], [1]]


async def test_a_large_event_goes_out_by_v1_between_two_batches(stub: Stub) -> None:
    """10.2: and what came before it is listed before it."""
    call, _ = await opened(stub, destinations=[destination(config=V2)])
    await call.write(message(batch=batch(TRACK % 1, wide(2, 40_000), TRACK % 3)))
    (results,) = await results_of(call)
    assert [one.path for one in results.requests] == [
        "/api/v2/batch",
        "/api/v1/customers/u2/events",
        "/api/v2/batch",
    ]


async def test_shared_requests_fit_the_callers_messages(stub: Stub) -> None:
    """A request that still takes items is completed where the message that carries it is full."""
    limit = 100_000
    call, _ = await opened(stub, destinations=[destination(config=V2)], max_receive_bytes=limit)
    await call.write(message(batch=batch(*[wide(n, 2_000) for n in range(200)])))
    parts = await results_of(call)
    assert len(parts) > 1
    covered: list[int] = []
    for results in parts:
        assert results.ByteSize() <= limit
        answered = range(results.first_position, results.first_position + len(results.statuses))
        for request in results.requests:
            assert set(request.positions) <= set(answered)
            covered += request.positions
    assert covered == list(range(200))
