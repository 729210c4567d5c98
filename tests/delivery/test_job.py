"""The states of a job: what is not in the table cannot happen unnoticed."""

import itertools

import pytest
from ciosidecar_server.delivery.job import TRANSITIONS, Job, State

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
        job.transition(each)
    return job


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, repeat=2)))
def test_a_job_changes_state_as_the_table_says(before: State, after: State) -> None:
    """What the table allows happens; anything else is a defect, and stops the test that has it."""
    job = job_in(before)
    assert job.state is before
    if (before, after) in LEGAL:
        job.transition(after)
        assert job.state is after
    else:
        with pytest.raises(AssertionError):
            job.transition(after)
        assert job.state is before


def test_every_state_is_in_the_table() -> None:
    """And a job is changed by `transition` alone: its state cannot be set."""
    assert set(TRANSITIONS) == set(State)
    with pytest.raises(AttributeError):
        job_in(State.QUEUED).state = State.SETTLED  # type: ignore[misc]
