"""Events of a real Kafka reach the sandbox, through a real sidecar and the example as a process."""

from pathlib import Path

from tests.engines.kafka.broker import Broker
from tests.engines.kafka.example import arrived, example, flags
from tests.engines.kafka.topics import make_topic, tracks
from tests.processes import Server
from tests.sandbox.support import Process


def test_every_event_arrives_in_order_and_everything_is_committed(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """Every event arrives once, in each person's order, and the group is committed to the end."""
    topic, dead_letters = make_topic(kafka.address, 4), make_topic(kafka.address)
    topic.write(tracks(people=20, each=50))
    arguments = flags(topic, dead_letters, sidecar.addresses[0])
    with example(tmp_path, *arguments) as running:
        running.until(lambda: topic.committed(f"group-{topic.name}") == topic.ends())
        code, log = running.end()
    assert code == 0, log
    assert arrived(sandbox.url) == {f"p{person}": list(range(50)) for person in range(20)}
    assert "delivered=1000 " in log
