"""`deliver` of both clients: one batch in, delivered, its results out."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from ciosidecar import (
    AsyncClient,
    BatchEntry,
    CallFailed,
    Client,
    DeliveryOptions,
    DetailLevel,
    Unavailable,
    v1,
)
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.testing import server

from tests.client.both import CONFIG
from tests.client.scripted import ScriptedSidecar, serving

Call = Callable[..., list[Any]]


def sync_deliver(address: str, *arguments: Any, **options: Any) -> list[Any]:
    with Client(address) as client:
        return client.deliver(*arguments, **options)


def async_deliver(address: str, *arguments: Any, **options: Any) -> list[Any]:
    async def deliver() -> list[Any]:
        async with AsyncClient(address) as client:
            return await client.deliver(*arguments, **options)

    return asyncio.run(deliver())


both = pytest.mark.parametrize("deliver", [sync_deliver, async_deliver], ids=["sync", "async"])


def track(number: int, user: str = "u1") -> bytes:
    """An event of its own id and name."""
    event = b'{"type":"track","userId":"%b","event":"E%d","messageId":"m%d"}'
    return event % (user.encode(), number, number)


@both
def test_a_batch_is_delivered(deliver: Call) -> None:
    """One result an event, in order, with what Customer.io answered."""
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        results = deliver(sidecar.address, [track(1), b"no event", track(2)], CONFIG)
        assert [event.name for event in sandbox.workspace.events.kept] == ["E1", "E2"]
    assert [(result.position, result.status) for result in results] == [
        (0, 200),
        (1, 400),
        (2, 200),
    ]
    assert [result.delivery and result.delivery.http_status for result in results] == [
        200,
        None,
        200,
    ]


@both
def test_requests_of_a_transform_are_delivered_without_a_destination(deliver: Call) -> None:
    """As on a stream: a prepared request says itself where it goes."""
    options = DeliveryOptions(detail_level=DetailLevel.NOTABLE, include_requests=True)
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        with Client(sidecar.address) as client:
            (transformed,) = client.transform([track(1)], CONFIG)
        (result,) = deliver(sidecar.address, list(transformed.requests), options=options)
        assert [event.name for event in sandbox.workspace.events.kept] == ["E1"]
    assert result.ok
    assert result.delivery is None
    assert [request.body for request in result.requests] == [transformed.requests[0].body]


@both
def test_what_is_not_delivered_in_time_comes_back(deliver: Call) -> None:
    """Retryable, and the later event of the person names the earlier one's position."""
    with (
        running_sandbox(fault="503=1") as sandbox,
        server(customerio_url=sandbox.url) as sidecar,
    ):
        first, second, other = deliver(
            sidecar.address,
            [track(1), BatchEntry(event=track(2)), track(3, "u2")],
            CONFIG,
            options=DeliveryOptions(timeout_s=0.5),
        )
    assert first.error.retryable
    assert (second.error.code, second.error.blocked_by) == ("BLOCKED", 0)
    assert other.error.code != "BLOCKED"


@both
def test_a_call_that_fails_says_so(deliver: Call) -> None:
    """A destination missing where an event needs one is the caller's error, before anything is sent."""
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        with pytest.raises(ValueError, match="destination"):
            deliver(sidecar.address, [track(1)])
        with pytest.raises(CallFailed) as failure:
            deliver(sidecar.address, [track(1)] * 10_001, CONFIG)
        assert failure.value.code == grpc.StatusCode.INVALID_ARGUMENT
        assert not sandbox.workspace.events.kept


class UnavailableSidecar(ScriptedSidecar):
    """A sidecar that fails every batch with UNAVAILABLE, and counts the attempts."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = {"deliver": 0, "transform": 0}

    def Deliver(self, request: v1.DeliverRequest, context: Any) -> v1.DeliverResponse:  # noqa: N802
        self.attempts["deliver"] += 1
        return context.abort(grpc.StatusCode.UNAVAILABLE, "gone")  # type: ignore[no-any-return]

    def Transform(self, request: v1.TransformRequest, context: Any) -> v1.TransformResponse:  # noqa: N802
        self.attempts["transform"] += 1
        return context.abort(grpc.StatusCode.UNAVAILABLE, "gone")  # type: ignore[no-any-return]


@both
def test_a_failed_delivery_is_not_retried(deliver: Call) -> None:
    """The events may have been delivered before the call failed. A transform is retried."""
    sidecar = UnavailableSidecar()
    with serving(sidecar) as address:
        with pytest.raises(Unavailable, match="gone"):
            deliver(address, [track(1)], CONFIG)
        with Client(address) as client, pytest.raises(Unavailable, match="gone"):
            client.transform([track(1)], CONFIG)
    assert sidecar.attempts == {"deliver": 1, "transform": 4}


class TimedSidecar(ScriptedSidecar):
    """A sidecar that records how much time each delivery has."""

    def __init__(self) -> None:
        super().__init__()
        self.left_s: list[float | None] = []

    def Deliver(self, request: v1.DeliverRequest, context: Any) -> v1.DeliverResponse:  # noqa: N802
        self.left_s.append(context.time_remaining())
        return v1.DeliverResponse(results=v1.Results(statuses=[200], batch_complete=True))


@both
def test_a_delivery_has_30_seconds_more_than_its_events(deliver: Call) -> None:
    """The call ends after its delivery; a time limit of the caller's, or none, replaces the default."""
    sidecar = TimedSidecar()
    with serving(sidecar) as address:
        deliver(address, [track(1)], CONFIG)
        deliver(address, [track(1)], CONFIG, options=DeliveryOptions(timeout_s=100))
        deliver(address, [track(1)], CONFIG, timeout_s=7)
        deliver(address, [track(1)], CONFIG, timeout_s=None)
    default, longer, own, unlimited = sidecar.left_s
    assert default is not None
    assert longer is not None
    assert own is not None
    assert 80 < default <= 90.1
    # gRPC writes a time limit of more than 100 seconds in whole seconds, rounded up.
    assert 120 < longer <= 131
    assert 0 < own <= 7.1
    assert unlimited is None or unlimited > 1e6
