"""Jobs that share one request."""

from ciosidecar_transform.batching import join
from ciosidecar_transform.requests import Request, SharedItem

from .job import Job, State


class RequestBatch:
    """One request and the jobs it covers."""

    __slots__ = ("_request", "in_doubt", "jobs", "next", "redirected", "sent_at", "waited_s")

    def __init__(
        self,
        jobs: list[Job],
        request: Request | None = None,
        next_batch: "RequestBatch | None" = None,
    ) -> None:
        """Begin with jobs of one template and path.

        Args:
            jobs: the jobs, in their order.
            request: the request for these jobs, if it is made already.
            next_batch: the request that waits until all these jobs are settled.
        """
        self.jobs = jobs
        self.next = next_batch
        self.redirected = False
        """Whether Customer.io redirected the request to its other region."""
        self.sent_at = 0.0
        """When the last attempt began."""
        self.waited_s = 0.0
        """The time that the first job had waited then, since its submission or since the attempt before."""
        self.in_doubt = False
        """Whether the workspace was in doubt when the request took its slot."""
        self._request = request

    def drop_settled(self) -> None:
        """Remove the jobs that are settled by now."""
        if any(job.state is State.SETTLED for job in self.jobs):
            self.jobs = [job for job in self.jobs if job.state is not State.SETTLED]
            self._request = None

    def request(self) -> Request:
        """Return the request for the jobs that are left."""
        if self._request is None:
            request: Request | SharedItem = self.jobs[0].request
            if isinstance(request, SharedItem):
                request = join(
                    request.template, request.path, [job.request.body for job in self.jobs]
                )
            self._request = request
        return self._request

    def bisect(self) -> "RequestBatch":
        """Return the first half of the jobs, with the second half as its next."""
        middle = len(self.jobs) // 2
        second = RequestBatch(self.jobs[middle:], next_batch=self.next)
        first = RequestBatch(self.jobs[:middle], next_batch=second)
        first.redirected = second.redirected = self.redirected
        return first
