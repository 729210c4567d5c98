"""Whether callers got what they are promised while sidecars and Envoy came and went."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .callers import Caller, Record
from .fleet import Arrival, now

LONGEST_GAP_S = 2.0
# Of a machine that is busy with something else. The fault that the limit is for took 12.8 s.
LONGEST_GAP_WHEN_BUSY_S = 8.0
# A caller sees the end of a stream a little after it came.
_NOTICED_WITHIN_S = 1.0


@dataclass(frozen=True)
class Fault:
    """A time at which a process was ended."""

    since: float
    until: float
    drain: bool = False
    """The sidecar gave back what it had not sent: code DRAINING."""


class Faults:
    """The faults of a run."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    @contextlib.contextmanager
    def fault(self, *, drain: bool = False) -> Iterator[None]:
        """Remember the time of the block as that of a fault."""
        since = now()
        yield
        self._faults.append(Fault(since, now() + _NOTICED_WITHIN_S, drain))

    def excuses(self, record: Record, *, drain: bool = False) -> set[int]:
        """Return the events that were under way at a fault."""
        faults = [fault for fault in self._faults if fault.drain or not drain]
        return set().union(*(record.under_way(fault.since, fault.until) for fault in faults))


def problems(callers: Sequence[Caller], arrivals: Sequence[Arrival], faults: Faults) -> list[str]:
    """Return everything that broke a promise. The callers have finished."""
    found = []
    for caller in callers:
        own = [arrival for arrival in arrivals if arrival.caller == caller.name]
        of_caller = [
            *_of_answers(caller.record, faults),
            *_of_arrivals(caller.record, own, faults),
            *_of_order(own),
        ]
        found += [f"{caller.name}: {problem}" for problem in of_caller]
    return found


def _of_answers(record: Record, faults: Faults) -> list[str]:
    found = []
    if record.end.get("end") != "OK":
        found.append(f"it ended with {record.end}")
    positions = [answer["position"] for answer in record.answers]
    if positions != list(range(len(record.sent_at))):
        found.append(f"{len(record.sent_at)} events, and not one answer each: {positions[-5:]}")
    draining = faults.excuses(record, drain=True)
    for answer in record.answers:
        code = answer.get("error", {}).get("code")
        given_back = code == "DRAINING" and answer["position"] in draining
        if answer["status"] != 200 and not given_back:
            found.append(f"event {answer['position']}: {answer['status']} {answer.get('error')}")
    return found


def _of_arrivals(record: Record, arrivals: Sequence[Arrival], faults: Faults) -> list[str]:
    first = Counter(arrival.index for arrival in arrivals if not arrival.repeat)
    delivered = {answer["position"] for answer in record.answers if answer["status"] == 200}
    found = [f"event {index} counts {times} times" for index, times in first.items() if times > 1]
    found += [f"event {index} is missing" for index in delivered - set(first)]
    excused = faults.excuses(record)
    found += [
        f"event {arrival.index} arrived again without a fault"
        for arrival in arrivals
        if arrival.repeat and arrival.index not in excused
    ]
    return found


def _of_order(arrivals: Sequence[Arrival]) -> list[str]:
    """Return the events that arrived for the first time behind a later one of their person."""
    latest: dict[int, int] = defaultdict(lambda: -1)
    found = []
    for arrival in arrivals:
        if arrival.repeat:
            continue
        if arrival.index < latest[arrival.person]:
            found.append(f"event {arrival.index} came after {latest[arrival.person]}")
        latest[arrival.person] = max(arrival.index, latest[arrival.person])
    return found


def too_long(callers: Sequence[Caller], undisturbed_until: float) -> list[str]:
    """Return who waited too long for an answer.

    Args:
        callers: They have finished.
        undisturbed_until: When the first fault came. What callers waited before it is the machine's own load, and
            five times that is allowed beside the limit.
    """
    found = []
    for caller in callers:
        gaps = list(caller.record.gaps())
        calm_s = max((gap for at, gap in gaps if at < undisturbed_until), default=0.0)
        limit_s = min(LONGEST_GAP_S + 5 * calm_s, LONGEST_GAP_WHEN_BUSY_S)
        longest_s = max(gap for _, gap in gaps)
        if longest_s > limit_s:
            found.append(f"{caller.name} waited {longest_s:.1f} s, and {calm_s:.1f} s before")
    return found


def repeats(arrivals: Sequence[Arrival]) -> Counter[str]:
    """Return how many events of each caller arrived again."""
    return Counter(arrival.caller for arrival in arrivals if arrival.repeat)
