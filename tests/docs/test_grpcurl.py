"""The commands of docs/grpcurl.md run as they stand there, against a real server and a sandbox."""

import os
import subprocess
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.contract.test_reflection import BUILD_LIMIT_S, grpcurl
from tests.docs.pages import examples
from tests.processes import TIMEOUT_S, server

__all__ = ["grpcurl"]  # the fixture

pytestmark = pytest.mark.serial

PAGE = "docs/grpcurl.md"
ADDRESS = "127.0.0.1:50550"


@pytest.mark.timeout(BUILD_LIMIT_S + 60)
def test_the_commands_of_the_page(grpcurl: str, tmp_path: Path) -> None:
    """Each succeeds; the event is delivered once by Deliver, and its answer is the one on the page."""
    blocks = [example.code for example in examples(PAGE, "sh")]
    commands = [block for block in blocks if not block.startswith("ciosidecar ")]
    assert len(blocks) - len(commands) == 2
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        script = "set -eu\n" + "".join(commands).replace(ADDRESS, running.addresses[0])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{Path(grpcurl).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (answer,) = (example.code for example in examples(PAGE, "json"))
    assert answer in done.stdout
    for words in ("SERVING", '"protocol_version": "ciosidecar.v1"', '"credentials_accepted": true'):
        assert words in done.stdout
    assert '"batch_id": "7"' in done.stdout
    assert done.stdout.count('"path": "/api/v1/customers/u1/events"') == 2
    assert (tmp_path / "ciosidecar.protoset").stat().st_size > 1000
