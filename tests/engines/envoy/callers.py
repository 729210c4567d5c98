"""The programs of tests/polyglot as callers that stream without end, and how long they waited for answers."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.polyglot.languages import LANGUAGES, Language

from .fleet import CONFIG, event, now

PEOPLE = 8
# Short beside the gaps that are looked for.
PAUSE_S = 0.04
# On a busy machine, the sandbox may answer late. No event may come back because of that.
DELIVERY = {"timeout_ms": 300_000}
STARTS_WITHIN_S = 240
ENDS_WITHIN_S = 60
GIVEN_UP_AFTER_S = 30


@dataclass
class Record:
    """What a caller sent and got."""

    sent_at: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)

    def longest_gap_s(self) -> float:
        """Return the longest time without an answer while one was due."""
        return max((gap for _, gap in self.gaps()), default=0.0)

    def gaps(self) -> Iterator[tuple[float, float]]:
        """Yield when each wait for the next answer ended, and how long it took."""
        previous = self.answered_at[0] if self.answered_at else 0.0
        for sent, answered in zip(self.sent_at, self.answered_at, strict=False):
            yield answered, answered - max(previous, sent)
            previous = answered

    def under_way(self, since: float, until: float) -> set[int]:
        """Return the events that were unanswered at some time between the two."""
        found = set()
        for index, sent in enumerate(self.sent_at):
            answered = self.answered_at[index] if index < len(self.answered_at) else until
            if sent <= until and answered >= since:
                found.add(index)
        return found


class Caller:
    """A client in one language that sends an event at a time until it is told to finish."""

    def __init__(
        self,
        language: Language,
        opening: dict[str, Any],
        name: str = "",
        pause_s: float = PAUSE_S,
        padding: int = 0,
    ) -> None:
        self.name = name or language.name
        self.record = Record()
        self._pause_s = pause_s
        self._padding = padding
        self._finished = threading.Event()
        self._answered = threading.Condition()
        self._process = subprocess.Popen(
            language.command,
            cwd=language.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        # A busy machine may need long for the first connection.
        patient = {"connect_timeout_ms": STARTS_WITHIN_S * 1000}
        scenario = {"call": "stream", "configs": [CONFIG], "deliver": DELIVERY} | patient | opening
        self._threads = [
            threading.Thread(target=self._feed, args=(json.dumps(scenario).encode(),), daemon=True),
            threading.Thread(target=self._read, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _feed(self, opening: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as lines:
            lines.write(opening + b"\n")
            for index in count():
                lines.write(b"0\t" + event(self.name, index, PEOPLE, self._padding) + b"\n")
                # Before the program can answer.
                self.record.sent_at.append(now())
                lines.flush()
                if self._finished.wait(self._pause_s):
                    return

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._answered:
                if "end" in answer:
                    self.record.end = answer
                else:
                    self.record.answered_at.append(now())
                    self.record.answers.append(answer)
                self._answered.notify_all()

    def wait_for_answers(self, more: int) -> None:
        """Wait until so many further events are answered."""
        self._wait_until_answered(len(self.record.answers) + more)

    def _wait_until_answered(self, due: int, within_s: float = STARTS_WITHIN_S) -> None:
        with self._answered:
            self._answered.wait_for(
                lambda: len(self.record.answers) >= due or self.record.end, within_s
            )
            got = len(self.record.answers)
        if got < due:
            raise AssertionError(f"{self.name}: {got} answers, {due} were due; {self.record.end}")

    def wait_for_end(self, within_s: float = ENDS_WITHIN_S) -> dict[str, Any]:
        """Return how the stream ended, once it has."""
        with self._answered:
            self._answered.wait_for(lambda: self.record.end, within_s)
        return self.record.end

    def finish_soon(self) -> None:
        """Send nothing more."""
        self._finished.set()

    def wait_until_finished(self) -> None:
        """Wait until all is answered and the program has ended."""
        self._process.wait(ENDS_WITHIN_S)
        for thread in self._threads:
            thread.join(ENDS_WITHIN_S)

    def stop(self) -> None:
        """End the program in any case."""
        self._finished.set()
        self._process.kill()
        self._process.wait(ENDS_WITHIN_S)
        for thread in self._threads:
            thread.join(ENDS_WITHIN_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@contextlib.contextmanager
def calling(
    opening: dict[str, Any], *, pause_s: float = PAUSE_S, padding: int = 0
) -> Iterator[list[Caller]]:
    """Run a caller in each language. The block begins when each has its first answers."""
    with contextlib.ExitStack() as stack:
        callers = []
        for language in LANGUAGES:
            callers.append(Caller(language, opening, pause_s=pause_s, padding=padding))
            stack.callback(callers[-1].stop)
        stream_on(callers, 10)
        yield callers


def stream_on(callers: Sequence[Caller], more: int) -> None:
    """Wait until each caller has so many further answers."""
    due = [len(caller.record.answers) + more for caller in callers]
    for caller, number in zip(callers, due, strict=True):
        caller._wait_until_answered(number)


def finish(callers: Sequence[Caller]) -> None:
    """Let all callers finish, and wait for them."""
    for caller in callers:
        caller.finish_soon()
    for caller in callers:
        caller.wait_until_finished()
