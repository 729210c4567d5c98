"""What the checker knows: what callers sent and were told, what arrived at Customer.io, which faults there were.

All times are Unix seconds of this machine.
"""

import re
from dataclasses import dataclass, field
from typing import Any

MARK = re.compile(r"chaos-[0-9a-z]+-[0-9]+")
_NAMED_MARK = re.compile(r'"mark": ?"(chaos-[0-9a-z]+-[0-9]+)"')


@dataclass(slots=True, frozen=True)
class Told:
    """One result that a caller received for an event."""

    at: float
    status: int
    code: str = ""
    """The error's code; "" if there was no error."""
    retryable: bool = False
    attempts: int = 0
    """The number of times that the sidecar says it sent the event."""

    @property
    def delivered(self) -> bool:
        """Return whether the result says that Customer.io accepted the event."""
        return self.status == 200 and not self.code


@dataclass(slots=True)
class Sent:
    """One event in the book of a caller."""

    mark: str
    """Stands in each request that the event becomes."""
    stream: str
    """The caller that sends the event. Its events have an order, and its link has the same name."""
    keys: tuple[str, ...]
    """The identifiers of the event, each with its workspace. Events that share one have an order."""
    bad: bool = False
    """True if the event must be rejected without a request."""
    sent: list[float] = field(default_factory=list)
    """The times at which the caller sent the event."""
    told: list[Told] = field(default_factory=list)
    """The results, one for each time that the event was sent."""


@dataclass(slots=True, frozen=True)
class Fault:
    """One injected fault that an arrival does not show by itself."""

    kind: str
    link: str
    """The name of a caller, "customerio" or "sidecar"."""
    start: float
    end: float
    peer: str = ""
    """On the link to Customer.io: the proxy's address, which is the peer of the arrivals."""


@dataclass(slots=True, frozen=True)
class Arrival:
    """One operation that arrived at the sandbox, as GET /sandbox/arrivals shows it."""

    number: int
    request: int
    peer: str
    operations: int
    event_id: str
    received_at: float
    decided_at: float
    answered_at: float
    result: str
    status: int
    fault: str
    answer: str
    marks: tuple[str, ...]
    """The events whose operation this is. Rows of an audience share one."""

    @classmethod
    def read(cls, shown: dict[str, Any]) -> "Arrival":
        """Return an arrival from its JSON."""
        return cls(
            marks=marks_of(shown["path"], shown["body"]),
            **{name: shown[name] for name in cls.__dataclass_fields__ if name != "marks"},
        )


def marks_of(path: str, body: str) -> tuple[str, ...]:
    """Return the marks in a request: the member `mark` if there is one, else every mark."""
    named = _NAMED_MARK.search(body)
    if named is not None:
        return (named[1],)
    return tuple(MARK.findall(body) or MARK.findall(path))


@dataclass(slots=True)
class Books:
    """Everything that the checker knows of one run."""

    sent: list[Sent] = field(default_factory=list)
    """The events, those of each stream in the order in which the caller first sent them."""
    arrivals: list[Arrival] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    request_timeout_s: float = 10.0
    """The time after which the sidecar gives a request up."""
    starved: list[Fault] = field(default_factory=list)
    """Times in which a program got no CPU. Link: machine (the callers' process), proxy, sandbox or sidecar."""
    problems: list[str] = field(default_factory=list)
    """What went wrong beside the rules: a caller that ended, an exit code or a log line that no fault allows."""
