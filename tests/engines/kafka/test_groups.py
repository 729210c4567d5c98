"""Members of a group that come, go, stop and are lost; a broker that restarts."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from tests.engines.kafka.broker import Broker
from tests.engines.kafka.example import QUICK, arrived, counters, example, flags
from tests.engines.kafka.topics import make_topic, track, tracks
from tests.fake_customerio import HOLD, OK, Received, fake_customerio
from tests.processes import Server, server
from tests.sandbox.support import Process

ALL = {f"p{person}": list(range(40)) for person in range(20)}


def test_partitions_move_to_a_second_member_and_back(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """Events flow while a member joins and leaves: all arrive in order, and nothing is sent twice."""
    topic, dead_letters = make_topic(kafka.address, 4), make_topic(kafka.address)
    group, records = f"group-{topic.name}", tracks(people=20, each=40)
    arguments = flags(topic, dead_letters, sidecar.addresses[0])
    with example(tmp_path, *arguments) as first:
        topic.write(records[:300])
        first.says("assigned")
        with example(tmp_path, *arguments) as second:
            topic.write(records[300:400])
            second.says("assigned", "partitions=2")
            first.says("revoked")
            topic.write(records[400:600])
            second.until(lambda: topic.committed(group) == topic.ends())
            code, log = second.end()
            assert code == 0, log
            assert "delivered=0" not in log.splitlines()[-1]
        first.says("partitions=4")
        topic.write(records[600:])
        first.until(lambda: topic.committed(group) == topic.ends())
        code, log = first.end()
    assert code == 0, log
    assert arrived(sandbox.url) == ALL
    assert counters(sandbox.url)["by_outcome"] == {"applied": 800}


async def test_a_revoked_partition_is_committed_as_far_as_it_was_answered(
    kafka: Broker, tmp_path: Path
) -> None:
    """What Customer.io does not answer in time is not committed, and the next member sends it."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    topic.write(track(f"p{number}", number) for number in range(10))
    group = f"group-{topic.name}"

    def rule(request: Received) -> Any:
        return HOLD if request.person == "p6" and len(_of(customerio, "p6")) == 1 else OK

    async with fake_customerio() as customerio:
        customerio.rule = rule
        with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as sidecar:
            arguments = flags(topic, dead_letters, sidecar.addresses[0])
            with example(tmp_path, *arguments, "--finish-within-s", "0.5") as first:
                await asyncio.to_thread(first.until, lambda: topic.committed(group) == {0: 6})
                code, log = await asyncio.to_thread(first.end, signal.SIGINT)
            assert code == 0, log
            assert await asyncio.to_thread(topic.committed, group) == {0: 6}
            # Without an answer, the sidecar would keep the person waiting for ten seconds.
            _of(customerio, "p6")[0].release()
            with example(tmp_path, *arguments) as second:
                await asyncio.to_thread(second.until, lambda: topic.committed(group) == {0: 10})
    assert len(_of(customerio, "p6")) == 2
    assert len(_of(customerio, "p5")) == 1


def _of(customerio: Any, person: str) -> list[Received]:
    return [request for request in customerio.requests if request.person == person]


async def test_a_lost_partition_is_not_committed(kafka: Broker, tmp_path: Path) -> None:
    """A member that was stopped for too long says so, and commits nothing over its successor."""
    topic, dead_letters = make_topic(kafka.address), make_topic(kafka.address)
    group = f"group-{topic.name}"
    topic.write([track("p", 0)])
    async with fake_customerio() as customerio:
        customerio.rule = lambda request: HOLD if request.person == "slow" else OK
        with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as sidecar:
            arguments = flags(topic, dead_letters, sidecar.addresses[0])
            with example(tmp_path, *arguments, settings=QUICK) as first:
                await asyncio.to_thread(first.until, lambda: topic.committed(group) == {0: 1})
                with example(tmp_path, *arguments, settings=QUICK) as second:
                    await asyncio.to_thread(second.says, "assigned: none")
                    topic.write([track("slow", 0)])
                    held = (await customerio.arrived(2))[1]
                    first.process.send_signal(signal.SIGSTOP)
                    await asyncio.to_thread(second.says, "assigned: events")
                    customerio.rule = lambda _request: OK
                    held.release()
                    topic.write([track("p", 1)])
                    await asyncio.to_thread(second.until, lambda: topic.committed(group) == {0: 3})
                    first.process.send_signal(signal.SIGCONT)
                    await asyncio.to_thread(first.says, "lost: events")
                    code, log = await asyncio.to_thread(first.end)
                    assert code == 0, log
                    assert await asyncio.to_thread(topic.committed, group) == {0: 3}


def test_a_broker_that_restarts(
    kafka: Broker, sandbox: Process, sidecar: Server, tmp_path: Path
) -> None:
    """The example goes on after the broker was killed and started again, and loses nothing."""
    topic, dead_letters = make_topic(kafka.address, 2), make_topic(kafka.address)
    group, records = f"group-{topic.name}", tracks(people=20, each=40)
    with example(tmp_path, *flags(topic, dead_letters, sidecar.addresses[0])) as running:
        topic.write(records[:400])
        running.says("outstanding=")
        kafka.end()
        kafka.start()
        topic.write(records[400:])
        running.until(lambda: topic.committed(group) == topic.ends())
        code, log = running.end()
    assert code == 0, log
    assert arrived(sandbox.url) == ALL
