"""What cannot work is said at the start, with what to do, and an exit code."""

from pathlib import Path

import pytest

from tests.engines.kafka.broker import Broker
from tests.engines.kafka.example import example, flags
from tests.engines.kafka.topics import Topic, make_topic
from tests.processes import Server, server


def test_no_kafka_answers(no_listener: str, sidecar: Server, tmp_path: Path) -> None:
    """A wrong bootstrap address is named, with the settings to look at."""
    topic = Topic(no_listener, "events", 1)
    with example(tmp_path, *flags(topic, topic._replace(name="dead"), sidecar.addresses[0])) as one:
        code, log = one.end(None)
    assert code == 1
    assert f"no answer from Kafka at {no_listener}" in log
    assert "check --bootstrap-servers" in log.splitlines()[-1]


@pytest.mark.parametrize("missing", ["events", "dead letters"])
def test_a_topic_is_missing(kafka: Broker, sidecar: Server, tmp_path: Path, missing: str) -> None:
    """A missing topic is named, and that it must be created."""
    topic = make_topic(kafka.address)
    absent = topic._replace(name="absent")
    topics = (absent, topic) if missing == "events" else (topic, absent)
    with example(tmp_path, *flags(*topics, sidecar.addresses[0])) as running:
        code, log = running.end(None)
    assert code == 1
    assert "the topic absent cannot be used" in log.splitlines()[-1]
    assert "create it" in log.splitlines()[-1]


def test_no_sidecar_answers(kafka: Broker, no_listener: str, tmp_path: Path) -> None:
    """A sidecar that does not answer is named."""
    topic = make_topic(kafka.address)
    with example(tmp_path, *flags(topic, make_topic(kafka.address), no_listener)) as running:
        code, log = running.end(None)
    assert code == 1
    assert no_listener in log.splitlines()[-1]


def test_a_sidecar_without_delivery(kafka: Broker, tmp_path: Path) -> None:
    """A sidecar that does not deliver ends the program, and nothing is committed."""
    topic = make_topic(kafka.address)
    topic.write([])
    with (
        server("--listen", "127.0.0.1:0", "--no-delivery") as sidecar,
        example(
            tmp_path, *flags(topic, make_topic(kafka.address), sidecar.addresses[0])
        ) as running,
    ):
        code, log = running.end(None)
    assert code == 1
    assert "--no-delivery" in log.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--max-tries", "0"], "must be above 0"),
        (["--destination-ref", ""], "name the destination"),
        (["--dead-letter-topic", "events"], "must not be a topic that is read"),
        (["--kafka-settings", "absent"], "No such file"),
    ],
)
def test_a_wrong_option(tmp_path: Path, arguments: list[str], reason: str) -> None:
    """A wrong option is refused with exit code 2."""
    topic = Topic("127.0.0.1:1", "events", 1)
    given = [*flags(topic, topic._replace(name="dead"), "127.0.0.1:1"), *arguments]
    with example(tmp_path, *given, config=None if "ref" in arguments[0] else "{}") as running:
        code, log = running.end(None)
    assert code == 2
    assert reason in log.splitlines()[-1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("no.such.setting=1", "no.such.setting"),
        ("consumer.enable.auto.commit=true", "enable.auto.commit"),
        ("security.protocol", "name=value"),
        ("security.protocol=SSL\nssl.ca.location=absent.pem", "ssl.ca.location"),
    ],
)
def test_a_wrong_setting_of_kafka(
    sidecar: Server, tmp_path: Path, settings: str, reason: str
) -> None:
    """Settings reach the library, and a wrong one is refused with exit code 2."""
    topic = Topic("127.0.0.1:1", "events", 1)
    arguments = flags(topic, topic._replace(name="dead"), sidecar.addresses[0])
    with example(tmp_path, *arguments, settings=settings) as running:
        code, log = running.end(None)
    assert code == 2, log
    assert reason in log.splitlines()[-1]


def test_help_teaches(tmp_path: Path) -> None:
    """--help has examples, what becomes of a record, and the exit codes."""
    with example(tmp_path, "--help") as running:
        code, text = running.end(None)
    assert code == 0
    for part in ("examples:", "sasl.mechanism", "what becomes of a record:", "exit codes:"):
        assert part in text
