"""Results → lines, and the summary at the end."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ciosidecar import Error, Request, Result
from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder, encode
from rich.console import Console
from rich.table import Table

MASKED = "Basic ***"


def result_line(result: Result, lines: Mapping[int, int], *, show_secrets: bool) -> bytes:
    """The line for one result, with its newline.

    lines: the number in the input of the line each position in the result was on.
    """
    found: dict[str, Any] = {"status": result.status}
    if result.filter_reason is not None:
        found["reason"] = result.filter_reason
    elif result.error is not None:
        found["error"] = _error(result.error)
    else:
        found["requests"] = [
            _request(request, lines, show_secrets=show_secrets) for request in result.requests
        ]
    if result.warnings or result.filter_reason is None:
        found["warnings"] = [{"code": one.code, "message": one.text} for one in result.warnings]
    return encode(found) + b"\n"


def _error(error: Error) -> dict[str, Any]:
    return {
        "code": error.code,
        "type": error.type,
        "message": error.message,
        "retryable": error.retryable,
    }


def _request(request: Request, lines: Mapping[int, int], *, show_secrets: bool) -> dict[str, Any]:
    headers = request.headers
    if not show_secrets and "Authorization" in headers:
        headers = headers | {"Authorization": MASKED}
    found: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "endpoint_path": request.endpoint_path,
        "headers": headers,
        "body": Raw(request.body) if request.body else None,
    }
    if len(request.positions) > 1:
        found["lines"] = [lines[position] for position in request.positions]
    return found


class _Typed(Struct):
    type: Any = None


_decode_type = Decoder(_Typed).decode


class Summary:
    """What became of all lines, for the person who waited."""

    def __init__(self) -> None:
        self.lines = 0
        self.types: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()

    def count(self, event: bytes, result: Result) -> None:
        """Adds one line. event: its event, b"" if it has none."""
        self.lines += 1
        self.types[_type_of(event)] += 1
        if result.error is not None:
            self.outcomes[f"{result.status} {result.error.code}"] += 1
        else:
            self.outcomes[f"{result.status} {result.filter_reason or 'transformed'}"] += 1
        self.warnings.update({warning.code for warning in result.warnings})

    def show(self, console: Console) -> None:
        """Prints it, as a table where a person watches."""
        groups = (("type", self.types), ("outcome", self.outcomes), ("warning", self.warnings))
        if console.is_terminal:
            table = Table("", "", "events", title=f"{self.lines:,} events", box=None)
            for group, counter in groups:
                for name, number in counter.most_common():
                    table.add_row(group, name, f"{number:,}")
            console.print(table)
        else:
            lines = [f"{self.lines} events"]
            for group, counter in groups:
                lines += [f"{group}\t{name}\t{number}" for name, number in counter.most_common()]
            console.file.write("\n".join([*lines, ""]))


_KNOWN_TYPES = frozenset(["identify", "track", "page", "screen", "alias", "group", "record"])


def _type_of(event: bytes) -> str:
    """The event's type, or a dash: nothing from the event itself that is not known to be harmless."""
    try:
        found = _decode_type(event).type
    except (DecodeError, RecursionError):
        return "-"
    return found.lower() if isinstance(found, str) and found.lower() in _KNOWN_TYPES else "-"
