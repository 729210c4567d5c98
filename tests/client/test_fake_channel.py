"""The synchronous client alone, over grpcio-testing's fake channel: what it says, word by word."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest
from ciosidecar import CallFailed, Client, Closed, StreamOptions, Tls, Unavailable, v1
from ciosidecar.v1 import service_pb2

from tests.client.both import CONFIG, TRACK

SERVICE = service_pb2.DESCRIPTOR.services_by_name["SidecarService"]
METHODS = SERVICE.methods_by_name


@pytest.fixture
def channel() -> grpc_testing.Channel:
    """A channel whose other end is the test."""
    return grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Where the client's calls wait for the test to answer them."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_transform_says_everything_a_batch_refers_to(
    channel: grpc_testing.Channel, pool: ThreadPoolExecutor
) -> None:
    """One destination under number 1, the events as they are, and a deadline."""
    client = Client(channel=channel)
    waiting = pool.submit(client.transform, [TRACK, v1.RudderEvent(type="page")], CONFIG)
    _, request, rpc = channel.take_unary_unary(METHODS["Transform"])
    assert request == v1.TransformRequest(
        destinations=[v1.Destination(reference_id=1, config_json=CONFIG)],
        batch=v1.Batch(
            destination=1,
            items=[v1.BatchItem(json=TRACK), v1.BatchItem(event=v1.RudderEvent(type="page"))],
        ),
    )
    answer = v1.TransformResponse()
    answer.results.statuses.extend([200, 400])
    answer.results.details.add(position=1).error.CopyFrom(
        v1.EventError(code=v1.ErrorCode.ERROR_CODE_INVALID_JSON, message="why", retryable=True)
    )
    rpc.terminate(answer, (), grpc.StatusCode.OK, "")
    first, second = waiting.result(10)
    assert (first.status, first.error) == (200, None)
    assert second.error is not None
    assert (second.error.code, second.error.message) == ("INVALID_JSON", "why")


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.INVALID_ARGUMENT, CallFailed),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, CallFailed),
        (grpc.StatusCode.DEADLINE_EXCEEDED, CallFailed),
    ],
    ids=lambda parameter: getattr(parameter, "name", None),
)
def test_a_status_becomes_one_of_our_errors(
    channel: grpc_testing.Channel,
    pool: ThreadPoolExecutor,
    code: grpc.StatusCode,
    failure: type[Exception],
) -> None:
    """UNAVAILABLE is Unavailable, everything else CallFailed with its code and details."""
    waiting = pool.submit(Client(channel=channel).check, CONFIG)
    _, _, rpc = channel.take_unary_unary(METHODS["CheckDestination"])
    rpc.terminate(v1.CheckDestinationResponse(), (), code, "details")
    with pytest.raises(failure, match="details") as raised:
        waiting.result(10)
    assert getattr(raised.value, "code", code) == code


def test_a_code_of_a_newer_contract_is_its_number(
    channel: grpc_testing.Channel, pool: ThreadPoolExecutor
) -> None:
    """An enum number that the client does not know is given as that number."""
    waiting = pool.submit(Client(channel=channel).transform, [TRACK], CONFIG)
    _, _, rpc = channel.take_unary_unary(METHODS["Transform"])
    answer = v1.TransformResponse()
    answer.results.statuses.append(400)
    answer.results.details.add().error.code = 999  # type: ignore[assignment]
    rpc.terminate(answer, (), grpc.StatusCode.OK, "")
    (result,) = waiting.result(10)
    assert result.error is not None
    assert result.error.code == "999"


def test_a_stream_opens_declares_sends_and_finishes(channel: grpc_testing.Channel) -> None:
    """Open first; events only once it is answered; the destination before them; Finish last."""
    options = StreamOptions(client_name="me", max_receive_bytes=70_000)
    with Client(channel=channel) as client, client.stream(CONFIG, options) as stream:
        rpc = _opened(channel, v1.OpenStream(client_name="me", max_receive_bytes=70_000))
        stream.send(TRACK, "first")
        declared = rpc.take_request().upsert_destinations.destinations
        assert list(declared) == [v1.Destination(reference_id=1, config_json=CONFIG)]
        batch = rpc.take_request().batch
        assert [item.json for item in batch.items] == [TRACK]
        rpc.send_response(_answer(batch))
        stream.finish()
        assert rpc.take_request().HasField("finish")
        rpc.requests_closed()
        assert [answer.attachment for answer in stream] == ["first"]
        rpc.terminate((), grpc.StatusCode.OK, "")


def test_a_drained_stream_finishes_and_opens_another(channel: grpc_testing.Channel) -> None:
    """Drain: Finish on this stream, Open on the next, and what had no answer goes there."""
    with Client(channel=channel) as client, client.stream(CONFIG) as stream:
        first = _opened(channel, None)
        stream.send(TRACK, "mine")
        stream.finish()
        first.take_request()
        unanswered = first.take_request().batch
        drain = v1.TransformStreamResponse()
        drain.drain.grace.seconds = 1
        first.send_response(drain)
        assert first.take_request().HasField("finish")
        first.terminate((), grpc.StatusCode.OK, "")
        second = _opened(channel, None)
        second.take_request()
        again = second.take_request().batch
        assert [item.json for item in again.items] == [item.json for item in unanswered.items]
        second.send_response(_answer(again))
        assert [answer.attachment for answer in stream] == ["mine"]
        second.terminate((), grpc.StatusCode.OK, "")


def test_leaving_the_block_ends_the_call_and_the_thread(channel: grpc_testing.Channel) -> None:
    """Nothing of a stream outlives its block, finished or not."""
    with Client(channel=channel) as client, client.stream(CONFIG) as stream:
        rpc = _opened(channel, None)
        stream.send(TRACK)
        rpc.take_request()
    assert "ciosidecar-stream" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(Closed):
        stream.send(TRACK)


def test_no_secret_is_in_a_repr() -> None:
    """What people log by accident: options and TLS."""
    assert "PRIVATE" not in repr(Tls(private_key=b"PRIVATE"))


def _opened(channel: grpc_testing.Channel, opening: v1.OpenStream | None) -> Any:
    """The next stream on the channel, opened."""
    _, rpc = channel.take_stream_stream(METHODS["TransformStream"])
    rpc.send_initial_metadata(())
    request = rpc.take_request()
    assert request.HasField("open")
    assert opening is None or request.open == opening
    answer = v1.TransformStreamResponse()
    answer.opened.limits.max_batch_events = 100
    answer.opened.limits.max_destinations = 10
    rpc.send_response(answer)
    return rpc


def _answer(batch: v1.Batch) -> v1.TransformStreamResponse:
    answer = v1.TransformStreamResponse()
    answer.results.batch_id = batch.batch_id
    answer.results.statuses.extend([200] * len(batch.items))
    answer.results.batch_complete = True
    return answer
