"""The dead-letter topic: records that no further attempt would deliver, with the reason."""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from .records import Record

_PREFIX = "ciosidecar."
_FIRST_DELAY_S, _MAX_DELAY_S = 0.5, 30.0
_DEFAULTS = {
    # A record that a topic has is at most this large, whatever the brokers' limit is.
    "message.max.bytes": 100_000_000,
    # The library gives a record up after this time. Then `write` says why, and tries again.
    "message.timeout.ms": 10_000,
    # Within that time, the library says that a topic is missing.
    "topic.metadata.propagation.max.ms": 3_000,
}
_WHAT_TO_DO = {
    "MSG_SIZE_TOO_LARGE": "raise max.message.bytes of the dead-letter topic",
    "UNKNOWN_TOPIC_OR_PART": "create the dead-letter topic",
    "_UNKNOWN_TOPIC": "create the dead-letter topic",
    "_MSG_TIMED_OUT": "check that Kafka answers and the topic has a leader",
    "TOPIC_AUTHORIZATION_FAILED": "allow this program's user to write to the dead-letter topic",
}
log = logging.getLogger("kafka_to_customerio")


class DeadLetters:
    """A writer of the dead-letter topic.

    Args:
        topic: The topic.
        settings: Settings of librdkafka.
    """

    def __init__(self, topic: str, settings: Mapping[str, Any]) -> None:
        self._topic = topic
        self._producer = Producer({**_DEFAULTS, **settings})
        self._last_report = 0.0

    async def run(self) -> None:
        """Serve the acks of the brokers until cancelled."""
        while True:
            await asyncio.to_thread(self._producer.poll, 0.1)

    async def write(self, record: Record, code: str, reason: str, attempts: int) -> None:
        """Write a record, and return once the topic has it, however long that takes.

        The record keeps its bytes, key and headers. The headers `ciosidecar.…` say why it is here.
        """
        message = record.message
        reasons = {
            "code": code,
            "message": reason,
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": record.offset,
            "attempts": attempts,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        given = cast("list[tuple[str, Any]]", message.headers() or [])
        headers = [(name, value) for name, value in given if not name.startswith(_PREFIX)]
        headers += [(_PREFIX + name, str(value).encode()) for name, value in reasons.items()]
        delay_s = _FIRST_DELAY_S
        while (error := await self._try_to_write(message, headers)) is not None:
            self._report(error, record)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _MAX_DELAY_S)

    async def _try_to_write(
        self, message: Message, headers: list[tuple[str, Any]]
    ) -> KafkaError | None:
        """Write a record once. Return why the topic does not have it, or None."""
        loop = asyncio.get_running_loop()
        acked: asyncio.Future[KafkaError | None] = loop.create_future()

        def settle(error: KafkaError | None) -> None:
            if not acked.done():  # the task that waits may have been cancelled
                acked.set_result(error)

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            loop.call_soon_threadsafe(settle, error)

        try:
            self._producer.produce(
                self._topic,
                message.value(),
                message.key(),
                headers=headers,
                on_delivery=on_delivery,
            )
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            return error
        except BufferError:  # too many records wait for their acks
            return KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - the library's own name
        return await acked

    def _report(self, error: KafkaError, record: Record) -> None:
        """Say why a record cannot be written, at most once a second."""
        if time.monotonic() - self._last_report < 1:
            return
        self._last_report = time.monotonic()
        message = record.message
        log.error(
            "the dead-letter topic %s does not take a record: %s; %s. Nothing is committed from offset %d"
            " of %s/%d on until it is written",
            self._topic,
            error.str(),
            _WHAT_TO_DO.get(error.name(), "it is tried again"),
            record.offset,
            message.topic(),
            message.partition(),
        )
