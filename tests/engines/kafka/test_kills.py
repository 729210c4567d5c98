"""At least once, in order, whatever is killed."""

from pathlib import Path

from tests.engines.kafka.broker import Broker
from tests.engines.kafka.killing import Load, disturbed
from tests.engines.kafka.topics import make_topic
from tests.sandbox.support import Process

LOAD = Load(people=40, each=40, per_s=400, kills=5, every_s=(0.6, 1.4), seed=21, within_s=120)


def test_example_and_sidecar_are_killed_at_random(
    kafka: Broker, sandbox: Process, tmp_path: Path
) -> None:
    """Every event arrives, in each person's order, and no commit is ahead of what has arrived."""
    topic, dead_letters = make_topic(kafka.address, 4), make_topic(kafka.address)
    outcome = disturbed(topic, dead_letters, sandbox.url, tmp_path, LOAD)
    assert outcome.problems == []
    assert outcome.events == LOAD.people * LOAD.each
    assert min(outcome.kills.values()) > 0, outcome
    assert dead_letters.ends() == {}
