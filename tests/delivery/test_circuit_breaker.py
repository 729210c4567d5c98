"""When a workspace turns jobs away, with a clock set by hand."""

from collections.abc import Sequence

import pytest
from ciosidecar_server.delivery.circuit_breaker import CircuitBreaker
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.outcomes import DeliveryOutcome, ItemRef, unanswered


class _Owner:
    submitting = False

    def item_ref(self, job: Job) -> ItemRef | None:
        return None

    def settled(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        raise AssertionError("a circuit answers nobody itself")


def _job(deadline: float) -> Job:
    return Job(request=None, keys=(), deadline=deadline, owner=_Owner(), position=0)  # type: ignore[arg-type]


def test_a_job_whose_time_ends_meanwhile_is_not_called_throttled() -> None:
    """Its deadline may pass between the look at the clock and this one: that is no 429."""
    circuit = CircuitBreaker(lambda: 100.0)
    assert circuit.admit(_job(deadline=99.999)) is None


def test_a_job_whose_time_ends_within_the_pause_is_throttled() -> None:
    """Customer.io asked for 5 s: what has less than that left is told so, and what has more waits."""
    circuit = CircuitBreaker(lambda: 100.0)
    circuit.pause(5.0)
    outcome = circuit.admit(_job(deadline=104.9))
    assert outcome is not None
    assert (outcome.status, outcome.retry_after_s) == (429, 5.0)
    assert circuit.admit(_job(deadline=105.1)) is None


def test_five_failures_open_it_and_one_success_closes_it() -> None:
    """One request at a time tries then, after a pause that the clock decides."""
    now = 100.0
    circuit = CircuitBreaker(lambda: now)
    for _ in range(4):
        circuit.on_failure(unanswered("no", timed_out=False), sent_at=now)
    assert (circuit.open, circuit.wait_s()) == (False, 0)
    circuit.on_failure(unanswered("no", timed_out=False), sent_at=now)
    assert (circuit.open, circuit.half_open) == (True, True)
    now += circuit.wait_s()
    assert circuit.wait_s() == 0
    circuit.on_success(sent_at=now)
    assert (circuit.open, circuit.half_open, circuit.failing) == (False, False, False)


@pytest.mark.parametrize(("failures", "bound_s"), [(5, 0.2), (6, 0.4), (8, 1.6), (20, 10.0)])
def test_the_bound_of_the_pause_before_a_probe_doubles(failures: int, bound_s: float) -> None:
    """Any time up to 0.2 s after the fifth failure, up to 10 s in the end."""
    waits = []
    for _ in range(300):
        circuit = CircuitBreaker(lambda: 100.0)
        for _ in range(failures):
            circuit.on_failure(unanswered("no", timed_out=False), sent_at=100.0)
        waits.append(circuit.wait_s())
    assert 0.9 * bound_s < max(waits) <= bound_s


def test_what_was_under_way_at_a_failure_counts_no_second_time() -> None:
    """Of a hundred requests that fail together, five open the circuit; one sent afterwards is the sixth failure."""
    now = 100.0
    circuit = CircuitBreaker(lambda: now)
    for _ in range(100):
        now += 0.001
        circuit.on_failure(unanswered("no", timed_out=False), sent_at=100.0)
    assert circuit.wait_s() <= 0.2
    last = unanswered("the last one", timed_out=True)
    circuit.on_failure(last, sent_at=now)
    outcome = circuit.trouble()
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code == "UPSTREAM_TIMEOUT"
    assert circuit.wait_s() <= 0.4


def test_however_long_it_fails_it_is_asked_every_ten_seconds() -> None:
    """The interval between two probes has a bound, and so has what a caller is told to wait."""
    now = 100.0
    circuit = CircuitBreaker(lambda: now)
    for _ in range(300):
        circuit.on_failure(unanswered("no", timed_out=False), sent_at=now)
        assert circuit.wait_s() <= 10
        trouble = circuit.trouble()
        assert trouble is not None
        assert (trouble.status, trouble.retry_after_s) == (504, circuit.wait_s())
        now += circuit.wait_s()


def test_refused_credentials_are_tried_by_one_job_after_ever_longer_pauses() -> None:
    """1 s, 2 s, 4 s, up to a minute; meanwhile every job comes back, and after a success none."""
    now = 100.0
    circuit = CircuitBreaker(lambda: now)
    probe = _job(deadline=1e6)
    for pause_s in (1, 2, 4, 8, 16, 32, 60, 60):
        circuit.on_credentials_refused([probe], 401, [])
        refused = circuit.admit(_job(deadline=1e6))
        assert refused is not None
        assert refused.retry_after_s == pause_s
        now += pause_s
        assert circuit.admit(probe) is None
        assert circuit.admit(_job(deadline=1e6)) is not None
    circuit.on_success(sent_at=now)
    assert circuit.admit(_job(deadline=1e6)) is None


def test_a_probe_that_is_settled_unsent_leaves_the_place_to_another() -> None:
    """Its time was over, say."""
    now = 100.0
    circuit = CircuitBreaker(lambda: now)
    circuit.on_credentials_refused([], 401, [])
    now += 1
    probe = _job(deadline=102)
    assert circuit.admit(probe) is None
    circuit.on_settled([probe])
    assert circuit.admit(_job(deadline=1e6)) is None
