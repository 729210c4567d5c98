"""Each kind of record has its end: delivered, filtered, skipped, or in the dead-letter topic."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Message

from tests.engines.kafka.broker import Broker
from tests.engines.kafka.example import WITHIN_S, arrived, example, flags
from tests.engines.kafka.topics import New, Topic, make_topic, track
from tests.fake_customerio import OK, Received, Reply, fake_customerio
from tests.processes import Server, server
from tests.sandbox.support import Process

FAILS = Reply(500, headers={"Retry-After": "1"})
"""With a time limit of less than a second, the only attempt: no limit passes while an attempt is under way."""


def headers(message: Message) -> dict[str, str]:
    """The headers of a record, by name."""
    given = cast("list[tuple[str, bytes]]", message.headers())
    return {name: value.decode(errors="replace") for name, value in given}


def reasons(topic: Topic, number: int) -> dict[int, str]:
    """The codes in a dead-letter topic, by the offset of the original."""
    found = [headers(message) for message in topic.read(number)]
    return {int(one["ciosidecar.offset"]): one["ciosidecar.code"] for one in found}


def test_records_that_are_no_events_do_not_stop_the_others(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """A tombstone is skipped; no JSON, nothing and 5 MB are dead letters; the others arrive."""
    topic = make_topic(kafka.address, max_message_bytes="10000000")
    dead_letters = make_topic(kafka.address, max_message_bytes="10000000")
    large = track("p", 2, properties={"text": "x" * 5_000_000})
    topic.write(
        [
            track("p", 0),
            New(b"no JSON", b"p"),
            New(None, b"p"),
            New(b"", b"p"),
            large,
            New(b'{"type": "track", "event": "Whose?"}'),
            track("p", 1),
        ]
    )
    with example(tmp_path, *flags(topic, dead_letters, sidecar.addresses[0])) as running:
        running.until(lambda: topic.committed(f"group-{topic.name}") == {0: 7})
        code, log = running.end()
    assert code == 0, log
    assert arrived(sandbox.url) == {"p": [0, 1]}
    assert "delivered=2 filtered=0 dead_letters=4 tombstones=1" in log
    assert reasons(dead_letters, 4) == {
        1: "INVALID_JSON",
        3: "INVALID_JSON",
        4: "TOO_LARGE",
        5: "MISSING_IDENTITY",
    }
    assert large.value in [message.value() for message in dead_letters.read(4)]


def test_an_event_that_the_destination_filters_is_done(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """An event without requests is committed and counted as filtered."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    topic.write([New(b'{"type": "identify", "anonymousId": "a", "messageId": "m"}')])
    config = {"siteID": "site", "apiKey": "key", "profiles": "identified"}
    with example(
        tmp_path, *flags(topic, dead_letters, sidecar.addresses[0]), config=json.dumps(config)
    ) as running:
        running.until(lambda: topic.committed(f"group-{topic.name}") == {0: 1})
        code, log = running.end()
    assert code == 0, log
    assert "delivered=0 filtered=1 dead_letters=0" in log


async def test_a_dead_letter_is_the_record_as_it_was_with_the_reason_in_headers(
    kafka: Broker, tmp_path: Path
) -> None:
    """Bytes, key and headers are the original's; the reason is Customer.io's own."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    value = b'{"type": "track" , "userId": "p", "event": "Refused", "messageId": "m"}'
    given = (("trace", b"\x00\xff"), ("ciosidecar.code", b"of an earlier pass"))
    topic.write([New(value, b"the key", headers=given)])
    async with fake_customerio() as customerio:
        body = json.dumps({"meta": {"error": "no such thing"}}).encode()
        customerio.rule = lambda _request: Reply(400, body)
        with (
            server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as sidecar,
            example(tmp_path, *flags(topic, dead_letters, sidecar.addresses[0])) as running,
        ):
            (letter,) = await asyncio.to_thread(dead_letters.read, 1)
    assert (letter.value(), letter.key()) == (value, b"the key")
    assert cast("list[tuple[str, bytes]]", letter.headers())[0] == given[0]
    said = headers(letter)
    assert said.pop("trace")
    assert said.pop("ciosidecar.time")[:3] == "202"
    assert "no such thing" in said.pop("ciosidecar.message")
    assert said == {
        "ciosidecar.code": "REFUSED",
        "ciosidecar.topic": topic.name,
        "ciosidecar.partition": "0",
        "ciosidecar.offset": "0",
        "ciosidecar.attempts": "1",
    }, running.log()


async def test_a_retryable_failure_pauses_its_partition_and_no_other(
    kafka: Broker, tmp_path: Path
) -> None:
    """While one person cannot be delivered, the other partition goes on; then all is sent in order."""
    topic, dead_letters = make_topic(kafka.address, 2), make_topic(kafka.address)
    topic.write(track("stuck", number)._replace(partition=0) for number in range(5))
    topic.write(track("free", number)._replace(partition=1) for number in range(300))
    group = f"group-{topic.name}"
    works = False

    def rule(request: Received) -> Reply:
        return OK if works or request.person == "free" else FAILS

    async with fake_customerio() as customerio:
        customerio.rule = rule
        with (
            server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as sidecar,
            example(
                tmp_path,
                *flags(topic, dead_letters, sidecar.addresses[0]),
                *("--delivery-timeout-s", "0.9"),
            ) as running,
        ):
            await asyncio.to_thread(running.says, f"{topic.name}/0 pauses for", "UPSTREAM_FAILED")
            await asyncio.to_thread(running.until, lambda: topic.committed(group) == {1: 300})
            await asyncio.to_thread(running.says, "paused=1 failing=1")
            topic.write([track("free", 300)._replace(partition=1)])
            await asyncio.to_thread(running.until, lambda: topic.committed(group) == {1: 301})
            works = True
            await asyncio.to_thread(running.until, lambda: topic.committed(group) == {0: 5, 1: 301})
            code, log = await asyncio.to_thread(running.end)
    assert code == 0, log
    assert "dead_letters=0" in log
    sent = [
        json.loads(one.body)["data"]["number"]
        for one in customerio.requests
        if one.person == "stuck"
    ]
    assert list(dict.fromkeys(sent)) == [0, 1, 2, 3, 4]
    assert sent[-5:] == [0, 1, 2, 3, 4]


async def test_an_event_that_fails_too_often_is_a_dead_letter(
    kafka: Broker, tmp_path: Path
) -> None:
    """With --max-tries, a failing event lets the later events of its partition pass."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    topic.write([track("p", 0), track("p", 1)])
    async with fake_customerio() as customerio:
        customerio.rule = lambda one: FAILS if b'"number": 0' in one.body else OK
        with (
            server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as sidecar,
            example(
                tmp_path,
                *flags(topic, dead_letters, sidecar.addresses[0]),
                *("--delivery-timeout-s", "0.9", "--max-tries", "2"),
            ) as running,
        ):
            await asyncio.to_thread(
                running.until, lambda: topic.committed(f"group-{topic.name}") == {0: 2}
            )
            letters = await asyncio.to_thread(dead_letters.read, 1)
    assert [headers(one)["ciosidecar.code"] for one in letters] == ["UPSTREAM_FAILED"]


async def test_reading_stops_while_too_much_is_outstanding(kafka: Broker, tmp_path: Path) -> None:
    """If Customer.io does not answer, only so many events are read, and SIGTERM commits none of them."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    topic.write(track(f"p{number}", 0) for number in range(3000))
    async with fake_customerio(_silent) as customerio:
        with (
            server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as sidecar,
            example(
                tmp_path,
                *flags(topic, dead_letters, sidecar.addresses[0]),
                *("--max-outstanding-events", "500", "--finish-within-s", "0.5"),
            ) as running,
        ):
            await asyncio.to_thread(running.says, "paused=1")
            code, log = await asyncio.to_thread(running.end)
    assert code == 0, log
    outstanding = [
        int(word.split("=")[1]) for word in log.split() if word.startswith("outstanding=")
    ]
    assert 500 <= max(outstanding) < 800
    assert topic.committed(f"group-{topic.name}") == {}


async def _silent(_connection: Any) -> None:
    await asyncio.sleep(WITHIN_S)
