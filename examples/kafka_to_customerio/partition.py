"""One partition: its records that are not done, and the stream that carries them to a sidecar."""

import asyncio
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from ciosidecar import AsyncStream, Closed, Result, Unavailable
from confluent_kafka import Message

from .dead_letters import DeadLetters
from .records import Counts, Record

_FIRST_PAUSE_S = 0.2
log = logging.getLogger("kafka_to_customerio")


class Failure(NamedTuple):
    """Why events must be sent again."""

    reason: str
    retry_after_s: float = 0.0


class Partition:
    """An assigned partition.

    A record is done when its event was delivered or filtered, when the dead-letter topic has it, or if
    it is a tombstone. `watermark` is the offset of the first record that is not done.

    One stream carries the events of the partition. After a retryable failure, the stream is cancelled,
    and a new one carries everything that is not done, in order. So no later event overtakes the one
    that failed, also if the sidecar ends at the same moment.

    Args:
        topic: Its topic.
        number: Its number in the topic.
        open_stream: Return a new stream with delivery, not entered yet.
        dead_letters: The dead-letter topic.
        counts: The counts of the process.
        max_tries: The number of retryable failures after which an event is refused. None: no limit.
        max_pause_s: The longest pause after a failure, unless Customer.io asks for a longer one.
    """

    def __init__(
        self,
        topic: str,
        number: int,
        open_stream: Callable[[], AsyncStream],
        dead_letters: DeadLetters,
        counts: Counts,
        *,
        max_tries: int | None,
        max_pause_s: float,
    ) -> None:
        self.topic = topic
        self.number = number
        self.committed: int | None = None
        """The offset that Kafka has confirmed."""
        self.outstanding_bytes = 0
        """The size of the records that are not done."""
        self.is_failing = False
        """True from a retryable failure until everything that is not done is sent again."""
        self.is_paused = False
        """True while Kafka is asked for no records of the partition."""
        self._open_stream = open_stream
        self._dead_letters = dead_letters
        self._counts = counts
        self._max_tries = max_tries
        self._max_pause_s = max_pause_s
        self._next_offset: int | None = None
        self._done = 0
        # In the order of offsets. An OrderedDict finds its first entry at once, a dict does not.
        self._pending: OrderedDict[int, Record] = OrderedDict()
        self._to_send: deque[Record] = deque()
        self._more = asyncio.Event()
        self._all_done = asyncio.Event()
        self._all_done.set()
        self._is_stopping = False
        self._writes: set[asyncio.Task[None]] = set()
        self.task = asyncio.create_task(self._run())
        """The task that carries the events. It ends by itself only if the sidecar refuses the call."""

    @property
    def outstanding(self) -> int:
        """The number of records that are not done."""
        return len(self._pending)

    @property
    def watermark(self) -> int | None:
        """The offset of the first record that is not done, which is the offset to commit."""
        return next(iter(self._pending), self._next_offset)

    def add(self, message: Message) -> None:
        """Take the next record."""
        offset, value = message.offset(), message.value()
        assert offset is not None
        if self.committed is None:
            self.committed = offset  # Kafka starts where the group is
        self._next_offset = offset + 1
        if value is None:
            self._counts["tombstones"] += 1
            return
        record = self._pending[offset] = Record(message, offset, value)
        self.outstanding_bytes += len(value)
        self._to_send.append(record)
        self._all_done.clear()
        self._more.set()

    async def finish(self, within_s: float) -> None:
        """Wait until every record is done, at most for the given time. Then send nothing more.

        A failure ends the wait: there is no time for another attempt.
        """
        self._is_stopping = True
        if not self.is_failing:
            all_done = asyncio.create_task(self._all_done.wait())
            await asyncio.wait(
                (all_done, self.task), timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
            all_done.cancel()
        await self.drop()

    async def drop(self) -> None:
        """Send nothing more, and forget what is not done."""
        tasks = (self.task, *self._writes)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        delay_s = _FIRST_PAUSE_S
        while True:
            done_before = self._done
            failure = await self._carry()
            if self._is_stopping:
                return
            if self._done > done_before:
                delay_s = _FIRST_PAUSE_S
            wait_s = max(failure.retry_after_s, random.uniform(delay_s / 2, delay_s))  # noqa: S311
            delay_s = min(delay_s * 2, self._max_pause_s)
            log.warning(
                "%s/%d pauses for %.1f s with %d events: %s",
                self.topic,
                self.number,
                wait_s,
                self.outstanding,
                failure.reason,
            )
            await asyncio.sleep(wait_s)
            self._to_send = deque(
                record for record in self._pending.values() if not record.is_refused
            )
            self._counts["sent_again"] += len(self._to_send)
            self.is_failing = False
            if self._to_send:
                self._more.set()

    async def _carry(self) -> Failure:
        """Carry events on one stream, and return the first retryable failure.

        Raises:
            CallFailed: The sidecar refuses the call, and would refuse it again.
        """
        failure = Failure("the stream ended")
        await self._more.wait()  # a partition without events needs no stream
        try:
            async with self._open_stream() as stream:
                sending = asyncio.create_task(self._send(stream))
                try:
                    async for record, result in stream:
                        if (settled := self._settle(record, result)) and not self.is_failing:
                            self.is_failing, failure = True, settled
                            # After the answers that are here, and before the stream can reconnect.
                            asyncio.get_running_loop().call_soon(stream.cancel)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        except Closed:
            pass  # cancelled above
        except Unavailable as unavailable:
            self.is_failing, failure = True, Failure(str(unavailable))
        return failure

    async def _send(self, stream: AsyncStream) -> None:
        """Send the events that wait, until cancelled."""
        while True:
            while self._to_send:
                record = self._to_send.popleft()
                try:
                    await stream.send(record.value, record, attempt=record.tries)
                except ValueError as fault:  # more than fits in a message of gRPC
                    self._refuse(record, "TOO_LARGE", str(fault), 0)
            self._more.clear()
            await self._more.wait()

    def _settle(self, record: Record, result: Result) -> Failure | None:
        """Note what became of an event. Return its failure if the event must be sent again."""
        error = result.error
        if error is None:
            self._counts["filtered" if result.filter_reason else "delivered"] += 1
            self._finish_record(record)
            return None
        report = result.delivery
        reason = error.message + (f": {report.reason}" if report and report.reason else "")
        if error.retryable:
            self._counts["failures"] += 1
            # A blocked event waits for an earlier one, and was not tried itself.
            record.tries += error.code != "BLOCKED"
            if self._max_tries is None or record.tries < self._max_tries:
                return Failure(f"{error.code}: {reason}", error.retry_after_s or 0.0)
        self._refuse(record, error.code, reason, report.attempts if report else 0)
        return None

    def _refuse(self, record: Record, code: str, reason: str, attempts: int) -> None:
        """Start to write a record to the dead-letter topic."""
        record.is_refused = True
        task = asyncio.create_task(self._bury(record, code, reason, attempts))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _bury(self, record: Record, code: str, reason: str, attempts: int) -> None:
        await self._dead_letters.write(record, code, reason, attempts)
        self._counts["dead_letters"] += 1
        self._finish_record(record)

    def _finish_record(self, record: Record) -> None:
        """Note that a record is done."""
        del self._pending[record.offset]
        self.outstanding_bytes -= len(record.value)
        self._done += 1
        if not self._pending:
            self._all_done.set()
