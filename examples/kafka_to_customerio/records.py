"""A record that is not done yet, and the counts of all records."""

from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Message


@dataclass(slots=True)
class Record:
    """A record that is not done yet."""

    message: Message
    offset: int
    value: bytes
    tries: int = 0
    """The number of retryable failures of its own that its delivery has had."""
    is_refused: bool = False
    """True from a permanent failure until the dead-letter topic has the record."""


class Counts(Counter[str]):
    """Numbers for the log."""

    NAMES = ("delivered", "filtered", "dead_letters", "tombstones", "failures", "sent_again")

    def __str__(self) -> str:
        return " ".join(f"{name}={self[name]}" for name in self.NAMES)
