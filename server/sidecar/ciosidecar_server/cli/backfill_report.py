"""The progress of a backfill on stderr: a bar on a terminal, else a line every few seconds."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..counted import counted
from .events_column import EventsColumn
from .outcome import say, stderr

_LINE_EVERY_S = 10.0


class ProgressReport:
    """Shows the steps of a run, the events so far and their rate."""

    def __init__(self, answers_within_s: float) -> None:
        """Create the report. answers_within_s: how long answers are awaited after Ctrl-C."""
        self._answers_within_s = answers_within_s
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            EventsColumn(lambda task: int(task.fields["events"])),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, events=0, rate=0.0)
        self._name = ""
        self._total = 0
        self._began = self._said = time.monotonic()
        self._first_events: int | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, name: str, done: int, total: int) -> None:
        """Show the start of a step."""
        self._name, self._total = name, total
        self._began = time.monotonic()
        self._bar.reset(self._task, description=name, total=total, completed=done, events=0, rate=0)

    def progress(self, done: int, events: int) -> None:
        """Show how far the step is."""
        now = time.monotonic()
        rate = events / max(now - self._began, 0.001)
        self._bar.update(self._task, completed=done, events=events, rate=rate)
        if not stderr.is_terminal and now - self._said >= _LINE_EVERY_S:
            self._said = now
            say(
                f"{self._name}: {done} of {counted(self._total, 'part')}, {counted(events, 'event')},"
                f" {rate:.0f} events/s"
            )

    def warn(self, text: str) -> None:
        """Show a sentence."""
        say(text, "yellow")

    def interrupted(self) -> None:
        """Say what the command waits for after Ctrl-C."""
        self.warn(
            "interrupted: nothing more is sent; waiting for the answers to what was sent, at most"
            f" {self._answers_within_s:g} s. Ctrl-C again ends the command at once"
        )
