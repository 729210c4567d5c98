"""Faults of tasks, which name where they happened on every engine."""

import pickle
import traceback

import pytest
from ciosidecar_server.backfill.engines.attempts import attempt
from ciosidecar_server.backfill.errors import BackfillFailed
from ciosidecar_server.backfill.guarded import Guarded
from ciosidecar_server.backfill.tasks import Job, PartitionTask

TASK = PartitionTask(Job(directory="/out", config=None, partitions=9, now=0), 7, 1, ())


def _fault(_task: object) -> None:
    raise KeyError("a person's name")


def _failure(_task: object) -> None:
    raise BackfillFailed("cannot read /in: gone", 2)


def test_a_fault_names_the_partition_and_the_line_of_code() -> None:
    """Without the text of the exception, which may quote an event: neither here nor in a traceback of an engine."""
    with pytest.raises(
        BackfillFailed, match=r"^partition 7: KeyError \(test_guarded\.py, line \d+\)$"
    ) as failed:
        Guarded(_fault)(TASK)
    assert "a person's name" not in "".join(traceback.format_exception(failed.value))


def test_a_failure_stays_as_it_is() -> None:
    """It says already what to do."""
    with pytest.raises(BackfillFailed, match=r"^cannot read /in: gone$"):
        Guarded(_failure)(TASK)


def test_a_failure_comes_back_from_a_worker_as_a_value() -> None:
    """Engines repeat and log exceptions. On a cluster, the text says where it was, and what a cluster needs."""
    attempted = pickle.loads(pickle.dumps(attempt(Guarded(_failure), TASK, cluster=True)))
    with pytest.raises(
        BackfillFailed, match=r"^cannot read /in: gone \(on .*MUST be on a filesystem"
    ) as failed:
        attempted.get()
    assert failed.value.code == 2
    with pytest.raises(BackfillFailed, match=r"^cannot read /in: gone$"):
        attempt(_failure, TASK).get()
