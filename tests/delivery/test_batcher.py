"""How long a ready job waits for others to share its request with, at times that the test chooses."""

from collections.abc import Sequence

import pytest
from ciosidecar_server.delivery.batcher import MAX_LINGER_S, Batcher
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.observer import MessageTrace
from ciosidecar_server.delivery.outcomes import DeliveryOutcome, ItemRef
from ciosidecar_transform.requests import BatchTemplate, SharedItem

LINGER_S = 0.005
TEMPLATE = BatchTemplate("POST", "https://track.customer.io", "v2/batch", {}, b"[", 4, 100)


class Message:
    """The owner of jobs: a message that is being submitted, until the test says otherwise."""

    submitting = True
    trace = MessageTrace()

    def item_ref(self, job: Job) -> ItemRef | None:
        return None

    def settled(self, jobs: Sequence[Job], outcome: DeliveryOutcome) -> None:
        raise AssertionError("a batcher settles no job")


def job(message: Message, body: bytes = b"{}", *, deadline: float = 100.0) -> Job:
    return Job(SharedItem(TEMPLATE, "/api/v2/batch", body), (), deadline, message, 0)


def test_jobs_wait_for_the_linger() -> None:
    """A message of which all is submitted: 5 ms from its first job."""
    message = Message()
    message.submitting = False
    batcher = Batcher(LINGER_S)
    batcher.add([job(message)], 10.0)
    batcher.add([job(message)], 10.004)
    assert batcher.wait_s(10.004) == pytest.approx(0.001)
    assert batcher.wait_s(10.005) == 0
    assert len(batcher.next_batch(10.005).jobs) == 2
    assert batcher.wait_s(10.005) is None


def test_jobs_wait_for_the_rest_of_their_message() -> None:
    """However long the linger is over; and not a moment longer than until the message is submitted."""
    message = Message()
    batcher = Batcher(LINGER_S)
    batcher.add([job(message)], 10.0)
    assert batcher.wait_s(10.1) == pytest.approx(MAX_LINGER_S - 0.1)
    batcher.add([job(message)], 10.1)
    message.submitting = False
    assert batcher.wait_s(10.1) == 0
    assert len(batcher.next_batch(10.1).jobs) == 2


def test_the_wait_for_a_message_is_bounded() -> None:
    """A message that takes for ever does not keep its first jobs."""
    batcher = Batcher(LINGER_S)
    batcher.add([job(Message())], 10.0)
    assert batcher.wait_s(10.0 + MAX_LINGER_S) == 0


@pytest.mark.parametrize(("jobs", "body"), [(4, b"{}"), (2, b"x" * 60)], ids=["items", "bytes"])
def test_a_full_request_goes_at_once(jobs: int, body: bytes) -> None:
    """Of as many items, or of as many bytes, as one request takes; the rest of its message follows."""
    message = Message()
    batcher = Batcher(LINGER_S)
    for _ in range(jobs):
        assert batcher.wait_s(10.0) != 0
        batcher.add([job(message, body)], 10.0)
    assert batcher.wait_s(10.0) == 0


def test_a_short_deadline_ends_the_wait_for_a_message() -> None:
    """A quarter of the time that a job has: its request still has the rest."""
    batcher = Batcher(LINGER_S)
    batcher.add([job(Message(), deadline=10.4)], 10.0)
    assert batcher.wait_s(10.0) == pytest.approx(0.1)
    assert batcher.wait_s(10.11) == 0


def test_another_message_does_not_wait_for_one_that_is_being_submitted() -> None:
    """A job that joins the queue of a long message goes after its own 5 ms, and takes the queue with it."""
    message, other = Message(), Message()
    other.submitting = False
    batcher = Batcher(LINGER_S)
    batcher.add([job(message)], 10.0)
    assert batcher.wait_s(10.0) == MAX_LINGER_S
    batcher.add([job(other)], 10.2)
    assert batcher.wait_s(10.2) == pytest.approx(LINGER_S)
    assert len(batcher.next_batch(10.206).jobs) == 2


def test_what_a_request_took_counts_no_more() -> None:
    """Two bodies of 60 bytes fill a request of 100, which takes one of them: the other is not full by itself."""
    message = Message()
    batcher = Batcher(LINGER_S)
    batcher.add([job(message, b"x" * 60), job(message, b"x" * 60)], 10.0)
    assert batcher.wait_s(10.0) == 0
    assert len(batcher.next_batch(10.0).jobs) == 1
    assert batcher.wait_s(10.0) == MAX_LINGER_S
