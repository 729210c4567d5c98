"""Jobs that share one request."""

from ciosidecar_transform.batching import join
from ciosidecar_transform.requests import BatchItem, Request

from .job import Job, State


class RequestBatch:
    """One request and the jobs it covers."""

    __slots__ = ("_request", "in_doubt", "jobs", "next", "redirected", "sent_at")

    def __init__(
        self,
        jobs: list[Job],
        request: Request | None = None,
        next_batch: "RequestBatch | None" = None,
    ) -> None:
        """request: for these jobs, if it is made already. next_batch: what waits until this is settled."""
        self.jobs = jobs
        self.next = next_batch
        self.redirected = False
        """Whether Customer.io sent it on to its other region."""
        self.sent_at = 0.0
        """When its last attempt began."""
        self.in_doubt = False
        """Whether its slot was taken by a workspace in doubt."""
        self._request = request

    def drop_done(self) -> None:
        """Leaves out what was settled in the meantime."""
        if any(job.state is State.DONE for job in self.jobs):
            self.jobs = [job for job in self.jobs if job.state is not State.DONE]
            self._request = None

    def request(self) -> Request:
        """The request for all jobs that are left."""
        if self._request is None:
            request: Request | BatchItem = self.jobs[0].request
            if isinstance(request, BatchItem):
                request = join(
                    request.template, request.path, [job.request.body for job in self.jobs]
                )
            self._request = request
        return self._request

    def bisect(self) -> "RequestBatch":
        """The first half, which the second one follows."""
        middle = len(self.jobs) // 2
        second = RequestBatch(self.jobs[middle:], next_batch=self.next)
        first = RequestBatch(self.jobs[:middle], next_batch=second)
        first.redirected = second.redirected = self.redirected
        return first
