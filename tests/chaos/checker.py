"""Check the books of a run: an independent judge, which imports nothing of the sidecar.

Each rule has a name, which the report shows:

* lost: told delivered, and no arrival accepted before that whose answer was written.
* told wrongly: told a permanent failure, and accepted with an answer that nothing kept back; or told
  a permanent failure that nothing at Customer.io stands for; or a good event told filtered.
* not rejected: an event that must be rejected was told otherwise, or arrived.
* results: not exactly one result for each time that the event was sent.
* order: accepted, or refused alone, for the first time before an earlier event that shares an identifier with it.
* at once: in flight beside an earlier event that shares an identifier with it.
* repeat: arrived again although nothing kept the earlier answer back.
* late: arrived after a result that is final.
* blocked: told BLOCKED and no attempts, which says not sent, although it arrived in that time.
* event id: arrived with another event id than before, or with the id of another event.
* unknown: an arrival that no caller sent.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos.books import Arrival, Books, Fault, Sent, Told
from tests.chaos.deadlines import in_flight
from tests.chaos.starvation import LATE_READ_S, Starvation

CLOCK_MARGIN_S = 0.05
"""Two processes of one machine read one clock, but not at one moment."""
GRACE_S = 5.0
"""Time in which the sidecar finds out that a caller is gone, or reads what it was sent."""
MOST_STARVED = 0.5
"""The share of a run's time in which a program may get no CPU. Beyond it, the run shows nothing."""
MOST_EXPLAINED = 0.05
"""The share of the repeats that may have no other reason than that."""
TOO_MUCH_TOGETHER = (400, 413)
"""Refusals of several operations after which the sidecar sends the halves (docs/delivery.md)."""
FINAL_FAULTS = frozenset(
    ("400", "402", "404", "405", "406", "409", "410", "411", "413", "422", "207")
)
"""Injected faults after which the sidecar must not send an operation again."""


@dataclass(slots=True, frozen=True)
class Violation:
    """One promise that was broken for one event."""

    rule: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.mark}: {self.text}"


@dataclass(slots=True)
class Verdict:
    """What the checker found."""

    violations: list[Violation] = field(default_factory=list)
    explanations: Counter[str] = field(default_factory=Counter)
    """Why arrivals were repeated: the number of repeats by the fault that explains them."""
    repeats: int = 0
    reordered: int = 0
    """Events that a lost connection let pass an earlier one, as docs/delivery.md allows."""
    seconds: float = 0.0
    starved_s: float = 0.0
    """The part of the run in which a program got no CPU, and the repeats that only this explains."""
    starved_repeats: int = 0

    @property
    def too_busy(self) -> str:
        """Return why the machine was too busy for a judgement; "" if it was not."""
        if self.starved_s > MOST_STARVED * self.seconds:
            return f"a program got no CPU in {self.starved_s:.0f} of {self.seconds:.0f} s"
        if self.starved_repeats > MOST_EXPLAINED * self.repeats:
            return f"{self.starved_repeats:,} of {self.repeats:,} repeats have no other reason"
        return ""


def check(books: Books) -> Verdict:
    """Check the books of one run."""
    return _Check(books).run()


class _Check:
    def __init__(self, books: Books) -> None:
        self._books = books
        self._verdict = Verdict()
        self._starvation = Starvation(books.starved, books.request_timeout_s)
        self._in_flight: dict[str, set[int]] = {}
        self._arrivals: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in sorted(books.arrivals, key=lambda one: one.number):
            for mark in arrival.marks:
                self._arrivals[mark].append(arrival)
        self._by_peer: dict[str, list[Fault]] = defaultdict(list)
        self._by_link: dict[str, list[Fault]] = defaultdict(list)
        for fault in books.faults:
            if fault.link == "customerio":
                self._by_peer[fault.peer].append(fault)
            else:
                self._by_link[fault.link].append(fault)

    def run(self) -> Verdict:
        for event in self._books.sent:
            self._check_results(event)
            self._check_told(event)
            self._check_repeats(event)
        self._check_event_ids()
        self._check_order()
        known = {event.mark for event in self._books.sent}
        for arrival in self._books.arrivals:
            if not arrival.marks or not known.issuperset(arrival.marks):
                self._violate("unknown", ",".join(arrival.marks), f"arrival {arrival.number}")
        self._measure_starvation()
        return self._verdict

    def _measure_starvation(self) -> None:
        times = [at for event in self._books.sent for at in event.sent]
        times += [told.at for event in self._books.sent for told in event.told]
        if times:
            start, end = min(times), max(times)
            self._verdict.seconds = end - start
            self._verdict.starved_s = self._starvation.seconds(start, end)

    def _violate(self, rule: str, mark: str, text: str) -> None:
        self._verdict.violations.append(Violation(rule, mark, text))

    def _check_results(self, event: Sent) -> None:
        if len(event.told) != len(event.sent):
            text = f"sent {len(event.sent)} times, {len(event.told)} results"
            self._violate("results", event.mark, text)

    def _check_told(self, event: Sent) -> None:
        arrivals = self._arrivals[event.mark]
        if event.bad:
            if arrivals or any(told.delivered for told in event.told):
                self._violate("not rejected", event.mark, _describe(event.told))
            return
        for start, told in zip(event.sent, event.told, strict=False):
            if not told.retryable:
                self._check_late(event, told, arrivals)
            if told.delivered:
                self._check_delivered(told, event.mark, arrivals)
            elif told.code == "BLOCKED" and told.retryable and not told.attempts:
                self._check_blocked(event, start, told, arrivals)
            elif not told.retryable:
                self._check_permanent(event, told, arrivals)

    def _check_delivered(self, told: Told, mark: str, arrivals: list[Arrival]) -> None:
        until = told.at + CLOCK_MARGIN_S
        # Not the time of the answer: a busy sandbox notes it after the caller has it.
        if not any(_is_confirmed(one) and one.decided_at <= until for one in arrivals):
            self._violate("lost", mark, f"told delivered; {_shown(arrivals)}")

    def _check_late(self, event: Sent, told: Told, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            if arrival.received_at > told.at + CLOCK_MARGIN_S and not self._hidden(event, arrival):
                self._violate("late", event.mark, f"arrival {arrival.number} after {told}")

    def _hidden(self, event: Sent, arrival: Arrival) -> str:
        """Return the fault for which an arrival may be that of an earlier connection; "" if none."""
        return self._link_excuse(arrival) or self._caller_excuse(event, arrival)

    def _check_permanent(self, event: Sent, told: Told, arrivals: list[Arrival]) -> None:
        text = f"told {told.status} {told.code}; {_shown(arrivals)}"
        is_refused = any(_is_final_refusal(one) for one in arrivals)
        accepted = [one for one in arrivals if one.result == "accepted"]
        if not is_refused or not all(
            self._excuse(event, one) or self._starvation.excuse(event, one, arrivals)
            for one in accepted
        ):
            self._violate("told wrongly", event.mark, text)

    def _check_blocked(
        self, event: Sent, start: float, told: Told, arrivals: list[Arrival]
    ) -> None:
        for arrival in arrivals:
            if start < arrival.received_at < told.at and not self._hidden(event, arrival):
                self._violate("blocked", event.mark, f"arrival {arrival.number} before {told}")

    def _check_repeats(self, event: Sent) -> None:
        arrivals = self._arrivals[event.mark]
        if len(arrivals) < 2:
            return
        self._verdict.repeats += len(arrivals) - 1
        excuses = [self._excuse(event, arrival) for arrival in arrivals]
        without = [one for one, excuse in zip(arrivals, excuses, strict=True) if not excuse]
        found = [excuse for excuse in excuses if excuse]
        if len(without) > 1:
            starved = {one.number: self._starvation.excuse(event, one, arrivals) for one in without}
            without = [one for one in without if not starved[one.number]]
            found += [f"starved: {program}" for program in starved.values() if program]
            self._verdict.starved_repeats += sum(1 for program in starved.values() if program)
        if len(without) > 1:
            self._violate("repeat", event.mark, _shown(without))
        self._verdict.explanations.update(found[: len(arrivals) - 1])
        self._verdict.explanations["unexplained"] += max(0, len(without) - 1)

    def _check_event_ids(self) -> None:
        owners: dict[str, str] = {}
        for event in self._books.sent:
            ids = {arrival.event_id for arrival in self._arrivals[event.mark]}
            if len(ids) > 1:
                self._violate("event id", event.mark, f"ids {sorted(ids)}")
            for event_id in ids - {""}:
                owner = owners.setdefault(event_id, event.mark)
                if owner != event.mark:
                    self._violate("event id", event.mark, f"{event_id} is that of {owner}")

    def _check_order(self) -> None:
        queues: dict[tuple[str, str], list[Sent]] = defaultdict(list)
        for event in self._books.sent:
            for key in event.keys:
                queues[event.stream, key].append(event)
        reported: set[tuple[str, str]] = set()
        for queue in queues.values():
            self._check_first_acceptances(queue, reported)
            self._check_in_flight(queue, reported)

    def _check_first_acceptances(self, queue: list[Sent], reported: set[tuple[str, str]]) -> None:
        latest: tuple[Arrival, Sent] | None = None
        for event in queue:
            first = next((one for one in self._arrivals[event.mark] if _is_decided(one)), None)
            if first is None:
                continue
            if latest is not None and first.number < latest[0].number:
                self._judge_order(latest[1], event, latest[0], first, reported)
            # The latest acceptance so far: later events must come after it.
            if latest is None or first.number > latest[0].number:
                latest = first, event

    def _judge_order(
        self,
        earlier: Sent,
        later: Sent,
        earlier_first: Arrival,
        later_first: Arrival,
        reported: set[tuple[str, str]],
    ) -> None:
        if (earlier.mark, later.mark) in reported:
            return
        reported.add((earlier.mark, later.mark))
        if self._reconnected_between(earlier, later, later_first):
            self._verdict.reordered += 1
            return
        text = f"accepted as {later_first.number}, before {earlier.mark} as {earlier_first.number}"
        self._violate("order", later.mark, text)

    def _reconnected_between(self, earlier: Sent, later: Sent, passed: Arrival) -> bool:
        """Return True if the earlier event had failed when the client sent the later one anew.

        A new connection does not know what failed on the old one (docs/delivery.md, "Events that
        are sent twice"): a caller that was told of the failure decides the order then.
        """
        for told in earlier.told:
            # Results come in the order of the events: a failure may be read later than it was known.
            late_s = LATE_READ_S + self._starvation.seconds(passed.received_at, told.at)
            if not told.retryable or told.at - late_s > passed.received_at:
                continue
            for fault in self._of_caller(later):
                if fault.end >= told.at - GRACE_S and fault.start <= passed.received_at:
                    return True
        return False

    def _check_in_flight(self, queue: list[Sent], reported: set[tuple[str, str]]) -> None:
        flights = sorted(
            (
                (arrival.received_at, arrival, event)
                for event in queue
                for arrival in self._arrivals[event.mark]
            ),
            key=lambda flight: flight[0],
        )
        for (_, first, one), (_, second, other) in pairwise(flights):
            if one is other or first.request == second.request:
                continue
            overlap = second.received_at < first.answered_at
            if not overlap or (one.mark, other.mark) in reported:
                continue
            if not self._hidden(other, second) and not self._excuse(one, first):
                reported.add((one.mark, other.mark))
                self._violate(
                    "at once", other.mark, f"beside {one.mark}: {_shown([first, second])}"
                )

    def _excuse(self, event: Sent, arrival: Arrival) -> str:
        """Return the fault that kept the answer to an arrival from the sidecar or the caller; "" if none."""
        return (
            self._shown_excuse(arrival)
            or self._hidden(event, arrival)
            or self._told_excuse(event, arrival)
        )

    def _shown_excuse(self, arrival: Arrival) -> str:
        if arrival.fault and arrival.fault not in FINAL_FAULTS:
            return f"sandbox {arrival.fault}"
        if arrival.answer == "cut":
            return "answer cut"
        if arrival.result != "accepted" and arrival.operations > 1 and arrival.status != 207:
            return "split after a refusal"
        if arrival.answered_at - arrival.received_at >= 0.9 * self._books.request_timeout_s:
            return "answer too slow"
        return ""

    def _link_excuse(self, arrival: Arrival) -> str:
        for fault in self._by_peer.get(arrival.peer, ()):
            # What the proxy had passed on before a cut is read a little later.
            has_ended = fault.end + LATE_READ_S < arrival.received_at
            if fault.start <= arrival.answered_at + GRACE_S and not has_ended:
                return f"customerio {fault.kind}"
        return ""

    def _caller_excuse(self, event: Sent, arrival: Arrival) -> str:
        """Return a fault between caller and sidecar, or of the sidecar, that began before the result."""
        told_at = _told_after(event, arrival.received_at)
        for fault in self._of_caller(event):
            if arrival.received_at <= fault.end + GRACE_S and fault.start <= told_at:
                return f"{'sidecar' if fault.link == 'sidecar' else 'caller'} {fault.kind}"
        return ""

    def _told_excuse(self, event: Sent, arrival: Arrival) -> str:
        """Return "deadline" if a retryable failure was told while the request was in flight."""
        if event.mark not in self._in_flight:
            unexplained = [
                one
                for one in self._arrivals[event.mark]
                if not self._shown_excuse(one) and not self._hidden(event, one)
            ]
            self._in_flight[event.mark] = in_flight(event, unexplained, self._starvation)
        return "deadline" if arrival.number in self._in_flight[event.mark] else ""

    def _of_caller(self, event: Sent) -> Iterator[Fault]:
        yield from self._by_link.get(event.stream, ())
        yield from self._by_link.get("sidecar", ())


def _told_after(event: Sent, at: float) -> float:
    """Return when the caller was told of what it sent last before a time; infinity for never."""
    return min((told.at for told in event.told if told.at >= at), default=float("inf"))


def _is_confirmed(arrival: Arrival) -> bool:
    return arrival.result == "accepted" and arrival.answer == "written"


def _is_decided(arrival: Arrival) -> bool:
    """Return True if Customer.io accepted the operation, or refused it for good: that blocks nothing.

    A refusal of several operations is final too, except those after which the sidecar sends the halves.
    """
    is_split = arrival.operations > 1 and arrival.status in TOO_MUCH_TOGETHER
    return arrival.result == "accepted" or (not is_split and _is_final_refusal(arrival))


def _is_final_refusal(arrival: Arrival) -> bool:
    return arrival.result == "refused" or arrival.fault in FINAL_FAULTS


def _describe(results: Iterable[Told]) -> str:
    return ", ".join(f"{told.status} {told.code}" for told in results)


def _shown(arrivals: list[Arrival]) -> str:
    if not arrivals:
        return "no arrival"
    return "; ".join(
        f"arrival {one.number} of request {one.request} from {one.peer}: {one.result} {one.status}"
        f" {one.fault} {one.answer}, {one.received_at:.3f} to {one.answered_at:.3f}"
        for one in arrivals
    )
