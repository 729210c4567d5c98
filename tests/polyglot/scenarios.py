"""Scenarios: read from their files, with the lines of input each stands for."""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ciosidecar import v1
from google.protobuf import json_format

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors"
_CONFIG = '{"siteID": "site", "apiKey": "key"}'


@dataclass
class Scenario:
    """What a driver is asked, and what must come of it."""

    name: str
    about: str
    call: str
    expect: dict[str, Any]
    configs: list[str] = field(default_factory=lambda: [_CONFIG])
    refs: list[str] = field(default_factory=list)
    """Of destinations that the sidecar knows. Their indexes follow those of `configs`."""
    options: dict[str, Any] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    """Of input, after the first."""
    cases: list[dict[str, Any]] = field(default_factory=list)
    """The worked cases that the lines are the events of."""
    deadline_ms: int | None = None
    cancel_after: int | None = None
    close_after: int | None = None
    deliver: bool | dict[str, Any] = False
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By an event's index in the input, what is said about it."""
    typed: list[int] = field(default_factory=list)
    """Indexes of the events that the driver builds field by field."""
    batches: list[dict[str, int]] = field(default_factory=list)
    """Runs of events that are sent as one batch."""
    listen: str = "tcp"
    """tcp, unix, abstract, tls or mtls; silent: somebody who takes connections and says nothing. scripted: a sidecar of
    the suite's own, which does what `script` says. nobody: nothing is started."""
    script: dict[str, Any] = field(default_factory=dict)
    """kind: `answer` answers everything, the first batch with `results`; `backwards` answers the first
    `batches` in reverse; `silent` answers nothing and ends with INVALID_ARGUMENT once nothing more comes;
    `unavailable` fails unary calls with UNAVAILABLE."""
    server_token: str | None = None
    """The bearer token that the sidecar requires."""
    token: str | None = None
    """The driver's bearer token."""
    certificate: bool = False
    """True: the driver has a certificate of its own, of the sidecar's authority."""
    strange_ca: bool = False
    """True: the driver trusts another authority than the sidecar's."""
    connect_timeout_ms: int | None = None
    """How long the driver waits for its first connection."""
    ca: bool = False
    """True: the driver is told to trust an authority although nothing was started."""
    addresses: list[str] | None = None
    """Instead of the addresses of what was started."""
    environment: dict[str, str] = field(default_factory=dict)
    """Of the driver, beside the suite's own."""
    server: list[str] = field(default_factory=list)
    """Flags of the sidecar."""
    destinations: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the sidecar knows by ref."""
    customerio: str = ""
    """sandbox: what the sidecar delivers to."""
    fault: str | None = None
    """What goes wrong in the sandbox, as its flag --fault says it."""
    meanwhile: str = "nothing"
    """drain, kill: the sidecar, once a third is answered, and another takes its place. wait: take
    one answer and no more until the driver takes no more events. lockstep: each event is handed over
    once the one before is answered."""
    not_applicable: dict[str, str] = field(default_factory=dict)
    """By language, why it cannot be played."""

    def opening(self, addresses: list[str], files: dict[str, str]) -> bytes:
        """Return the first line of input. `files` are those of certificates, by their keys there."""
        found: dict[str, Any] = {
            "call": self.call,
            "addresses": addresses if self.addresses is None else self.addresses,
            "configs": self.configs,
            "options": self.options,
        }
        for name in ("deadline_ms", "cancel_after", "close_after", "token", "connect_timeout_ms"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        for name in ("deliver", "fields", "typed", "batches", "refs"):
            if getattr(self, name):
                found[name] = getattr(self, name)
        return json.dumps(found | files).encode()


def read(path: Path) -> Scenario:
    """Return a scenario from its file. `events` are lines, or say where they come from:

    {"numbered": N} for N events of a hundred people, {"large": N, "bytes": B} for N of so many bytes,
    {"nested": [[LEVELS, KIND], ...]} for events whose properties are nested, {"vectors": FILE, "count": N} for worked cases
    spread over the file, {"raw": [...]} for messages of the contract in protobuf's JSON.
    """
    told = json.loads(path.read_text())
    events = told.pop("events", [])
    scenario = Scenario(name=path.stem, **told)
    if isinstance(events, list):
        scenario.lines = [event.encode("utf-8", "surrogateescape") for event in events]
    elif "numbered" in events:
        scenario.lines = [numbered(index) for index in range(events["numbered"])]
    elif "large" in events:
        scenario.lines = [b'0\t{"n":"%b"}' % (b"x" * (events["bytes"] - 8))] * events["large"]
    elif "nested" in events:
        scenario.lines = [_nested(*one) for one in events["nested"]]
    elif "raw" in events:
        scenario.lines = [_message(message) for message in events["raw"]]
    else:
        _take_vectors(scenario, events["vectors"], events["count"])
    return scenario


def numbered(index: int) -> bytes:
    """Return a line with an event of its own."""
    return (
        b'0\t{"type":"track","userId":"user-%d","messageId":"m-%d","event":"Order","properties":{"n":%d}}'
        % (index % 100, index, index)
    )


def _nested(levels: int, kind: str) -> bytes:
    """A line with a track whose properties are nested so deeply, by objects or by lists."""
    begin, end = ('{"a":', "}") if kind == "object" else ("[", "]")
    value = begin * (levels - 1) + "1" + end * (levels - 1)
    event = f'{{"type":"track","userId":"u1","event":"Deep","properties":{{"a":{value}}}}}'
    return f"0\t{event}".encode()


def _message(told: dict[str, Any]) -> bytes:
    times = told.pop("times", 1)
    if times > 1:
        told["batch"]["items"] *= times
    message = json_format.ParseDict(told, v1.TransformStreamRequest())
    return base64.b64encode(message.SerializeToString())


def _take_vectors(scenario: Scenario, file: str, count: int) -> None:
    cases = [json.loads(line) for line in VECTORS.joinpath(file).read_bytes().splitlines()]
    scenario.cases = cases[:: max(1, len(cases) // count)][:count]
    numbers: dict[str, int] = {}
    for case in scenario.cases:
        config = json.dumps(case["config"])
        number = numbers.setdefault(config, len(numbers))
        scenario.lines.append(b"%d\t%b" % (number, json.dumps(case["event"]).encode()))
    scenario.configs = list(numbers)


SCENARIOS = [read(path) for path in sorted(HERE.glob("scenarios/*.json"))]
