"""A real Kafka broker: one node that is also its controller, on loopback, in a temporary directory."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.engines.programs import need
from tests.ports import free_port

JARS = Path(__file__).parents[3] / ".venv" / "kafka"
_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_START_WITHIN_S = 180
# A small heap and the quick compiler: the broker lives for minutes and carries little.
_JAVA = (
    *("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={directory}/logs
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class Broker:
    """A broker. It keeps its port and its data when it is ended and started again."""

    def __init__(self, directory: Path) -> None:
        self._java = need("java", "openjdk-17-jre-headless")
        if not any(JARS.glob("kafka_*.jar")):
            reason = "Kafka's jars are not here: make test-engines installs them"
            (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(reason)
        port = free_port(in_a_row=2)
        controller = port + 1
        self.address = f"127.0.0.1:{port}"
        self._log = directory / "broker.log"
        self._settings = directory / "server.properties"
        self._settings.write_text(
            _PROPERTIES.format(port=port, controller=controller, directory=directory)
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._run(
            "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", self._settings
        ).wait(_START_WITHIN_S)

    def start(self) -> None:
        """Start the broker, and wait until it answers."""
        self._process = self._run("kafka.Kafka", self._settings)
        # Asking for a group's offsets makes the topic that keeps them, and waits for it.
        consumer = Consumer(
            {"bootstrap.servers": self.address, "group.id": "any", "logger": _Silent()}
        )
        ends_at = time.monotonic() + _START_WITHIN_S
        while True:
            try:
                consumer.committed([TopicPartition("any", 0)], timeout=1)
            except KafkaException:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < ends_at, self._log.read_text()
            else:
                break
        consumer.close()

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the broker."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_START_WITHIN_S)

    def _run(self, *arguments: str | Path) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [self._java, *_JAVA, "-cp", f"{JARS}/*", *arguments], stdout=log, stderr=log
            )


class _Silent:
    """A logger without output: a broker that starts refuses connections."""

    def log(self, *_arguments: object) -> None:
        """Drop a line."""


@contextmanager
def broker(directory: Path) -> Iterator[Broker]:
    """Yield a running broker, ended with the block."""
    found = Broker(directory)
    try:
        found.start()
        yield found
    finally:
        found.end()
