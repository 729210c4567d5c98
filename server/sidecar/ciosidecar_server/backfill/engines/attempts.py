"""An attempt of a task on a worker of another program, and the failure that the worker reports."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import BackfillFailed

LOST_WORKER = (
    "perhaps because memory ran out: the engine tried the task again, and it did not succeed; run the same command"
    " again to go on"
)
PACKAGE_HINT = "ciosidecar-server MUST be installed on every worker, in the version of this machine"
SHARED_HINT = (
    "the inputs and --output MUST be on a filesystem that all workers share, under the same path"
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a task: a result or a failure."""

    result: Any = None
    failure: BackfillFailed | None = None

    def get(self) -> Any:
        """Return the result, or raise the failure."""
        if self.failure is not None:
            raise self.failure
        return self.result


def attempt(function: Callable[[Any], Any], task: Any, cluster: bool = False) -> Attempt:  # noqa: FBT001, FBT002
    """Run a task on a worker. A failure comes back as a value: an engine would try it again, and log it.

    Args:
        function: What to do.
        task: What to do it with.
        cluster: Whether the worker may be on another machine.
    """
    try:
        return Attempt(function(task))
    except BackfillFailed as failure:
        if not cluster:
            return Attempt(failure=failure)
        text = f"{failure} (on {socket.gethostname()}; {SHARED_HINT})"
        return Attempt(failure=BackfillFailed(text, failure.code))
