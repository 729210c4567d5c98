"""The plan of a backfill: what it reads, how it is divided, and the manifest of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ciosidecar_transform import read_destination
from ciosidecar_transform.settings.destination import unusable

from ..jsonl.reading import is_bare_event
from .checkpoint import LOCK
from .errors import EXIT_USAGE, BackfillFailed
from .files import WORK, cannot_write
from .inputs import InputFile, Split, find_inputs, split_inputs
from .manifest import NAME, check_same, manifest_of, read_manifest, write_manifest
from .parquet import check_parquet
from .parquet.mapping import ColumnMap
from .reading import Rows
from .tasks import Format, Job

_PARTITION_BYTES = 4 << 20
_MAX_PARTITIONS = 512
# A compressed file has about five times its size when it is read.
_COMPRESSION = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOptions:
    """What a caller asks of a backfill."""

    inputs: Sequence[str]
    """Files, directories and patterns."""
    output: Path
    config: bytes | None = field(repr=False)
    """The destination's settings for all events, or None if each line has its own."""
    connection: bytes = field(default=b"", repr=False)
    """The config of the source connection of records."""
    columns: ColumnMap | None = None
    """As in `Job`."""
    format: Format = "jsonl"
    partitions: int | None = None
    """None: by the size of the inputs."""
    now: int | None = None
    """None: the time of the first start."""
    pack: bool = False
    show_secrets: bool = False
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A backfill that can run. Everything that results depend on is fixed."""

    job: Job
    inputs: list[InputFile]
    splits: list[Split]
    resumed: bool
    """Whether an earlier start has left something in the output directory."""
    warnings: Sequence[str] = ()
    """What the user should know before the start."""


def make_output(directory: Path) -> None:
    """Create the output directory.

    Raises:
        BackfillFailed: It cannot be created, or has files of something else.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in directory.iterdir())
    except OSError as problem:
        raise BackfillFailed(
            f"cannot use the output directory {directory}: {problem.strerror}", EXIT_USAGE
        ) from None
    # Killed at its very start, a backfill leaves its lock and a manifest without its name.
    foreign = [name for name in names if name != LOCK and not name.startswith(f".{NAME}.")]
    if foreign and NAME not in foreign:
        raise BackfillFailed(
            f"the output directory {directory} is not empty, and no backfill has made it: it has {foreign[0]}",
            EXIT_USAGE,
        )


def plan(options: BackfillOptions) -> Plan:
    """Return the plan. The output directory MUST exist and be locked.

    Raises:
        BackfillFailed: The inputs cannot be read, or the output belongs to another backfill.
    """
    _check_config(options.config)
    inputs = find_inputs(options.inputs, options.output)
    warnings = check_parquet(
        inputs,
        options.columns,
        output=options.format == "parquet",
        has_config=options.config is not None,
    )
    splits = split_inputs(inputs)
    _check_first_line(options, splits)
    job = _job(options, inputs)
    old = read_manifest(options.output)
    if old is None:
        write_manifest(options.output, manifest_of(job, inputs, deliver=options.deliver))
    else:
        if options.now is None:
            job = replace(job, now=old["now"])
        check_same(old, manifest_of(job, inputs, deliver=options.deliver))
    try:
        (options.output / WORK).mkdir(mode=0o700, exist_ok=True)
    except OSError as problem:
        raise cannot_write(options.output / WORK, problem) from None
    return Plan(job, inputs, splits, old is not None, warnings)


def _check_config(config: bytes | None) -> None:
    """Check the destination's settings: with wrong ones, every event would be refused.

    Raises:
        BackfillFailed: They cannot be used.
    """
    if config is None:
        return
    destination, problems = read_destination(config)
    if destination is None:
        raise BackfillFailed(f"--config: {unusable(problems)}", EXIT_USAGE)


def _check_first_line(options: BackfillOptions, splits: Sequence[Split]) -> None:
    """Check that no config was forgotten: each line would be refused.

    Raises:
        BackfillFailed: The first line is an event, and there is no config for it.
    """
    if options.config is None and splits:
        first = next(iter(Rows(splits[0], options.columns)), None)
        if first is not None and is_bare_event(first.event):
            raise BackfillFailed(
                "the first line is an event without a destination: name the destination's settings with"
                ' --config FILE, or write each line as {"event": {…}, "config": {…}}',
                EXIT_USAGE,
            )


def _job(options: BackfillOptions, inputs: Sequence[InputFile]) -> Job:
    return Job(
        directory=str(options.output.absolute()),
        config=options.config,
        connection=options.connection,
        columns=options.columns,
        partitions=options.partitions or _partitions(inputs),
        now=int(time.time()) if options.now is None else options.now,
        pack=options.pack,
        show_secrets=options.show_secrets,
        format=options.format,
    )


def _partitions(inputs: Sequence[InputFile]) -> int:
    """Return a number of partitions that depends on the inputs alone, so that every machine finds the same."""
    size = sum(file.size * (_COMPRESSION if file.kind == "gzip" else 1) for file in inputs)
    return min(max(1, -(-size // _PARTITION_BYTES)), _MAX_PARTITIONS)
