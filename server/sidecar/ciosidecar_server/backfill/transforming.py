"""The third pass without delivery: the events of a partition become requests, in order."""

import time
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

from ciosidecar_transform import BatchTransform, Outcome, Request, RequestList

from ..jsonl.reading import Line
from .events import LineReader, ReadEvent
from .line_files import Lines
from .outcome_lines import Place, place_of, refused_line, result_members
from .output_files import WRITERS
from .spills import SpilledEvent, read_partition
from .tasks import Job, PartitionResult, PartitionTask

_BATCH_EVENTS = 1000


def transform_partition(task: PartitionTask) -> PartitionResult:
    """Write the requests and the refused events of a partition."""
    began = time.monotonic()
    partition = _Partition(task)
    try:
        events = read_partition(task)
        while batch := list(islice(events, _BATCH_EVENTS)):
            partition.transform(batch)
        files = partition.finish()
    except BaseException:
        partition.abandon()
        raise
    return PartitionResult(
        task.number,
        events=partition.events,
        requests=partition.requests,
        outcomes=dict(partition.outcomes),
        warnings=dict(partition.warnings),
        refused=partition.refused,
        files=files,
        seconds=time.monotonic() - began,
    )


def outcome_name(outcome: Outcome) -> str:
    """Return the status and code under which an outcome is counted."""
    if outcome.error is not None:
        return f"{outcome.status} {outcome.error.code}"
    return f"{outcome.status} {outcome.filtered or 'transformed'}"


class _Partition:
    """The files and counts of a partition."""

    def __init__(self, task: PartitionTask) -> None:
        job = task.job
        self._job = job
        self._files = task.files
        self._reader = LineReader(job)
        directory = Path(job.directory)
        self._requests_file = WRITERS[job.format](
            directory / f"requests-{task.number:05}.{job.format}"
        )
        self._refused_file = Lines(directory / f"refused-{task.number:05}.jsonl")
        self.events = 0
        self.requests = 0
        self.refused = 0
        self.outcomes: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()

    def transform(self, batch: list[SpilledEvent]) -> None:
        """Transform some events. They share requests only with each other."""
        lines, outcomes, requests = _transform(self._reader, self._job, batch)
        places = [
            place_of(event, event.line if line is None else line.event, self._files)
            for event, line in zip(batch, lines, strict=True)
        ]
        for position, (event, line, outcome) in enumerate(zip(batch, lines, outcomes, strict=True)):
            self._count(outcome)
            if outcome.error is not None:
                self.refused += 1
                self._refused_file.write_line(
                    refused_line(
                        places[position],
                        event.line,
                        line,
                        outcome,
                        has_config=self._job.config is None,
                    )
                )
                continue
            own = requests.get(position, [])
            self.requests += len(own)
            self._requests_file.write(
                result_members(
                    places[position],
                    outcome,
                    _with_places(own, places),
                    show_secrets=self._job.show_secrets,
                )
            )

    def _count(self, outcome: Outcome) -> None:
        self.events += 1
        self.outcomes[outcome_name(outcome)] += 1
        self.warnings.update({str(warning.code) for warning in outcome.warnings})

    def finish(self) -> list[str]:
        """Give the files their names, and return these."""
        names = (self._requests_file.finish(), self._refused_file.finish())
        return [name for name in names if name is not None]

    def abandon(self) -> None:
        """Remove what was written."""
        self._requests_file.abandon()
        self._refused_file.abandon()


_Covering = tuple[Request, list[int]]


def _with_places(
    requests: list[_Covering], places: list[Place]
) -> list[tuple[Request, list[Place]]]:
    return [
        (request, [places[covered] for covered in positions]) for request, positions in requests
    ]


def _transform(
    reader: LineReader, job: Job, batch: list[SpilledEvent]
) -> tuple[list[Line | None], list[Outcome], dict[int, list[_Covering]]]:
    """Return the lines, their outcomes, and the requests by the last position that they cover."""
    writer = RequestList()
    transform = BatchTransform(job.now, writer)
    lines: list[Line | None] = []
    outcomes: list[Outcome] = []
    for position, event in enumerate(batch):
        read = reader.read(event.line, event.problem)
        if isinstance(read, ReadEvent):
            lines.append(read.line)
            outcomes.append(
                transform.add(
                    position,
                    read.line.event,
                    read.destination,
                    alone=not job.pack,
                    connection=read.connection,
                )
            )
        else:
            line = reader.parse(event.line)
            lines.append(line if isinstance(line, Line) else None)
            outcomes.append(read)
    transform.flush()
    return lines, outcomes, _by_last_position(writer)


def _by_last_position(writer: RequestList) -> dict[int, list[_Covering]]:
    requests: dict[int, list[_Covering]] = defaultdict(list)
    for request, position in writer.requests:
        positions = position if isinstance(position, list) else [position]
        requests[positions[-1]].append((request, positions))
    return requests
