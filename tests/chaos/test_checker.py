"""The checker sees each kind of broken promise, and accepts what the faults explain."""

from dataclasses import replace

import msgspec
import pytest

from tests.chaos.books import Arrival, Books, Fault, Sent, Told, marks_of
from tests.chaos.checker import Verdict, check
from tests.chaos.report import TOO_BUSY, exit_code

OK = Told(at=10.0, status=200)
FAILED = Told(at=10.0, status=503, code="UPSTREAM_FAILED", retryable=True)
BLOCKED = Told(at=10.0, status=503, code="BLOCKED", retryable=True)
REFUSED = Told(at=10.0, status=400, code="REFUSED")


def sent(number: int = 1, *told: Told, at: float = 1.0, bad: bool = False) -> Sent:
    """An event of one person, sent once for each result."""
    times = [at, *(result.at + 1 for result in told[:-1])]
    return Sent(f"chaos-a-{number}", "a", ("w u1",), bad, times, list(told))


def arrival(number: int = 1, of: int = 1, at: float = 5.0, **other: object) -> Arrival:
    """An arrival that is accepted and answered within a tenth of a second."""
    usual = Arrival(
        number=number,
        request=number,
        peer="proxy:1",
        operations=1,
        event_id=f"id-{of}",
        received_at=at,
        decided_at=at + 0.05,
        answered_at=at + 0.1,
        result="accepted",
        status=200,
        fault="",
        answer="written",
        marks=(f"chaos-a-{of}",),
    )
    return replace(usual, **other)  # type: ignore[arg-type]


def rules(events: list[Sent], arrivals: list[Arrival], *faults: Fault) -> list[str]:
    """The rules that are broken."""
    verdict = check(Books(events, arrivals, list(faults)))
    return sorted({violation.rule for violation in verdict.violations})


def test_books_without_a_fault_break_no_rule() -> None:
    """Delivered, rejected, refused by Customer.io, and failed for good: each told as it was."""
    events = [sent(1, OK), sent(2, REFUSED, bad=True), sent(3, REFUSED), sent(4, FAILED)]
    arrivals = [
        arrival(1),
        arrival(2, of=3, at=6.0, result="refused", status=400),
        arrival(3, of=4, at=7.0, result="fault", fault="503", status=503),
    ]
    assert rules(events, arrivals) == []


@pytest.mark.parametrize(
    "arrivals",
    [
        [],
        [arrival(result="fault", fault="503", status=503)],
        [arrival(result="refused", status=400)],
        [arrival(answer="cut")],
        [arrival(at=11.0, answered_at=12.0)],
    ],
    ids=["no arrival", "failed", "refused", "its answer was cut", "told before the answer"],
)
def test_lost(arrivals: list[Arrival]) -> None:
    """Told delivered, which no accepted and answered arrival stands for."""
    assert "lost" in rules([sent(1, OK)], arrivals)


@pytest.mark.parametrize("told", [REFUSED, Told(10.0, 298), Told(10.0, 501, "INTERNAL")])
@pytest.mark.parametrize("accepted", [True, False])
def test_told_wrongly(told: Told, accepted: bool) -> None:
    """A permanent failure of a good event, that Customer.io accepted or never refused."""
    assert rules([sent(1, told)], [arrival()] if accepted else []) == ["told wrongly"]


def test_blocked_told_as_permanent_is_told_wrongly() -> None:
    """BLOCKED is retryable: the event was not sent, and nothing refused it."""
    assert rules([sent(1, replace(BLOCKED, retryable=False))], []) == ["told wrongly"]


def test_refused_after_an_acceptance_that_is_explained() -> None:
    """The first answer was cut, and the second request is refused: nothing was told wrongly."""
    second = arrival(2, at=6.0, result="fault", fault="400", status=400)
    assert rules([sent(1, REFUSED)], [arrival(1, answer="cut"), second]) == []
    assert rules([sent(1, REFUSED)], [arrival(1), second]) == ["repeat", "told wrongly"]


@pytest.mark.parametrize("told", [(), (OK, OK, OK)], ids=["none", "three"])
def test_not_one_result(told: tuple[Told, ...]) -> None:
    """None, or more than one for what was sent once or twice."""
    event = sent(1, *told)
    event.sent = event.sent[:1]
    assert rules([event], [arrival()]) == ["results"]


def test_an_event_that_must_be_rejected() -> None:
    """Told delivered, or arrived."""
    assert rules([sent(1, OK, bad=True)], []) == ["not rejected"]
    assert rules([sent(1, REFUSED, bad=True)], [arrival()]) == ["not rejected"]


def test_out_of_order() -> None:
    """By the first acceptance of each: a repeat of the earlier event does not count."""
    events = [sent(1, OK), sent(2, OK)]
    assert rules(events, [arrival(1, of=2), arrival(2, of=1, at=6.0)]) == ["order"]
    events[1].keys = ("w u2",)
    assert rules(events, [arrival(1, of=2), arrival(2, of=1, at=6.0)]) == []


def test_a_refusal_blocks_nothing() -> None:
    """The earlier event was refused, its answer was lost, and both are accepted later."""
    events = [sent(1, OK), sent(2, OK)]
    refused = arrival(1, fault="207", result="fault", status=207, operations=2, answer="cut")
    beside = arrival(2, of=2, request=1, operations=2, answer="cut")
    again = [arrival(3, at=6.0), arrival(4, of=2, request=3, at=6.0)]
    assert rules(events, [refused, beside, *again]) == []
    assert rules(events, [replace(refused, fault="503", status=503), beside, *again]) == ["order"]


@pytest.mark.parametrize(("status", "broken"), [(422, []), (400, ["order"]), (413, ["order"])])
def test_a_refusal_of_several_operations_is_final_unless_halves_are_sent(
    status: int, broken: list[str]
) -> None:
    """The later event may go then. Both are sent again, because the results were lost."""
    refused = arrival(1, fault=str(status), result="fault", status=status, operations=2)
    arrivals = [refused, arrival(2, of=2, at=5.5), arrival(3, at=8.0), arrival(4, of=2, at=8.5)]
    cut = Fault("cut", "a", 5.6, 5.7)
    assert rules([sent(1, OK), sent(2, OK)], arrivals, cut) == broken


def test_a_failed_event_is_passed_only_over_a_new_connection() -> None:
    """The caller was told of the failure; the client's resend of the later event may be first then."""
    failed = sent(1, Told(4.0, 503, "UPSTREAM_FAILED", retryable=True), OK)
    events = [failed, sent(2, OK)]
    arrivals = [arrival(1, of=2), arrival(2, of=1, at=8.0)]
    assert rules(events, arrivals) == ["order"]
    verdict = check(Books(events, arrivals, [Fault("cut", "a", 4.5, 4.5)]))
    assert (verdict.violations, verdict.reordered) == ([], 1)
    assert rules(events, arrivals, Fault("cut", "b", 4.5, 4.5)) == ["order"]


@pytest.mark.parametrize(("starved_s", "broken"), [(1.5, []), (0.5, ["order"])])
def test_a_failure_that_a_starved_caller_reads_late(starved_s: float, broken: list[str]) -> None:
    """Four seconds after the later event passed: three are allowed, and the seconds without a processor."""
    failed = sent(1, Told(9.0, 503, "DRAINING", retryable=True), replace(OK, at=15.0))
    arrivals = [arrival(1, of=2), arrival(2, of=1, at=14.0)]
    roll = Fault("roll", "sidecar", 4.5, 9.0)
    times = [Fault("starved", "proxy", 6.0, 6.0 + starved_s)]
    found = check(Books([failed, sent(2, OK)], arrivals, [roll], starved=times)).violations
    assert [one.rule for one in found] == broken


def test_two_of_one_person_at_once() -> None:
    """The second arrives before the first is answered; in one request both may be."""
    events = [sent(1, OK), sent(2, OK)]
    first, second = arrival(1, answered_at=6.0), arrival(2, of=2, at=5.5)
    assert rules(events, [first, second]) == ["at once"]
    assert rules(events, [first, replace(second, request=1)]) == []
    assert rules(events, [replace(first, answer="cut"), second, arrival(3, at=7.0)]) == []


REPEAT = [arrival(1), arrival(2, at=6.0)]


def test_a_repeat_that_nothing_explains() -> None:
    """Twice, and the first was answered."""
    assert rules([sent(1, OK)], REPEAT) == ["repeat"]


def test_a_repeat_after_a_refusal() -> None:
    """What Customer.io refused must not be sent again, unless it shared its request."""
    refused = arrival(1, result="refused", status=400)
    assert rules([sent(1, OK)], [refused, REPEAT[1]]) == ["repeat"]
    assert rules([sent(1, OK)], [replace(refused, operations=2), REPEAT[1]]) == []


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"result": "fault", "fault": "503", "status": 503}, ()),
        ({"fault": "reset-after", "answer": "cut"}, ()),
        ({"answer": "cut"}, ()),
        ({"received_at": -5.0}, ()),
        ({}, (Fault("cut", "customerio", 5.05, 5.05, "proxy:1"),)),
        ({}, (Fault("half-open", "a", 2.0, 9.0),)),
        ({}, (Fault("kill", "sidecar", 5.5, 5.5),)),
    ],
)
def test_a_repeat_that_a_fault_explains(
    change: dict[str, object], faults: tuple[Fault, ...]
) -> None:
    """Shown by the arrival itself, or injected on its connection, its caller or the sidecar."""
    arrivals = [replace(REPEAT[0], **change), REPEAT[1]]  # type: ignore[arg-type]
    verdict = check(Books([sent(1, OK)], arrivals, list(faults)))
    assert verdict.violations == []
    assert verdict.repeats == verdict.explanations.total() == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cut", "customerio", 5.05, 5.05, "proxy:2"),
        Fault("cut", "customerio", 1.0, 1.5, "proxy:1"),
        Fault("cut", "b", 5.5, 5.5),
        Fault("kill", "sidecar", 11.0, 11.0),
    ],
    ids=["another connection", "before it", "another caller", "after the result"],
)
def test_a_fault_explains_only_its_own_window(fault: Fault) -> None:
    """Of its own connection, or its own caller, at that time."""
    assert rules([sent(1, OK)], REPEAT, fault) == ["repeat"]


def test_a_deadline_explains_a_repeat() -> None:
    """The caller was told of a failure while the request was in flight, and sent the event again."""
    told = Told(5.05, 504, "UPSTREAM_TIMEOUT", retryable=True)
    assert rules([sent(1, told, OK)], REPEAT) == []
    assert rules([sent(1, replace(told, at=1.5), OK)], REPEAT) == ["repeat"]


IN_FLIGHT = Told(5.05, 504, "UPSTREAM_TIMEOUT", retryable=True, attempts=1)


def test_a_result_explains_one_arrival() -> None:
    """The one that was in flight. What arrives twice just after it was sent twice."""
    twice = [arrival(2, at=6.1), arrival(3, at=6.3)]
    assert rules([sent(1, IN_FLIGHT, OK)], [arrival(1), twice[0]]) == []
    assert rules([sent(1, IN_FLIGHT, OK)], [arrival(1), *twice]) == ["repeat"]


def test_a_result_explains_no_arrival_of_an_earlier_sending() -> None:
    """The event was sent twice at first; the second sending failed, and nothing of it arrived."""
    told = (IN_FLIGHT, replace(IN_FLIGHT, at=6.1), OK)
    twice = [arrival(1, at=4.5), arrival(2, at=5.0), arrival(3, at=8.0)]
    assert rules([sent(1, *told)], twice) == ["repeat"]
    assert rules([sent(1, *told)], [twice[0], replace(twice[1], received_at=6.08), twice[2]]) == []


@pytest.mark.parametrize(
    ("at", "starved_s", "broken"),
    [
        (5.9, 0.0, []),
        (6.2, 0.0, ["repeat"]),
        (6.2, 0.2, []),
        (2.1, 0.0, []),
        (1.9, 0.0, ["repeat"]),
    ],
)
def test_a_result_explains_what_arrives_a_second_later(
    at: float, starved_s: float, broken: list[str]
) -> None:
    """And the starved seconds between; the caller may read the result three seconds late."""
    books = Books([sent(1, IN_FLIGHT, OK)], [arrival(1, at=at), arrival(2, at=9.0)])
    books.starved = [Fault("starved", "sandbox", 5.5, 5.5 + starved_s)]
    assert [one.rule for one in check(books).violations] == broken


LATE = Told(10.0, 504, "UPSTREAM_TIMEOUT", retryable=True, attempts=1)
"""Told 4.9 s after the first arrival was answered."""
AGAIN = [arrival(1), arrival(2, at=14.0)]


def starved(start: float, end: float, program: str = "sidecar") -> Fault:
    """Tell when a program got no CPU."""
    return Fault("starved", program, start, end)


def verdict_of(told: tuple[Told, ...], arrivals: list[Arrival], *times: Fault) -> Verdict:
    """Judge one event, sent once for each result."""
    return check(Books([sent(1, *told)], arrivals, request_timeout_s=4.0, starved=list(times)))


@pytest.mark.parametrize("program", ["machine", "proxy", "sandbox", "sidecar"])
@pytest.mark.parametrize(
    "told", [LATE, replace(BLOCKED, attempts=1), Told(10.0, 0, "UNAVAILABLE", True)]
)
def test_a_failure_that_was_told_late_by_a_starved_program(told: Told, program: str) -> None:
    """The answer lay there unread, and the caller sent the event again."""
    told_then = (told, replace(OK, at=15.0))
    assert [one.rule for one in verdict_of(told_then, AGAIN).violations] == ["repeat"]
    verdict = verdict_of(told_then, AGAIN, starved(6.0, 8.0, program))
    assert (verdict.violations, verdict.starved_repeats) == ([], 1)
    assert verdict.explanations[f"starved: {program}"] == 1
    assert verdict.starved_s == 2.0


def test_a_request_that_a_starved_sidecar_gave_up_and_sent_again() -> None:
    """Within one call, and the result says so."""
    told = (replace(OK, attempts=2),)
    again = [arrival(1), arrival(2, at=8.5)]
    assert [one.rule for one in verdict_of(told, again).violations] == ["repeat"]
    assert verdict_of(told, again, starved(4.0, 5.0)).violations == []


def test_a_result_just_after_the_second_arrival_is_the_sidecars_own_repeat() -> None:
    """0.03 s after it: the caller sent the event once, and the sidecar twice."""
    told = replace(OK, at=8.53, attempts=2)
    again = [arrival(1), arrival(2, at=8.5)]
    assert [one.rule for one in verdict_of((told,), again).violations] == ["repeat"]
    assert verdict_of((told,), again, starved(4.0, 5.0)).violations == []
    once = replace(told, attempts=1)
    assert [one.rule for one in verdict_of((once,), again, starved(4.0, 5.0)).violations] == [
        "repeat"
    ]


def test_a_sidecar_that_was_starved_and_does_not_say_that_it_sent_the_event_again() -> None:
    """Starvation does not make a sidecar send one request twice."""
    once = (replace(OK, attempts=1),)
    again = [arrival(1), arrival(2, at=8.5)]
    assert [one.rule for one in verdict_of(once, again, starved(1.0, 9.0)).violations] == ["repeat"]
    assert [
        one.rule
        for one in verdict_of((replace(LATE, at=12.0),), again, starved(1.0, 9.0)).violations
    ] == ["repeat"]


@pytest.mark.parametrize(
    "times",
    [
        [starved(-5.0, 0.9)],
        [starved(10.1, 12.0)],
        [starved(6.0, 7.0)],
        [starved(6.0, 7.0), starved(6.2, 7.1, "sandbox")],
    ],
    ids=["before it", "after the result", "too short", "too short, and overlapping"],
)
def test_starvation_that_explains_nothing(times: list[Fault]) -> None:
    """At another time, or for less than the delay: 4.9 s less the 3 s of any busy machine."""
    verdict = verdict_of((LATE, replace(OK, at=15.0)), AGAIN, *times)
    assert [one.rule for one in verdict.violations] == ["repeat"]


def test_a_late_refusal_of_a_repeat_that_starvation_explains() -> None:
    """Customer.io refused the repeat, so the refusal is told rightly."""
    told = (LATE, replace(REFUSED, at=15.0))
    refused = [AGAIN[0], replace(AGAIN[1], result="refused", status=400)]
    broken = [one.rule for one in verdict_of(told, refused).violations]
    assert broken == ["told wrongly", "repeat"]
    assert verdict_of(told, refused, starved(6.0, 8.0)).violations == []


@pytest.mark.parametrize(
    ("told", "arrivals", "rule"),
    [
        ((OK,), [], "lost"),
        ((OK,), [arrival(answer="cut")], "lost"),
        ((REFUSED,), [arrival()], "told wrongly"),
        ((BLOCKED,), [arrival()], "blocked"),
        ((OK,), [arrival(), arrival(2, at=11.0)], "late"),
        ((BLOCKED, replace(OK, at=15.0)), AGAIN, "repeat"),
    ],
)
def test_what_starvation_never_explains(
    told: tuple[Told, ...], arrivals: list[Arrival], rule: str
) -> None:
    """Only repeats have this reason, and only those that a result admits."""
    verdict = verdict_of(told, arrivals, starved(-10.0, 20.0), starved(-10.0, 20.0, "machine"))
    assert rule in {one.rule for one in verdict.violations}


def test_starvation_explains_no_order() -> None:
    """Neither a later event that was accepted first, nor two of one person at once."""
    events = [sent(1, LATE, replace(OK, at=15.0)), sent(2, OK)]
    times = [starved(-10.0, 20.0)]
    passed = [arrival(1, of=2), arrival(2, of=1, at=6.0)]
    beside = [arrival(1, answered_at=6.0), arrival(2, of=2, at=5.5), arrival(3, at=14.0)]
    for arrivals, rule in ((passed, "order"), (beside, "at once")):
        found = check(Books(events, arrivals, request_timeout_s=4.0, starved=times)).violations
        assert rule in {one.rule for one in found}


def test_a_machine_that_was_too_busy_for_a_judgement() -> None:
    """Starved for most of the time, or with many repeats that have no other reason: not passed."""
    told = (LATE, replace(OK, at=15.0))
    few = verdict_of(told, AGAIN, starved(6.0, 8.0))
    assert "1 of 1 repeats" in few.too_busy
    assert exit_code(few) == TOO_BUSY
    long = verdict_of((OK,), [arrival()], starved(3.0, 8.0))
    assert "5 of 9 s" in long.too_busy
    assert exit_code(long) == TOO_BUSY
    assert exit_code(verdict_of((OK,), [arrival()], starved(3.0, 7.0))) == 0
    assert exit_code(verdict_of((OK,), [], starved(3.0, 8.0))) == 1
    assert exit_code(verdict_of((OK,), [arrival()]), ["a caller ended"]) == 1


def test_books_without_the_times_of_starvation_can_be_read() -> None:
    """Those of an earlier run."""
    books = msgspec.to_builtins(Books([sent(1, OK)], [arrival()]))
    del books["starved"]
    assert check(msgspec.convert(books, Books)).violations == []


def test_an_arrival_after_it_was_told_delivered() -> None:
    """Late, whatever became of it."""
    late = arrival(2, at=11.0, result="fault", fault="503", status=503)
    assert rules([sent(1, OK)], [arrival(1), late]) == ["late"]


def test_blocked_is_not_sent() -> None:
    """An arrival between sending and BLOCKED; one of an earlier time is none of that."""
    assert rules([sent(1, BLOCKED)], [arrival()]) == ["blocked"]
    failed = arrival(result="fault", fault="503", status=503)
    assert rules([sent(1, BLOCKED)], [failed]) == ["blocked"]
    assert rules([sent(1, BLOCKED, at=6.0)], [arrival()]) == []
    assert rules([sent(1, replace(BLOCKED, attempts=1))], [arrival()]) == []


def test_another_event_id() -> None:
    """On a repeat, or the id of another event."""
    faulty = arrival(1, answer="cut")
    assert rules([sent(1, OK)], [faulty, arrival(2, at=6.0, event_id="other")]) == ["event id"]
    second = arrival(2, of=2, at=6.0, event_id="id-1")
    assert rules([sent(1, OK), sent(2, OK)], [arrival(1), second]) == ["event id"]


def test_what_no_caller_sent() -> None:
    """Under a mark that no caller knows, or without any."""
    assert rules([], [arrival()]) == ["unknown"]
    assert rules([], [arrival(marks=())]) == ["unknown"]


def test_marks_of_a_request() -> None:
    """The member `mark` first, then any in the body, then the path."""
    assert marks_of("/c/chaos-a-1", '{"id":"chaos-a-2","mark":"chaos-a-3"}') == ("chaos-a-3",)
    assert marks_of("/segments/1", '{"ids":["chaos-a-1","chaos-a-12"]}') == (
        "chaos-a-1",
        "chaos-a-12",
    )
    assert marks_of("/api/v1/customers/u/devices/chaos-a-7", "") == ("chaos-a-7",)
