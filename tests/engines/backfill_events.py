"""Lines for backfills, the same ones every time, and the hash of what became of each."""

import json
import random
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

_DASHBOARD = {"siteID": "site", "apiKey": "key"}
_CONFIGS = (
    _DASHBOARD,
    _DASHBOARD | {"apiVersion": "v2", "datacenter": "EU"},
    _DASHBOARD | {"apiKey": "{{ context.workspace.key || 'key-of-all-others' }}"},
)
_PERSON, _EVENT = ({"destination": {"object": kind}} for kind in ("person", "event"))
# In percent, but for what is odd.
_MIX = {
    "track": 50,
    "page": 15,
    "identify": 15,
    "screen": 8,
    "group": 4,
    "alias": 3,
    "record": 4,
    "odd": 1,
}
_ODD = (
    '{"event": {"type": "track", "userId": "u1", "event": "A", "properties": {"a": NaN}}}',
    "no JSON at all",
    '{"event": {"type": "track", "userId": "u1"',
    '{"event":{"type":"track","userId":"u\\ud83d","event":"Half \\ud83d"},"config":{"siteID":"s","apiKey":"k"}}',
    '{"event":{"type":"track","event":"Nobody"},"config":{"siteID":"s","apiKey":"k"}}',
    '{"event":{"type":"delete","userId":"u1"},"config":{"siteID":"s","apiKey":"k"}}',
    '{"event":{"type":"track","userId":"u1","event":"A"},"config":{"siteID":""}}',
    '{"event":[1],"config":{"siteID":"s","apiKey":"k"}}',
)


def lines(number: int, seed: int = 14) -> Iterator[bytes]:
    """Yield a number of lines: all types of events to three destinations, one of them with a template."""
    dice = random.Random(seed)
    kinds = dice.choices(list(_MIX), list(_MIX.values()), k=number)
    people = max(10, number // 20)
    for index, kind in enumerate(kinds):
        if kind == "odd":
            yield dice.choice(_ODD).encode() + b"\n"
            continue
        event = _event(kind, index, dice.randrange(people), dice)
        line: dict[str, Any] = {"event": event, "config": dice.choice(_CONFIGS)}
        if kind == "record":
            line["connection"] = dice.choice((_PERSON, _EVENT))
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def write_lines(path: Path, number: int) -> None:
    """Write a number of lines to a file."""
    with path.open("wb") as opened:
        opened.writelines(lines(number))


def _event(kind: str, index: int, person: int, dice: random.Random) -> dict[str, Any]:
    time = (
        f"2026-03-{1 + index % 28:02}T05:{index // 60 % 60:02}:{index % 60:02}.{index % 1000:03}Z"
    )
    if kind == "record":
        identifiers = {
            "id": f"u{person}",
            "name": "Row",
            "created_at": time,
            "a.b": index,
            "big": _big(dice),
        }
        return {
            "type": kind,
            "action": "update",
            "messageId": f"m{index}",
            "identifiers": identifiers,
        }
    event: dict[str, Any] = {
        "type": kind,
        "messageId": f"m{index}",
        "originalTimestamp": time,
        "context": {
            "library": {"name": "RudderLabs JavaScript SDK", "version": "3.7.6"},
            "locale": "en-GB",
        },
    }
    event |= _identity(person, dice)
    if not index % 7:
        event["context"]["workspace"] = {"key": f"key-{index % 3}"}
    fields: dict[str, Any] = _FIELDS[kind](event, person, dice)
    return event | fields


def _identity(person: int, dice: random.Random) -> dict[str, Any]:
    identity: dict[str, Any] = {}
    known_by = dice.randrange(10)
    if known_by != 0:
        identity["userId"] = person if known_by == 1 else f"u{person}"
    if known_by in (0, 2, 3):
        identity["anonymousId"] = f"a{person}"
    return identity


def _properties(dice: random.Random) -> dict[str, Any]:
    return {
        "total": dice.randrange(100_000) / 100,
        "order.id": dice.randrange(10**6),
        "big": _big(dice),
        "title": "Lamps and lights — the shop ✓",
        "items": [{"sku": f"s{dice.randrange(99)}", "price.net": 1.50, "tags": ["a", None, True]}],
    }


def _big(dice: random.Random) -> int:
    return dice.choice((2**53 + 1, 2**63 - 1, 10**30 + 7, -(2**63)))


def _traits(person: int) -> dict[str, Any]:
    return {
        "email": f"Person{person}@example.com",
        "plan.name": "pro",
        "seats": 2**53 + 1,
        "createdAt": 1_700_000_000,
    }


_FIELDS: dict[str, Any] = {
    "track": lambda _event, _person, dice: {
        "event": dice.choice(
            ("Order Completed", "Product Viewed", "Cart.Opened", "Application Installed")
        ),
        "properties": _properties(dice),
    },
    "page": lambda _event, _person, dice: {
        "name": "Lamps",
        "properties": {
            "url": "https://shop.example.com/en/lamps",
            "path": "/en/lamps",
            "n": dice.random(),
        },
    },
    "screen": lambda _event, person, dice: {
        "name": "Cart",
        "properties": {"n": dice.randrange(9)},
        "context": {
            "device": {"token": f"token-{person}", "type": "Android"},
            "os": {"name": "Android", "version": "16"},
        },
    },
    "identify": lambda _event, person, _dice: {"traits": _traits(person)},
    "group": lambda _event, person, _dice: {
        "groupId": f"g{person % 50}",
        "traits": {"name": "Acme", "size.big": 2**60},
    },
    "alias": lambda _event, person, _dice: {"previousId": f"a{person}", "userId": f"u{person}"},
}


class Outcomes:
    """A hash for each line of a file, of what became of it."""

    def __init__(self) -> None:
        self._digests: dict[int, bytes] = {}

    def add(self, line: int, result: dict[str, Any]) -> None:
        """Add the result of a line, which has no other."""
        assert line not in self._digests, f"line {line} came twice"
        self._digests[line] = blake2b(msgspec.json.encode(result), digest_size=12).digest()

    def differences(self, other: "Outcomes") -> list[int]:
        """Return the lines whose results are not the same."""
        both = self._digests.keys() | other._digests.keys()
        return sorted(line for line in both if self._digests.get(line) != other._digests.get(line))

    def __len__(self) -> int:
        return len(self._digests)


class _Line(msgspec.Struct, omit_defaults=True):
    """What says what became of an event, with the bytes of its requests as they stand."""

    status: int = 0
    requests: msgspec.Raw = msgspec.Raw()
    warnings: msgspec.Raw = msgspec.Raw()
    reason: str = ""
    error: Any = None
    failure: Any = None
    line: int = 0


_decode = msgspec.json.Decoder(_Line).decode


def _reduced(line: _Line) -> dict[str, Any]:
    failure = line.error or line.failure
    if failure is not None:
        return {name: failure[name] for name in ("code", "message", "retryable")}
    return {
        "status": line.status,
        "reason": line.reason,
        "requests": line.requests or None,
        "warnings": line.warnings or None,
    }


def transformed(path: Path) -> Outcomes:
    """Return what `ciosidecar transform` wrote for a file without blank lines."""
    outcomes = Outcomes()
    with path.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            outcomes.add(number, _reduced(_decode(line)))
    return outcomes


def backfilled(directory: Path) -> Outcomes:
    """Return what `ciosidecar backfill` wrote for one file."""
    outcomes = Outcomes()
    for path in sorted((*directory.glob("requests-*.jsonl"), *directory.glob("refused-*.jsonl"))):
        with path.open("rb") as opened:
            for line in opened:
                read = _decode(line)
                number = read.failure["line"] if read.failure is not None else read.line
                outcomes.add(number, _reduced(read))
    return outcomes
