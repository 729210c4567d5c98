"""When a workspace turns jobs away, with a clock set by hand."""

from ciosidecar_server.delivery.circuit_breaker import CircuitBreaker
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.outcomes import DeliveryOutcome, Place


class _Owner:
    submitting = False

    def place(self, job: Job) -> Place | None:
        return None

    def settled(self, job: Job, report: DeliveryOutcome) -> None:
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
    report = circuit.admit(_job(deadline=104.9))
    assert report is not None
    assert (report.status, report.retry_after_s) == (429, 5.0)
    assert circuit.admit(_job(deadline=105.1)) is None
