"""The tasks of a backfill and their results: small values that every engine can pickle."""

from dataclasses import dataclass, field
from typing import Literal

from .inputs import Split
from .parquet.mapping import ColumnMap

Format = Literal["jsonl", "parquet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is the same for all tasks of a backfill."""

    directory: str
    """The output directory. Every worker MUST reach it under this path."""
    config: bytes | None = field(repr=False)
    """The destination's settings for all events, or None if each line has its own."""
    connection: bytes = field(default=b"", repr=False)
    """The config of the source connection of records, for lines that have none of their own."""
    columns: ColumnMap | None = None
    """How the rows of Parquet files become events. Inputs of lines have none."""
    partitions: int
    now: int
    """The clock of all transforms. Unit: seconds since 1970."""
    pack: bool = False
    """Let events share requests."""
    show_secrets: bool = False
    format: Format = "jsonl"
    """The format of the files of requests."""


@dataclass(frozen=True, slots=True)
class KeysTask:
    """Find the ordering keys of the events of a split."""

    job: Job
    number: int
    split: Split


@dataclass(frozen=True, slots=True)
class KeysResult:
    """The outcome of a KeysTask. The keys themselves are in files."""

    number: int
    rows: int
    """The rows of the split, blank lines included."""
    events: int


@dataclass(frozen=True, slots=True)
class SpillTask:
    """Distribute the events of a split to partitions."""

    job: Job
    number: int
    split: Split
    first_row: int
    """The number of the split's first row in its file, from 1."""


@dataclass(frozen=True, slots=True)
class SpillResult:
    """The outcome of a SpillTask."""

    number: int
    events: list[int]
    """The number of events by partition."""


@dataclass(frozen=True, slots=True)
class PartitionTask:
    """Transform the events of a partition."""

    job: Job
    number: int
    splits: int
    """The number of splits, each of which has a spill."""
    files: tuple[str, ...]
    """The names of the input files, for positions."""


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """The outcome of a partition."""

    number: int
    events: int = 0
    requests: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """The number of events by status and code, such as "200 transformed" or "400 INVALID_JSON"."""
    warnings: dict[str, int] = field(default_factory=dict)
    """The number of events by code of a warning."""
    refused: int = 0
    """Events in the file of refused events: sending them again changes nothing."""
    failed: int = 0
    """Events in the file of failed events: they were given up after retryable failures."""
    files: list[str] = field(default_factory=list)
    """The names of the files in the output directory."""
    seconds: float = 0.0
