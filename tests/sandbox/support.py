"""A client of the sandbox under test, and sandboxes in processes of their own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from ciosidecar_sandbox.testing import Running

from tests.processes import COMMAND

AUTH = ("site", "key")
TIMEOUT_S = 20


class Track:
    """The Track API as a caller sees it, and what the sandbox says became of the calls."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.url = running.url
        self.http = httpx.Client(base_url=running.url, auth=AUTH, timeout=TIMEOUT_S)

    def put(self, path: str, body: Any) -> httpx.Response:
        return self.http.put(path, json=body)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def identify(self, who: str, **attributes: Any) -> None:
        """Send a v1 identify that is answered with 200, whatever becomes of it."""
        answer = self.put(f"/api/v1/customers/{who}", attributes)
        assert (answer.status_code, answer.json()) == (200, {})

    def event(self, who: str, name: str, **more: Any) -> None:
        """Send a v1 event that is answered with 200, whatever becomes of it."""
        answer = self.post(f"/api/v1/customers/{who}/events", {"name": name, **more})
        assert (answer.status_code, answer.json()) == (200, {})

    def anonymous(self, anonymous_id: str, name: str, **more: Any) -> None:
        """Send a v1 anonymous event."""
        body = {"anonymous_id": anonymous_id, "name": name, **more}
        assert self.post("/api/v1/events", body).status_code == 200

    def entity(self, operation: dict[str, Any]) -> httpx.Response:
        """Send a single v2 operation."""
        return self.post("/api/v2/entity", operation)

    def person_op(self, action: str, identifiers: Any, **more: Any) -> httpx.Response:
        """Send a single v2 operation on a person."""
        return self.entity({"type": "person", "action": action, "identifiers": identifiers, **more})

    def merge(self, primary: dict[str, str], secondary: dict[str, str]) -> None:
        """Send a v1 merge that is answered with 200, whatever becomes of it."""
        body = {"primary": primary, "secondary": secondary}
        assert self.post("/api/v1/merge_customers", body).status_code == 200

    def find(self, **by: str) -> dict[str, Any] | None:
        """Return a person by any identifier, or None."""
        answer = self.http.get("/sandbox/person", params=by)
        if answer.status_code == 404:
            return None
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def person(self, **by: str) -> dict[str, Any]:
        """Return a person who must be there."""
        found = self.find(**by)
        assert found is not None, by
        return found

    def attributes(self, **by: str) -> dict[str, Any]:
        """Return the attributes of a person who must be there."""
        found: dict[str, Any] = self.person(**by)["attributes"]
        return found

    def event_names(self, **by: str) -> list[str]:
        """Return a person's timeline by name, oldest first."""
        return [event["name"] for event in reversed(self.person(**by)["events"])]

    def rows(self, **by: str) -> list[dict[str, Any]]:
        """Return the log, newest first."""
        found: list[dict[str, Any]] = self.get("/sandbox/requests", **by)["requests"]
        return found

    def last(self) -> tuple[str, str]:
        """Return the outcome and the reason of the latest operation."""
        row = self.rows(limit="1")[0]
        return row["outcome"], row["reason"]

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return what a path of the admin API answers."""
        found: dict[str, Any] = self.http.get(path, params=query).raise_for_status().json()
        return found

    def fault(self, spec: str, **more: Any) -> None:
        """Inject other faults from now on."""
        self.http.put("/sandbox/faults", json={"spec": spec, **more}).raise_for_status()


class Process:
    """`ciosidecar sandbox` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.ready_line: dict[str, Any] = json.loads(process.stdout.readline() or "{}")

    @property
    def url(self) -> str:
        return str(self.ready_line["url"])

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def resident_bytes(self) -> int:
        """Return the memory that the process has."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    def end(self) -> tuple[int, str]:
        """Return the exit code and stderr, once it ends."""
        _, errors = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, errors


@contextmanager
def sandbox_process(
    *arguments: str, listen: str = "127.0.0.1:0", process_group: int | None = None
) -> Iterator[Process]:
    """Yield a sandbox with the given arguments; ended at the latest with the block.

    With process_group=0, Ctrl-C on the terminal does not reach it.
    """
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--listen", listen, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=process_group,
    ) as process:
        try:
            yield Process(process)
        finally:
            process.kill()
