"""The events of chaos: every kind of operation, each with a mark that stands in its request."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PEOPLE = 10
# User id, email and anonymous id: one of them, or two.
_IDENTIFIERS = (("u", "a"), ("u", "e"), ("e", "a"), ("u",), ("e",), ("a",))
WORKSPACES = 3
TIME = "2026-03-04T05:06:07.890Z"
AUDIENCE = {"audienceId": 7, "identifierMappings": [{"to": "id"}]}
ROWS_OF_PEOPLE = {"destination": {"object": "person"}}


@dataclass(slots=True)
class Planned:
    """One event, before it is sent."""

    mark: str
    event: dict[str, Any]
    keys: tuple[str, ...]
    """The identifiers of the event: it keeps its order with every event that shares one."""
    connection: dict[str, Any] | None = None
    bad: bool = False


@dataclass(slots=True)
class Plan:
    """The events of one caller, the same for the same seed."""

    stream: str
    group: str
    """Callers of one group send events of the same people."""
    api_version: str
    dice: random.Random
    prepared: bool = False
    """True if the caller sends requests that it transformed before: those name one identifier."""
    _number: int = field(default=0, init=False)

    def next(self) -> tuple[Planned, dict[str, str]]:
        """Return the next event and the config of its destination."""
        self._number += 1
        mark = f"chaos-{self.stream}-{self._number}"
        person = f"{self.group}{self.dice.randrange(PEOPLE)}"
        kinds, weights = (PREPARED_KINDS, None) if self.prepared else (KINDS, WEIGHTS)
        (kind,) = self.dice.choices(kinds, weights)
        planned = kind(mark, person, self.dice)
        planned.event |= {"messageId": mark, "originalTimestamp": TIME}
        workspace = f"{self.api_version}-{self.group}-{self.dice.randrange(WORKSPACES)}"
        planned.keys = tuple(f"{workspace} {key}" for key in planned.keys)
        return planned, {"siteID": workspace, "apiKey": "key", "apiVersion": self.api_version}


def encoded(event: dict[str, Any]) -> bytes:
    """Return the event's JSON."""
    return json.dumps(event).encode()


def _identify(mark: str, person: str, dice: random.Random) -> Planned:
    traits = {"mark": mark, "email": f"{person}@people.example", "step": dice.randrange(1000)}
    event = {
        "type": "identify",
        "userId": f"user-{person}",
        "anonymousId": f"anonymous-{person}",
        "traits": traits,
    }
    return Planned(mark, event, (f"u {person}", f"e {person}", f"a {person}"))


def _track(mark: str, person: str, dice: random.Random) -> Planned:
    event: dict[str, Any] = {
        "type": dice.choice(("track", "track", "page", "screen")),
        "event": "Order",
        "name": "Order",
        "properties": {"mark": mark, "padding": "x" * dice.choice((0, 0, 100, 3000))},
    }
    kinds = dice.choice(_IDENTIFIERS)
    if "u" in kinds:
        event["userId"] = f"user-{person}"
    if "e" in kinds:
        event["context"] = {"traits": {"email": f"{person}@people.example"}}
    if "a" in kinds:
        event["anonymousId"] = f"anonymous-{person}"
    return Planned(mark, event, tuple(f"{kind} {person}" for kind in kinds))


def _alias(mark: str, person: str, _dice: random.Random) -> Planned:
    event = {"type": "alias", "userId": f"user-{person}", "previousId": mark}
    return Planned(mark, event, (f"u {person}",))


def _group(mark: str, person: str, dice: random.Random) -> Planned:
    company = f"company-{dice.randrange(3)}"
    event = {
        "type": "group",
        "userId": f"user-{person}",
        "groupId": company,
        "traits": {"mark": mark},
    }
    return Planned(mark, event, (f"u {person}", f"g {company}"))


def _device(mark: str, person: str, dice: random.Random) -> Planned:
    name = dice.choice(("Application Installed", "Application Uninstalled"))
    event = {
        "type": "track",
        "event": name,
        "userId": f"user-{person}",
        "context": {"device": {"token": mark, "type": "ios"}},
    }
    return Planned(mark, event, (f"u {person}",))


def _row(mark: str, person: str, dice: random.Random) -> Planned:
    event = {
        "type": "record",
        "action": dice.choice(("insert", "update")),
        "identifiers": {"id": f"user-{person}", "mark": mark},
    }
    return Planned(mark, event, (f"u {person}",), ROWS_OF_PEOPLE)


def _deletion(mark: str, _person: str, _dice: random.Random) -> Planned:
    event = {"type": "record", "action": "delete", "identifiers": {"id": mark}}
    return Planned(mark, event, (f"u {mark}",), ROWS_OF_PEOPLE)


def _audience(mark: str, _person: str, dice: random.Random) -> Planned:
    action = dice.choice(("insert", "delete"))
    event = {"type": "record", "action": action, "identifiers": {"id": mark}}
    return Planned(mark, event, (f"u {mark}",), AUDIENCE)


def _unset(mark: str, person: str, _dice: random.Random) -> Planned:
    event = {
        "type": "identify",
        "userId": f"user-{person}",
        "traits": {"mark": mark, "step": None, "plan": ""},
    }
    return Planned(mark, event, (f"u {person}",))


def _bad(mark: str, _person: str, _dice: random.Random) -> Planned:
    return Planned(
        mark, {"type": "track", "event": "Whose?", "properties": {"mark": mark}}, (), bad=True
    )


def _by_user(mark: str, person: str, dice: random.Random) -> Planned:
    event = {
        "type": dice.choice(("track", "page", "screen")),
        "event": "Order",
        "name": "Order",
        "userId": f"user-{person}",
        "properties": {"mark": mark},
    }
    return Planned(mark, event, (f"u {person}",))


KINDS: list[Callable[[str, str, random.Random], Planned]] = [
    _identify,
    _track,
    _alias,
    _group,
    _device,
    _row,
    _deletion,
    _audience,
    _unset,
    _bad,
]
WEIGHTS = [20, 40, 5, 10, 8, 6, 3, 4, 4, 3]
PREPARED_KINDS = [_by_user, _unset, _device]
