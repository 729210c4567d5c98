"""A dead-letter topic that takes nothing: nothing is lost, and the log says what to do."""

from pathlib import Path

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.engines.kafka.broker import Broker
from tests.engines.kafka.example import WITHIN_S, arrived, example, flags
from tests.engines.kafka.topics import New, Topic, make_topic, track
from tests.processes import Server
from tests.sandbox.support import Process


def set_largest(topic: Topic, size: int) -> None:
    """Set max.message.bytes of a topic."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": topic.address})
    (changed,) = admin.incremental_alter_configs([resource]).values()
    changed.result(WITHIN_S)


def test_a_record_that_is_too_large_for_the_topic(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """Nothing is committed from the record on, later events arrive, and a larger limit solves it."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    set_largest(dead_letters, 1000)
    topic.write([track("p", 0), New(b"no JSON" * 1000, b"p"), track("p", 1)])
    group = f"group-{topic.name}"
    with example(tmp_path, *flags(topic, dead_letters, sidecar.addresses[0])) as running:
        running.says("does not take a record", "raise max.message.bytes", "from offset 1 of")
        running.until(lambda: arrived(sandbox.url) == {"p": [0, 1]})
        running.until(lambda: topic.committed(group) == {0: 1}, "the commit of the first event")
        set_largest(dead_letters, 100_000)
        running.until(lambda: topic.committed(group) == {0: 3})
    assert [letter.value() for letter in dead_letters.read(1)] == [b"no JSON" * 1000]


def test_the_topic_is_deleted_meanwhile(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """SIGTERM ends the example although a dead letter waits, and its record is not committed."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    topic.write([track("p", 0)])
    group = f"group-{topic.name}"
    arguments = flags(topic, dead_letters, sidecar.addresses[0])
    with example(tmp_path, *arguments, "--finish-within-s", "1") as running:
        running.until(lambda: topic.committed(group) == {0: 1})
        admin = AdminClient({"bootstrap.servers": kafka.address})
        admin.delete_topics([dead_letters.name])[dead_letters.name].result(WITHIN_S)
        topic.write([New(b"no JSON", b"p"), track("p", 1)])
        running.says("create the dead-letter topic")
        running.until(lambda: arrived(sandbox.url) == {"p": [0, 1]}, "the event after it")
        code, log = running.end()
    assert code == 0, log
    assert topic.committed(group) == {0: 1}
    assert arrived(sandbox.url) == {"p": [0, 1]}
