"""Faults on demand: what a caller must survive, seeded, so that a run can be repeated."""

import re
from random import Random
from typing import Any, NamedTuple

_NAMED = (
    "207",  # one item of a batch is refused, at random
    "slow",  # an answer that takes its time
    "reset",  # the connection is reset, nothing was accepted
    "reset-after",  # accepted, and then the connection is reset without an answer
    "hang",  # no answer, until the client goes away
    "html502",  # 502 with a page of HTML, as proxies send it
    "redirect",  # to this same sandbox, as for an account in another region
)
_STATUS = re.compile(r"[45][0-9]{2}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s)")
MAX_SLOW_S = 3600
REDIRECTS = (301, 302, 307, 308)


class BadFaults(ValueError):
    """A fault specification that cannot be read; the text says what is wrong with it."""


class Fault(NamedTuple):
    """One fault and how often it is injected."""

    name: str
    """A status, or one of the named ones."""
    probability: float
    """From 0 to 1, of each request."""
    delay_s: float = 0.0
    """Of slow."""


class InjectedFault(NamedTuple):
    """The fault that is injected into one request."""

    name: str
    """"" for nothing."""
    delay_s: float
    """Seconds to wait first."""
    pick: float
    """From 0 up to 1: which redirect, or which item of a batch."""


NO_FAULT = InjectedFault("", 0.0, 0.0)


def read_faults(text: str) -> tuple[Fault, ...]:
    """Reads "429=0.05,slow=0.01:2s,reset=0.01". Raises BadFaults."""
    found: dict[str, Fault] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, rest = part.partition("=")
        name = name.strip()
        if name not in _NAMED and not _STATUS.fullmatch(name):
            raise BadFaults(
                f"{name!r} is no fault: there are {', '.join(_NAMED)} and statuses from 400 to 599"
            )
        if not equals:
            raise BadFaults(f"{name} needs a probability: {name}=0.01")
        if name in found:
            raise BadFaults(f"{name} is there twice")
        share, colon, duration = rest.partition(":")
        delay_s = 0.0
        if name == "slow":
            delay_s = _seconds(duration)
        elif colon:
            raise BadFaults(f"{name} has no duration; only slow has one")
        found[name] = Fault(name, _probability(name, share), delay_s)
    total = sum(one.probability for one in found.values() if one.name != "slow")
    if total > 1 + 1e-9:
        raise BadFaults(f"the probabilities add up to {total:g}, which is more than 1")
    return tuple(found.values())


def _probability(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadFaults(f"{name}={text}: a probability is a number from 0 to 1")
    return value


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise BadFaults(f"slow needs a duration: slow=0.01:2s or slow=0.01:500ms, not {text!r}")
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
    if seconds > MAX_SLOW_S:
        raise BadFaults(f"slow takes at most {MAX_SLOW_S} s")
    return seconds


class Faults:
    """The faults in force. The n-th request after a change meets the same one for one seed."""

    def __init__(self, spec: str = "", seed: int = 0, retry_after_s: float | None = None) -> None:
        self.change(spec, seed, retry_after_s)

    def change(self, spec: str, seed: int, retry_after_s: float | None) -> None:
        """Begins anew with other faults. Raises BadFaults, and then nothing has changed.

        retry_after_s: seconds that a 429 asks to wait in Retry-After; None for no such header.
        """
        faults = read_faults(spec)
        if retry_after_s is not None and not 0 <= retry_after_s <= 86_400:
            raise BadFaults("retry_after_s must be from 0 to 86400 seconds")
        self.spec, self.seed, self.retry_after_s = spec, seed, retry_after_s
        self._slow = next((one for one in faults if one.name == "slow"), None)
        self._others = tuple(one for one in faults if one.name != "slow")
        self._random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.any = bool(faults)

    def begin_anew(self) -> None:
        """The same faults, from the first request on."""
        self._random = Random(self.seed)  # noqa: S311

    def inject(self) -> InjectedFault:
        """What befalls the next request."""
        if not self.any:
            return NO_FAULT
        # The same three draws for every request, so that one fault does not shift the others.
        which, slow, pick = self._random.random(), self._random.random(), self._random.random()
        delay_s = self._slow.delay_s if self._slow and slow < self._slow.probability else 0.0
        for one in self._others:
            which -= one.probability
            if which < 0:
                return InjectedFault(one.name, delay_s, pick)
        return InjectedFault("", delay_s, pick)

    def described(self) -> dict[str, Any]:
        """As GET and PUT /sandbox/faults show it."""
        return {"spec": self.spec, "seed": self.seed, "retry_after_s": self.retry_after_s}
