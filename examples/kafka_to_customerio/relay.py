"""The relay: a member of a consumer group that carries records to a sidecar."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from ciosidecar import AsyncClient, AsyncStream, DeliveryOptions, DetailLevel, StreamOptions
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.aio import AIOConsumer

from .dead_letters import DeadLetters
from .options import Options
from .partition import Partition
from .records import Counts

_RECORDS = 200
_POLL_S = 0.1
_KAFKA_TIMEOUT_S = 10.0
log = logging.getLogger("kafka_to_customerio")

_DEFAULTS = {
    # The relay commits itself, when records are done.
    "enable.auto.commit": False,
    # A group without commits starts with the oldest record, so that none is lost.
    "auto.offset.reset": "earliest",
    # What the library reads ahead of the relay, for each partition.
    "queued.max.messages.kbytes": 16_384,
}


class CannotRun(Exception):
    """A cause that the operator must mend. The text says what to do."""


class UnusableSettings(Exception):
    """Settings that librdkafka refuses."""


class Relay:
    """A member of a consumer group.

    All calls of the consumer are made by one task, or by a callback inside such a call.
    """

    def __init__(self, options: Options, client: AsyncClient, stop: asyncio.Event) -> None:
        self._options = options
        self._client = client
        self._stop = stop
        self._counts = Counts()
        self._partitions: dict[tuple[str, int], Partition] = {}
        defaults: dict[str, Any] = {**_DEFAULTS, "on_commit": self._on_commit}
        if options.consumer_settings.get("group.protocol") != "consumer":
            # A rebalance then takes only the partitions that move.
            defaults["partition.assignment.strategy"] = "cooperative-sticky"
        defaults |= {"error_cb": self._on_error, "logger": log}
        try:
            self._consumer = AIOConsumer({**defaults, **options.consumer_settings})
            self._dead_letters = DeadLetters(
                options.dead_letter_topic, {"logger": log, **options.producer_settings}
            )
        except KafkaException as failure:
            raise UnusableSettings(f"--kafka-settings: {failure.args[0].str()}") from failure

    async def run(self) -> None:
        """Carry records until told to stop.

        Raises:
            CannotRun: A topic is missing, or Kafka or the sidecar refuses what is asked.
        """
        serving = asyncio.create_task(self._dead_letters.run())
        try:
            for topic in (*self._options.topics, self._options.dead_letter_topic):
                await self._check_topic(topic)
            await self._consumer.subscribe(
                list(self._options.topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            try:
                await self._relay()
            finally:
                await self._give_up(list(self._partitions))
        finally:
            await self._consumer.close()
            serving.cancel()
            log.info("ended: %s", self._counts)

    async def _relay(self) -> None:
        commit_at = report_at = time.monotonic()
        while not self._stop.is_set():
            for message in await self._consumer.consume(_RECORDS, timeout=_POLL_S):
                self._take(message)
            for partition in self._partitions.values():
                if partition.task.done():
                    partition.task.result()  # raises why the sidecar refuses the call
            await self._pause_and_resume()
            now = time.monotonic()
            if now >= commit_at:
                commit_at = now + self._options.commit_every_s
                await self._commit(self._partitions.values(), asynchronous=True)
            if now >= report_at:
                report_at = now + self._options.report_every_s
                await self._report()

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise CannotRun(f"{error.str()}: allow the user to read {message.topic()}")
            log.error("Kafka: %s", error.str())
            return
        partition = self._partitions.get(_key(message.topic(), message.partition()))
        if partition is not None:
            partition.add(message)

    async def _pause_and_resume(self) -> None:
        """Ask Kafka for no records of partitions that fail or have enough. Others go on."""
        share = max(1, len(self._partitions))
        max_events = self._options.max_outstanding_events / share
        max_bytes = self._options.max_outstanding_bytes / share
        pause, resume = [], []
        for key, partition in self._partitions.items():
            used = max(partition.outstanding / max_events, partition.outstanding_bytes / max_bytes)
            if not partition.is_paused and (partition.is_failing or used >= 1):
                pause.append(TopicPartition(*key))
                partition.is_paused = True
            elif partition.is_paused and not partition.is_failing and used < 0.5:
                resume.append(TopicPartition(*key))
                partition.is_paused = False
        if pause:
            await self._consumer.pause(pause)
        if resume:
            await self._consumer.resume(resume)

    async def _on_assign(self, _consumer: AIOConsumer, assigned: list[TopicPartition]) -> None:
        for one in assigned:
            self._partitions[one.topic, one.partition] = Partition(
                one.topic,
                one.partition,
                self._open_stream,
                self._dead_letters,
                self._counts,
                max_tries=self._options.max_tries,
                max_pause_s=self._options.max_pause_s,
            )
        log.info("assigned: %s", _names(assigned))

    async def _on_revoke(self, _consumer: AIOConsumer, revoked: list[TopicPartition]) -> None:
        """Finish what is outstanding and commit, before another member gets the partitions."""
        log.info("revoked: %s", _names(revoked))
        await self._give_up([(one.topic, one.partition) for one in revoked])

    async def _on_lost(self, _consumer: AIOConsumer, lost: list[TopicPartition]) -> None:
        """Drop what is outstanding. Another member may have the partitions: commit nothing."""
        log.warning("lost: %s. Their events may be delivered twice", _names(lost))
        for one in lost:
            if partition := self._partitions.pop((one.topic, one.partition), None):
                await partition.drop()

    async def _give_up(self, keys: list[tuple[str, int]]) -> None:
        """Finish partitions, commit what is done, and forget them."""
        partitions = [found for key in keys if (found := self._partitions.get(key))]
        await asyncio.gather(*(one.finish(self._options.finish_within_s) for one in partitions))
        await self._commit(partitions, asynchronous=False)
        for key in keys:
            self._partitions.pop(key, None)

    async def _commit(self, partitions: Iterable[Partition], *, asynchronous: bool) -> None:
        """Commit the watermarks that have moved."""
        offsets = [
            TopicPartition(partition.topic, partition.number, partition.watermark)
            for partition in partitions
            if partition.watermark not in (None, partition.committed)
        ]
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        except KafkaException as failure:
            log.warning("nothing was committed: %s. Events will be delivered again", failure)

    async def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        for one in offsets:
            failure = error or one.error
            if failure is not None:
                log.warning("%s/%d is not committed: %s", one.topic, one.partition, failure)
            elif partition := self._partitions.get((one.topic, one.partition)):
                partition.committed = one.offset

    async def _on_error(self, error: KafkaError) -> None:
        log.error("Kafka: %s", error.str())

    def _open_stream(self) -> AsyncStream:
        options = self._options
        return self._client.stream(
            options.destination,
            StreamOptions(client_name="kafka_to_customerio", unordered=True, reconnect_for_s=5),
            deliver=DeliveryOptions(
                timeout_s=options.delivery_timeout_s, detail_level=DetailLevel.NOTABLE
            ),
        )

    async def _check_topic(self, topic: str) -> None:
        """Check that Kafka answers and has the topic.

        Raises:
            CannotRun: Kafka does not answer, or the topic is missing.
        """
        try:
            metadata = await self._consumer.list_topics(topic, timeout=_KAFKA_TIMEOUT_S)
        except KafkaException as failure:
            raise CannotRun(
                f"no answer from Kafka at {self._options.consumer_settings['bootstrap.servers']}: {failure.args[0].str()};"
                " check --bootstrap-servers, and security.protocol in --kafka-settings"
            ) from failure
        error = metadata.topics[topic].error
        if error is not None:
            raise CannotRun(
                f"the topic {topic} cannot be used: {error.str()}; create it, or correct its name"
            )

    async def _report(self) -> None:
        """Log the counts, what is outstanding, and the lag."""
        partitions = self._partitions
        lag = 0
        for key, partition in partitions.items():
            _, end = await self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
            if partition.watermark is not None:
                lag += max(0, end - partition.watermark)
        log.info(
            "%s outstanding=%d lag=%d partitions=%d paused=%d failing=%d",
            self._counts,
            sum(one.outstanding for one in partitions.values()),
            lag,
            len(partitions),
            sum(one.is_paused for one in partitions.values()),
            sum(one.is_failing for one in partitions.values()),
        )


def _key(topic: str | None, number: int | None) -> tuple[str, int]:
    assert topic is not None
    assert number is not None
    return topic, number


def _names(partitions: list[TopicPartition]) -> str:
    return ", ".join(f"{one.topic}/{one.partition}" for one in partitions) or "none"
