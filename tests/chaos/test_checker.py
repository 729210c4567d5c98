"""The checker sees each kind of broken promise, and accepts what the faults explain."""

from dataclasses import replace

import pytest

from tests.chaos.books import Arrival, Books, Fault, Sent, Told, marks_of
from tests.chaos.checker import check

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


def test_a_failed_event_is_passed_only_over_a_new_connection() -> None:
    """The caller was told of the failure; the client's resend of the later event may be first then."""
    failed = sent(1, Told(4.0, 503, "UPSTREAM_FAILED", retryable=True), OK)
    events = [failed, sent(2, OK)]
    arrivals = [arrival(1, of=2), arrival(2, of=1, at=8.0)]
    assert rules(events, arrivals) == ["order"]
    verdict = check(Books(events, arrivals, [Fault("cut", "a", 4.5, 4.5)]))
    assert (verdict.violations, verdict.reordered) == ([], 1)
    assert rules(events, arrivals, Fault("cut", "b", 4.5, 4.5)) == ["order"]


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
