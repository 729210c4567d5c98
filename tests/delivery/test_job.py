"""The states of a job: what is not in the table cannot happen unnoticed."""

import ast
import itertools
from pathlib import Path

import ciosidecar_server
import pytest
from ciosidecar_server.delivery.job import TRANSITIONS, Job, State, transition, waited_together
from ciosidecar_transform.requests import Request, RequestTemplate

PACKAGE = Path(ciosidecar_server.__file__).parent
TEMPLATE = RequestTemplate("PUT", "https://track.customer.io", "v1/customers", {})

PATHS = {
    State.QUEUED: (),
    State.READY: (State.READY,),
    State.IN_FLIGHT: (State.READY, State.IN_FLIGHT),
    State.WAITING_FOR_RETRY: (State.READY, State.IN_FLIGHT, State.WAITING_FOR_RETRY),
    State.SETTLED: (State.SETTLED,),
}
LEGAL = {
    (State.QUEUED, State.READY),
    (State.QUEUED, State.IN_FLIGHT),
    (State.QUEUED, State.SETTLED),
    (State.READY, State.IN_FLIGHT),
    (State.READY, State.SETTLED),
    (State.IN_FLIGHT, State.WAITING_FOR_RETRY),
    (State.WAITING_FOR_RETRY, State.IN_FLIGHT),
    (State.WAITING_FOR_RETRY, State.SETTLED),
}


def job_in(state: State) -> Job:
    job = Job(None, (), 0.0, None, 0)  # type: ignore[arg-type]
    for each in PATHS[state]:
        transition([job], each)
    return job


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, repeat=2)))
def test_a_job_changes_state_as_the_table_says(before: State, after: State) -> None:
    """What the table allows happens; anything else is a defect, and stops the test that has it."""
    job = job_in(before)
    assert job.state is before
    if (before, after) in LEGAL:
        transition([job], after)
        assert job.state is after
    else:
        with pytest.raises(AssertionError):
            transition([job], after)
        assert job.state is before


def test_every_state_is_in_the_table() -> None:
    """None can be entered, or left, by a way that the table does not know."""
    assert set(TRANSITIONS) == set(State)


def test_nothing_but_transition_sets_a_state() -> None:
    """In no module that has jobs: the table would not be asked."""
    setting = {
        path.name
        for package in ("delivery", "rpc", "telemetry")
        for path in (PACKAGE / package).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "state"
        and isinstance(node.ctx, ast.Store)
    }
    assert setting == {"job.py"}


def test_a_job_shows_no_request() -> None:
    """In a traceback, or a log: it has personal data."""
    request = Request(TEMPLATE, "/api/v1/customers/ada@example.com", b'{"name": "Ada"}')
    job = Job(request, ("ada@example.com",), 0.0, None, 3)  # type: ignore[arg-type]
    assert repr(job) == "Job(position=3, state=<State.QUEUED: 0>)"


def test_jobs_are_answered_together_if_they_waited_together() -> None:
    """Those of one message, submitted at once, whose first request was the same: in their order, each once."""
    jobs = [Job(None, (), 0.0, owner, 0) for owner in ("a", "a", "b", "b", "b", "a")]  # type: ignore[arg-type]
    jobs[3].submitted_at = jobs[4].submitted_at = 1.0
    jobs[4].first_sent_at = 2.0
    assert [len(run) for run in waited_together(jobs)] == [2, 1, 1, 1, 1]
    assert [job for run in waited_together(jobs) for job in run] == jobs
    assert list(waited_together([])) == []
