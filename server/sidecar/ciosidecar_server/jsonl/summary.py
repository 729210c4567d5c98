"""The summary of a command: outcomes of all lines, counted."""

from collections import Counter
from typing import Any

from ciosidecar import Result
from ciosidecar_transform.json_text import NOT_JSON
from msgspec import Struct
from msgspec.json import Decoder
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..counted import counted

# Customer.io has few reasons. Another server at --customerio-url may give each event its own.
_MAX_REASONS = 100
OTHER_REASONS = "(other reasons)"
_KNOWN_TYPES = frozenset(["identify", "track", "page", "screen", "alias", "group", "record"])


class _Typed(Struct):
    type: Any = None


_decode_type = Decoder(_Typed).decode


class Summary:
    """Counts of lines by type, by outcome, by warning and by Customer.io's reasons."""

    def __init__(self, done_word: str) -> None:
        """Create an empty summary.

        Args:
            done_word: The word for status 200.
        """
        self._done_word = done_word
        self.lines = 0
        self.delivered = 0
        """Number of lines with status 200."""
        self.permanent_failures = 0
        """Number of lines with an error that is not retryable."""
        self.retryable_failures = 0
        """Number of lines with a retryable error."""
        self.unsent = 0
        """Number of lines whose turn did not come within the time limit."""
        self.retried = 0
        """Number of lines with more than one attempt, with any result."""
        self._types: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()

    def count(self, event: bytes, result: Result) -> None:
        """Count one line.

        Args:
            event: The event of the line, b"" if it has none.
            result: The result of the line.
        """
        self.lines += 1
        self._types[_type_of(event)] += 1
        error, delivery = result.error, result.delivery
        if error is None:
            self.delivered += result.filter_reason is None
            self._outcomes[f"{result.status} {result.filter_reason or self._done_word}"] += 1
        else:
            self.retryable_failures += error.retryable
            self.permanent_failures += not error.retryable
            self._outcomes[f"{result.status} {error.code}"] += 1
        if delivery is not None:
            self.retried += delivery.attempts > 1
            self.unsent += (
                error is not None and error.code == "UPSTREAM_TIMEOUT" and not delivery.attempts
            )
            if error is not None and delivery.reason:
                self._count_reason(f"{error.code}: {delivery.reason}")
        self._warnings.update({warning.code for warning in result.warnings})

    def _count_reason(self, reason: str) -> None:
        known = reason in self._reasons or len(self._reasons) < _MAX_REASONS
        self._reasons[reason if known else OTHER_REASONS] += 1

    def show(self, console: Console) -> None:
        """Print the summary: a table on a terminal, else lines of group, name and number."""
        groups = (
            ("type", self._types),
            ("outcome", self._outcomes),
            ("reason", self._reasons),
            ("warning", self._warnings),
        )
        if console.is_terminal:
            table = Table(
                "", "", "events", title=counted(self.lines, "event", grouped=True), box=None
            )
            for group, counter in groups:
                for name, number in counter.most_common():
                    table.add_row(group, Text(name), f"{number:,}")
            console.print(table)
        else:
            lines = [counted(self.lines, "event")]
            for group, counter in groups:
                lines += [f"{group}\t{name}\t{number}" for name, number in counter.most_common()]
            console.file.write("\n".join([*lines, ""]))


def _type_of(event: bytes) -> str:
    """Return the event's type if it is a known one, else a dash: other texts may be personal data."""
    try:
        type_ = _decode_type(event).type
    except NOT_JSON:
        return "-"
    return type_.lower() if isinstance(type_, str) and type_.lower() in _KNOWN_TYPES else "-"
