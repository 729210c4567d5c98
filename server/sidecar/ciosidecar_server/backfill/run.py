"""The run of a backfill: keys, links, spills, partitions. Each step goes on where an earlier start ended."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from .checkpoint import Checkpoint
from .components import join_links
from .engines import Engine
from .files import WORK, remove_temporary, work_path
from .guarded import Guarded
from .interruption import StopRequest, stopping_on_ctrl_c
from .keys import find_keys
from .plan import Plan
from .spills import spill
from .summary import Summary
from .tasks import KeysTask, PartitionResult, PartitionTask, SpillTask
from .transforming import transform_partition
from .watching import watching

Task = TypeVar("Task")
Result = TypeVar("Result")
# A partition with more than a quarter of all events holds up the end of a run.
_LARGE_SHARE = 0.25
_LARGE_EVENTS = 10_000


class Report(Protocol):
    """A receiver of the progress of a run."""

    def step(self, name: str, done: int, total: int) -> None:
        """Take the start of a step, with the tasks that are finished already and all of them."""

    def progress(self, done: int, events: int) -> None:
        """Take how many tasks of the step are finished, and how many events they had."""

    def warn(self, text: str) -> None:
        """Take a sentence for the user."""

    def interrupted(self) -> None:
        """Take the first Ctrl-C: the run ends once everything that was sent is answered, or a time is over."""


PartitionFunction = Callable[[PartitionTask], PartitionResult | None]
"""A function of a module, or a dataclass of one with `__call__`: workers get it pickled. None: Ctrl-C ended the task."""


class Run:
    """A run of a plan on an engine."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        report: Report,
        partition: PartitionFunction = transform_partition,
    ) -> None:
        """Prepare a run.

        Args:
            plan: What to do.
            engine: Where to do it.
            report: The receiver of progress.
            partition: What to do with each partition.
        """
        self._plan = plan
        self._job = plan.job
        self._engine = engine
        self._report = report
        self._partition = partition
        self._directory = Path(plan.job.directory)
        self._checkpoint = Checkpoint(self._directory)

    def run(self) -> Summary:
        """Do what is not done yet, and return the summary of all starts together.

        Raises:
            BackfillFailed: The run cannot go on. The same command goes on where it ended.
            Interrupted: Ctrl-C ended a delivery.
        """
        began = time.monotonic()
        earlier = sum(one.events for one in self._checkpoint.partitions.values())
        for warning in self._plan.warnings:
            self._report.warn(warning)
        try:
            if len(self._checkpoint.partitions) < self._job.partitions:
                self._find_keys()
                self._spill()
                self._warn_of_large_partition()
                self._finish_partitions()
            remove_temporary(self._directory)
            shutil.rmtree(self._directory / WORK, ignore_errors=True)
        finally:
            self._checkpoint.close()
        return Summary(
            self._checkpoint.partitions.values(), time.monotonic() - began, earlier_events=earlier
        )

    def _find_keys(self) -> None:
        if self._checkpoint.joined:
            return
        splits = self._plan.splits
        done = self._checkpoint.keys
        self._report.step("reading", len(done), len(splits))
        tasks = [
            KeysTask(self._job, number, split)
            for number, split in enumerate(splits)
            if number not in done
        ]
        events = sum(one.events for one in done.values())
        for result in self._results(find_keys, tasks):
            self._checkpoint.add(result)
            events += result.events
            self._report.progress(len(done), events)
        join_links(self._job.directory, len(splits))
        self._checkpoint.add(None)

    def _spill(self) -> None:
        done = self._checkpoint.spills
        splits = self._plan.splits
        if len(done) == len(splits):
            return
        self._report.step("partitioning", len(done), len(splits))
        tasks = [task for task in self._spill_tasks() if task.number not in done]
        events = sum(sum(one.events) for one in done.values())
        for result in self._results(spill, tasks):
            self._checkpoint.add(result)
            events += sum(result.events)
            self._report.progress(len(done), events)

    def _spill_tasks(self) -> Iterator[SpillTask]:
        first_row, file = 1, 0
        for number, split in enumerate(self._plan.splits):
            if split.file != file:
                first_row, file = 1, split.file
            yield SpillTask(self._job, number, split, first_row)
            first_row += self._checkpoint.keys[number].rows

    def _events_by_partition(self) -> list[int]:
        spills = self._checkpoint.spills.values()
        return [sum(numbers) for numbers in zip(*(one.events for one in spills), strict=True)]

    def _warn_of_large_partition(self) -> None:
        events = self._events_by_partition()
        total = sum(events)
        if len(events) < 1 / _LARGE_SHARE * 2 or total < _LARGE_EVENTS:
            return
        largest = max(events)
        if largest > total * _LARGE_SHARE:
            self._report.warn(
                f"{largest:,} of {total:,} events are in one partition, because identifiers that they share, such as"
                " one email, one anonymousId or one group, link their people: only one worker can process them"
            )

    def _finish_partitions(self) -> None:
        done = self._checkpoint.partitions
        events = self._events_by_partition() or [0] * self._job.partitions
        name = "transforming" if self._partition is transform_partition else "delivering"
        self._report.step(name, len(done), self._job.partitions)
        files = tuple(file.path for file in self._plan.inputs)
        # The largest first: the last task then ends soon after the others.
        numbers = sorted(
            (number for number in range(self._job.partitions) if number not in done),
            key=lambda number: -events[number],
        )
        tasks = [
            PartitionTask(self._job, number, len(self._plan.splits), files) for number in numbers
        ]
        if self._partition is transform_partition:
            self._take(tasks)
            return
        with (
            stopping_on_ctrl_c(StopRequest(self._job.directory), self._report.interrupted),
            watching(self._job.directory, self._report_delivery),
        ):
            self._take(tasks)

    def _take(self, tasks: Sequence[PartitionTask]) -> None:
        done = self._checkpoint.partitions
        for result in self._results(self._partition, tasks):
            if result is None:
                continue  # after Ctrl-C
            self._checkpoint.add(result)
            work_path(self._job.directory, f"progress-{result.number:05}").unlink(missing_ok=True)
            self._report.progress(len(done), sum(one.events for one in done.values()))

    def _report_delivery(self, events: int) -> None:
        finished = list(self._checkpoint.partitions.values())
        self._report.progress(len(finished), events + sum(one.events for one in finished))

    def _results(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[Result]:
        results = self._engine.run(Guarded(function), tasks)
        try:
            yield from results
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
