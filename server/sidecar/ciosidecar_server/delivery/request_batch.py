"""Jobs that share one request."""

from ciosidecar_transform.batching import join
from ciosidecar_transform.requests import BatchItem, Request

from .job import Job, State


class Shipment:
    """One request and the jobs it covers."""

    __slots__ = ("_request", "in_doubt", "jobs", "redirected", "sent_at", "then")

    def __init__(
        self, jobs: list[Job], request: Request | None = None, then: "Shipment | None" = None
    ) -> None:
        """request: for these jobs, if it is made already. then: what waits until this is settled."""
        self.jobs = jobs
        self.then = then
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
            call: Request | BatchItem = self.jobs[0].call
            if isinstance(call, BatchItem):
                call = join(call.template, call.path, [job.call.body for job in self.jobs])
            self._request = call
        return self._request

    def halves(self) -> "Shipment":
        """The first half, which the second one follows."""
        middle = len(self.jobs) // 2
        second = Shipment(self.jobs[middle:], then=self.then)
        first = Shipment(self.jobs[:middle], then=second)
        first.redirected = second.redirected = self.redirected
        return first
