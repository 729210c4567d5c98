"""ciosidecar's client: talk to the sidecar from Python. The stubs are in `ciosidecar.v1`."""

from ciosidecar.results import Error, Request, Result, Warning, read_results

__all__ = ["Error", "Request", "Result", "Warning", "read_results"]
