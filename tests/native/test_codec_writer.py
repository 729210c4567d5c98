"""The compiled writer writes the bytes that the protobuf library writes, and splits results where the plain one does."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, NamedTuple

import pytest
from ciosidecar import v1
from ciosidecar_server.delivery import outcomes
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.outcomes import DeliveryOutcome, ItemRef
from ciosidecar_server.delivery.responses import Failure
from ciosidecar_server.rpc.codec import Codec
from ciosidecar_server.rpc.details import Delivered
from ciosidecar_server.rpc.results_encoder import Reporting, ResultsEncoder
from ciosidecar_server.rpc.results_message import EncodedResults
from ciosidecar_server.rpc.templates import EncodedTemplates, encode_template
from ciosidecar_transform import BatchTransform, Destination, Outcome, Request, read_destination
from ciosidecar_transform.outcomes import Error, ErrorCode, ErrorType, Warning, WarningCode
from ciosidecar_transform.requests import SharedItem

from tests.bench.events import events
from tests.native.codecs import COMPILED, REFERENCE

NOW = 1_772_600_000
_RESERVE_BYTES = 8192
_RESPONSES = (v1.TransformStreamResponse, v1.TransformResponse, v1.DeliverResponse)
_EVENTS = [event for _, event in events(400)]
_ODD_EVENTS = (
    b"no event",
    b'{"type":"track","event":"Order"}',
    b'{"type":"identify","userId":"u1","traits":{"unsubscribed":5,"id":"other"}}',
    b'{"type":"track","userId":"u1","event":"Order","originalTimestamp":"never"}',
    b'{"type":"track","userId":"u1","event":"Large","properties":{"a":"%b"}}' % (b"x" * 9_000),
    b'{"type":"identify","userId":"\xc3\xa9","traits":{"name":"\xf0\x9f\x98\x80"}}',
)


class Item(NamedTuple):
    """An answered item."""

    position: int
    tag: bytes


def _destination(key: str, version: str) -> Destination:
    config = b'{"siteID":"site","apiKey":"%b","apiVersion":"%b"}' % (key.encode(), version.encode())
    made, problems = read_destination(config)
    assert isinstance(made, Destination)
    assert not problems
    return made


_DESTINATIONS = [_destination(key, version) for key in ("a", "b" * 50) for version in ("v1", "v2")]


def _encoder(codec: Codec, response: Any, batch_id: int, reporting: Reporting) -> ResultsEncoder:
    new_results = partial(codec.new_results, response)
    return ResultsEncoder(new_results, batch_id, reporting, EncodedTemplates())


def _transformed(codec: Codec, seed: int, max_bytes: int | None) -> list[EncodedResults]:
    """Return the results of a random batch without delivery."""
    random = Random(seed)
    batch_id = random.choice((0, 1, 2**40, -5))
    encoder = _encoder(codec, random.choice(_RESPONSES), batch_id, Reporting(max_bytes))
    transform = BatchTransform(NOW, encoder.writer)
    encoder.flush_requests = transform.flush
    written = []
    for position in range(random.choice((0, 1, 3, 40, 200))):
        event = random.choice(_EVENTS if random.random() < 0.8 else _ODD_EVENTS)
        outcome = transform.add(
            position, event, random.choice(_DESTINATIONS), alone=random.random() < 0.1
        )
        encoder.answer(Item(position, random.choice((b"", b"tag"))), outcome)
        if random.random() < 0.1:
            written += encoder.take()
    encoder.finish()
    return written + encoder.take()


def _delivered(
    codec: Codec, seed: int, max_bytes: int | None, *, one_message: bool
) -> list[EncodedResults]:
    """Return the results of a random batch with delivery."""
    random = Random(seed)
    reporting = Reporting(
        max_bytes,
        detail_for_every_item=random.random() < 0.3,
        include_requests=random.random() < 0.7,
        one_message=one_message,
    )
    encoder = _encoder(codec, random.choice(_RESPONSES), 7, reporting)
    if random.random() < 0.3:
        encoder.hidden = {_DESTINATIONS[0].endpoints.identify, _DESTINATIONS[1].endpoints.batch}
    position = 0
    for _ in range(random.choice((0, 1, 5, 60))):
        position += random.choice((1, 1, 1, 2))
        item = Item(position, random.choice((b"", b"t" * 5_000)))
        outcome, delivered = _answer(random, position)
        encoder.answer(item, outcome, delivered)
    encoder.finish(complete=random.random() < 0.5)
    return encoder.take()


def _answer(random: Random, position: int) -> tuple[Outcome, Delivered | None]:
    warnings = [Warning(WarningCode.TEXT_CUT, "x" * random.choice((1, 50)))] * random.choice(
        (0, 0, 0, 1, 20)
    )
    if random.random() < 0.2:
        error = Error(ErrorCode.INVALID_JSON, ErrorType.INSTRUMENTATION, "é" * 30, 400, False)
        return Outcome(400, warnings, error), None
    endpoints = random.choice(_DESTINATIONS).endpoints
    body = b'{"a":%d}' % position * random.choice((0, 1, 100))
    request: Request | SharedItem = Request(
        endpoints.identify, f"/api/v1/customers/{position}", body
    )
    if random.random() < 0.5:
        request = SharedItem(endpoints.batch, "/api/v2/batch", body or b"{}")
    job = Job(request, (), 0.0, None, position)  # type: ignore[arg-type]  # nothing is notified
    job.attempts = random.choice((0, 1, 1, 3))
    job.first_sent_at, job.answered_at = 1.0, 1.25
    outcome = random.choice(_DELIVERY_OUTCOMES)
    return Outcome(outcome.status, warnings, outcome.error), Delivered(job, outcome)


_DELIVERY_OUTCOMES: Sequence[DeliveryOutcome] = (
    outcomes.DELIVERED,
    outcomes.DELIVERED,
    outcomes.DRAINED,
    outcomes.EXPIRED,
    outcomes.DRAINED._replace(retry_after_s=1.5, blocked_by=ItemRef(-3, 5)),
    DeliveryOutcome(
        207, http_status=207, failed_items=[Failure(1, "r" * 300, "f"), Failure(None, "", "")] * 20
    ),
)
Encode = Callable[[Codec, int, int | None], list[EncodedResults]]
_ENCODERS: dict[str, Encode] = {
    "transform": _transformed,
    "delivery": partial(_delivered, one_message=False),
    "delivery in one message": partial(_delivered, one_message=True),
}
_LIMITS = (None, _RESERVE_BYTES + 200, _RESERVE_BYTES + 3_000, 20_000, 65_536, 4_194_304)


_SEED_OF_MANY = 10
"""A seed of many items, of each kind."""


def _check(messages: list[EncodedResults], max_bytes: int | None) -> None:
    """Check what is true of all results, whoever wrote them."""
    assert [message.complete for message in messages[:-1]] == [False] * (len(messages) - 1)
    for message in messages:
        assert max_bytes is None or len(message.data) <= max_bytes


@pytest.mark.parametrize("kind", _ENCODERS)
def test_both_write_the_same_bytes(kind: str) -> None:
    """Random batches of both API versions and several destinations, with every limit: the messages are equal."""
    encode = _ENCODERS[kind]
    split = 0
    for seed in range(360):
        max_bytes = _LIMITS[seed % len(_LIMITS)]
        written = encode(COMPILED, seed, max_bytes)
        assert written == encode(REFERENCE, seed, max_bytes), (seed, max_bytes)
        split += len(written) > 1
        if kind != "delivery in one message":
            _check(written, max_bytes)
    assert split > 20 or kind == "delivery in one message"


@pytest.mark.parametrize("kind", _ENCODERS)
def test_both_split_at_the_same_byte(kind: str) -> None:
    """Each limit of five hundred consecutive ones: a message that is full by one byte is split by both."""
    encode = _ENCODERS[kind]
    numbers = set()
    for max_bytes in range(_RESERVE_BYTES + 2_000, _RESERVE_BYTES + 2_500):
        written = encode(COMPILED, _SEED_OF_MANY, max_bytes)
        assert written == encode(REFERENCE, _SEED_OF_MANY, max_bytes), max_bytes
        numbers.add(tuple(message.events for message in written))
    assert len(numbers) > 5 or kind == "delivery in one message"


def test_a_released_message_fails_as_an_exception() -> None:
    """Without its owner a full message cannot go on: an exception, no panic and no silence."""
    encoder = _encoder(COMPILED, v1.TransformResponse, 1, Reporting(_RESERVE_BYTES + 100))
    message = encoder.writer
    encoder.finish()
    with pytest.raises(RuntimeError):
        message.reserve(_DESTINATIONS[0].endpoints.identify, 10)


def test_requests_that_cannot_be_written() -> None:
    """A request that is none, or a path that is no Unicode text, is an exception and leaves the message as it was."""
    template = _DESTINATIONS[0].endpoints.identify
    for codec in (COMPILED, REFERENCE):
        encoder = _encoder(codec, v1.TransformResponse, 1, Reporting())
        writer = encoder.writer
        odd: Any
        for odd in (
            Request(template, "/\ud800", b""),
            Request(template, "/", "text"),  # type: ignore[arg-type]
            None,
        ):
            with pytest.raises((UnicodeEncodeError, TypeError, AttributeError, ValueError)):
                writer.add(odd, 0)
        with pytest.raises((OverflowError, ValueError)):
            writer.add(Request(template, "/", b""), 2**31)
        encoder.finish()
        (message,) = encoder.take()
        results = v1.TransformResponse.FromString(message.data).results
        if codec is COMPILED:
            assert not results.requests


def test_a_message_of_ten_thousand_destinations() -> None:
    """Templates are found by their objects, and a template that is gone is not taken for another."""
    for codec in (COMPILED, REFERENCE):
        encoder = _encoder(codec, v1.TransformResponse, 1, Reporting())
        for position in range(10_000):
            endpoints = _destination(f"k{position % 3_000}", "v1").endpoints
            encoder.writer.reserve(endpoints.event, 10)
            encoder.writer.add(Request(endpoints.event, "/", b"%d" % position), position)
            encoder.answer(Item(position, b""), Outcome(200, []))
        encoder.finish()
        (message,) = encoder.take()
        results = v1.TransformResponse.FromString(message.data).results
        assert len(results.templates) == 10_000
        assert [request.template for request in results.requests] == list(range(10_000))


def test_templates_are_what_protobuf_writes_at_once() -> None:
    """They are written in two parts that many share: the bytes are the same, for every endpoint and again."""
    kept = EncodedTemplates()
    for number in (1, 2, 1):
        for version in ("v1", "v2"):
            endpoints = _destination(f"k{number}" * 60, version).endpoints
            for template in (endpoints.identify, endpoints.event, endpoints.batch):
                message = v1.ApiRequestTemplate(
                    method=template.method,
                    base_url=template.base_url,
                    endpoint_path=template.endpoint_path,
                    headers=template.headers,
                )
                expected = message.SerializeToString(deterministic=True)
                assert kept.get(template).message == expected
                assert encode_template(template, template.headers).message == expected
