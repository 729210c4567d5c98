"""Topics of a real broker: made, written, read, and how far a group has committed."""

import json
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

_WITHIN_S = 60
_MAX_BYTES = 32 << 20


class Topic(NamedTuple):
    """A topic of a broker."""

    address: str
    """The broker's."""
    name: str
    partitions: int

    def write(self, records: Iterable["New"]) -> None:
        """Write records, and wait until the broker has all of them."""
        producer = Producer({"bootstrap.servers": self.address, "message.max.bytes": _MAX_BYTES})
        errors: list[Any] = []
        for record in records:
            more: dict[str, Any] = (
                {} if record.partition is None else {"partition": record.partition}
            )
            producer.produce(
                self.name,
                record.value,
                record.key,
                headers=list(record.headers),
                on_delivery=lambda error, _message: errors.append(error),
                **more,
            )
            producer.poll(0)
        left = producer.flush(_WITHIN_S)
        assert (left, set(errors) <= {None}) == (0, True), errors

    def read(self, number: int) -> list[Message]:
        """Return records, once there are so many."""
        settings = {
            "bootstrap.servers": self.address,
            "group.id": "reader",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": _MAX_BYTES,
        }
        consumer = Consumer(settings)
        try:
            consumer.assign([TopicPartition(self.name, one, 0) for one in range(self.partitions)])
            found: list[Message] = []
            while len(found) < number:
                batch = consumer.consume(number - len(found), timeout=_WITHIN_S)
                assert batch, f"{len(found)} of {number} records"
                found += batch
            return found
        finally:
            consumer.close()

    def ends(self) -> dict[int, int]:
        """Return the end of each partition that has records."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "reader"})
        try:
            found = {
                one: consumer.get_watermark_offsets(TopicPartition(self.name, one), _WITHIN_S)[1]
                for one in range(self.partitions)
            }
        finally:
            consumer.close()
        return {number: end for number, end in found.items() if end}

    def committed(self, group: str) -> dict[int, int]:
        """Return what the group has committed, by partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group})
        try:
            asked = [TopicPartition(self.name, one) for one in range(self.partitions)]
            found = consumer.committed(asked, timeout=_WITHIN_S)
        finally:
            consumer.close()
        return {one.partition: one.offset for one in found if one.offset >= 0}


class New(NamedTuple):
    """A record to write."""

    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def make_topic(address: str, partitions: int = 1, **settings: str) -> Topic:
    """Make a topic with a name of its own. settings: of the topic, with _ for a dot."""
    topic = Topic(address, f"events-{uuid.uuid4().hex[:8]}", partitions)
    config = {name.replace("_", "."): value for name, value in settings.items()}
    admin = AdminClient({"bootstrap.servers": address})
    (made,) = admin.create_topics([NewTopic(topic.name, partitions, 1, config=config)]).values()
    made.result(_WITHIN_S)
    return topic


def track(person: str, number: int, **more: Any) -> New:
    """Return a record with a track of a person, keyed by the person."""
    event = {
        "type": "track",
        "userId": person,
        "messageId": f"{person}-{number}",
        "event": "Step",
        "properties": {"person": person, "number": number},
    }
    return New(json.dumps(event | more).encode(), person.encode())


def tracks(people: int, each: int) -> list[New]:
    """Return records of several people in turns, in the order of each."""
    return [track(f"p{person}", number) for number in range(each) for person in range(people)]
