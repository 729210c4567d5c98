"""Injected faults, chosen by a seed so that a run can be repeated."""

import re
from random import Random
from typing import Any, NamedTuple

_NAMED = (
    "207",  # one item of a batch is refused, at random
    "slow",  # the response is delayed
    "reset",  # the connection is reset, nothing was accepted
    "reset-after",  # the request is accepted, then the connection is reset without a response
    "hang",  # no response until the client disconnects
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
    """A status, or one of the named faults."""
    probability: float
    """Probability for each request, from 0 to 1."""
    delay_s: float = 0.0
    """Delay of the fault slow."""


class InjectedFault(NamedTuple):
    """The fault to inject into one request."""

    name: str
    """"" for nothing."""
    delay_s: float
    """Seconds to wait before the response."""
    pick: float
    """Number from 0 up to 1 that picks the redirect, or the item of a batch."""


NO_FAULT = InjectedFault("", 0.0, 0.0)


def read_faults(text: str) -> tuple[Fault, ...]:
    """Return the faults of a specification such as "429=0.05,slow=0.01:2s,reset=0.01".

    Raises:
        BadFaults: The specification cannot be read.
    """
    faults: dict[str, Fault] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, rest = part.partition("=")
        name = name.strip()
        if name not in _NAMED and not _STATUS.fullmatch(name):
            raise BadFaults(
                f"{name!r} is not a fault: use {', '.join(_NAMED)} or a status from 400 to 599"
            )
        if not equals:
            raise BadFaults(f"{name} needs a probability: {name}=0.01")
        if name in faults:
            raise BadFaults(f"{name} is given twice")
        share, colon, duration = rest.partition(":")
        delay_s = 0.0
        if name == "slow":
            delay_s = _seconds(duration)
        elif colon:
            raise BadFaults(f"{name} has no duration; only slow has one")
        faults[name] = Fault(name, _probability(name, share), delay_s)
    total = sum(fault.probability for fault in faults.values() if fault.name != "slow")
    if total > 1 + 1e-9:
        raise BadFaults(f"the probabilities add up to {total:g}, which is more than 1")
    return tuple(faults.values())


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
    """The faults in force. With the same seed, the n-th request after a change gets the same fault."""

    def __init__(self, spec: str = "", seed: int = 0, retry_after_s: float | None = None) -> None:
        self.change(spec, seed, retry_after_s)

    def change(self, spec: str, seed: int, retry_after_s: float | None) -> None:
        """Replace the faults, and restart the choice with the seed.

        Args:
            spec: The specification, as for `read_faults`.
            seed: The seed of the choice.
            retry_after_s: Seconds in the Retry-After header of a 429; None for no such header.

        Raises:
            BadFaults: The specification cannot be read. Nothing has changed then.
        """
        faults = read_faults(spec)
        if retry_after_s is not None and not 0 <= retry_after_s <= 86_400:
            raise BadFaults("retry_after_s must be from 0 to 86400 seconds")
        self.spec, self.seed, self.retry_after_s = spec, seed, retry_after_s
        self._slow = next((fault for fault in faults if fault.name == "slow"), None)
        self._others = tuple(fault for fault in faults if fault.name != "slow")
        self._random = Random(seed)  # noqa: S311 - repeatable, not secret
        self.any = bool(faults)

    def begin_anew(self) -> None:
        """Restart the choice with the seed, for the same faults."""
        self._random = Random(self.seed)  # noqa: S311

    def inject(self) -> InjectedFault:
        """Return the fault for the next request."""
        if not self.any:
            return NO_FAULT
        # The same three draws for every request, so that one fault does not shift the others.
        which, slow, pick = self._random.random(), self._random.random(), self._random.random()
        delay_s = self._slow.delay_s if self._slow and slow < self._slow.probability else 0.0
        for fault in self._others:
            which -= fault.probability
            if which < 0:
                return InjectedFault(fault.name, delay_s, pick)
        return InjectedFault("", delay_s, pick)

    def described(self) -> dict[str, Any]:
        """Return the faults as GET and PUT /sandbox/faults show them."""
        return {"spec": self.spec, "seed": self.seed, "retry_after_s": self.retry_after_s}
