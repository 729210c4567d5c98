"""A real Prometheus on loopback, from Debian, that scrapes a real sidecar."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import pytest

WITHIN_S = 60
_LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')
_OPENER = build_opener(ProxyHandler({}))


def need(program: str) -> str:
    """Return the path of a program of Debian's package prometheus. Skips the test without it."""
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not here (Debian: apt-get install prometheus)"
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an expression now.

        Raises:
            HTTPError: Prometheus does not understand the expression.
        """
        return list(self._get("query", query=expression)["result"])

    def query_range(self, expression: str, start: float, end: float, step_s: float) -> list[Any]:
        """Return the series of an expression over a time."""
        answer = self._get("query_range", query=expression, start=start, end=end, step=step_s)
        return list(answer["result"])

    def _get(self, route: str, **parameters: Any) -> Any:
        url = f"{self.url}/api/v1/{route}?{urlencode(parameters)}"
        with _OPENER.open(url, timeout=60) as response:
            return json.load(response)["data"]


@contextmanager
def prometheus(
    directory: Path, admin: str, path: str = "/metrics", **labels: str
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes an admin port twice a second.

    Args:
        directory: for its files.
        admin: host:port of the sidecar's admin port.
        path: what is scraped there.
        labels: of the sidecar, as the discovery of a cluster would add them.
    """
    program = need("prometheus")
    config = directory / "prometheus.yml"
    scrape = {
        "job_name": "ciosidecar",
        "metrics_path": path,
        "static_configs": [{"targets": [admin], "labels": labels}],
    }
    limits = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    config.write_text(json.dumps({"global": limits, "scrape_configs": [scrape]}))
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = f"http://{_address(process)}"
            _wait_until_ready(url)
            yield Prometheus(url)
        finally:
            process.kill()


def _wait_until_ready(url: str) -> None:
    """Wait until it answers queries: it listens before it has opened its files."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            _OPENER.open(f"{url}/-/ready", timeout=60).close()
        except HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def _address(process: "subprocess.Popen[str]") -> str:
    """Return where it listens, by its log, which a thread reads on so that the pipe stays empty."""
    assert process.stderr is not None
    read = []
    for line in process.stderr:
        read.append(line)
        if match := _LISTENING.search(line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return match[1]
    raise AssertionError("".join(read))
