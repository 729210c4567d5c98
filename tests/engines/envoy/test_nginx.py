"""deploy/nginx/nginx.conf, with addresses and paths replaced: long streams, a killed sidecar, and none at all."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.engines.programs import need
from tests.fake_customerio import nobody
from tests.polyglot.languages import LANGUAGES
from tests.ports import free_port

from .callers import Caller, calling, finish, stream_on
from .certificates import Certificates
from .fleet import Fleet, now
from .judging import Faults, problems, too_long

pytestmark = [pytest.mark.usefixtures("_drivers"), pytest.mark.timeout(900)]

COMMITTED = Path(__file__).resolve().parents[3] / "deploy" / "nginx" / "nginx.conf"
WITHIN_S = 60
# With the default of client_max_body_size, a stream ends after 1 MiB.
PADDING, EVENTS = 20_000, 170


def replaced(
    sidecars: Sequence[str], port: int, certificates: Certificates, directory: Path
) -> str:
    """Return the committed configuration for three sidecars, by their addresses."""
    text = COMMITTED.read_text()
    changes = {
        "/etc/nginx/tls/": f"{certificates.directory}/",
        "/run/nginx.pid": f"{directory}/nginx.pid",
        "0.0.0.0:50550": f"127.0.0.1:{port}",
        # Debian's directories for temporary files belong to root.
        "http {\n": "http {\n"
        + "".join(
            f"{kind}_temp_path {directory};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
        **{f"sidecar-{n}:50550": address for n, address in enumerate(sidecars, 1)},
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def nginx(text: str, directory: Path) -> Iterator[None]:
    """Run nginx with a configuration."""
    program = need("nginx", "nginx")
    file = directory / "nginx.conf"
    file.write_text(text)
    command = [program, "-p", str(directory), "-c", str(file)]
    tested = subprocess.run([*command, "-t"], capture_output=True, timeout=WITHIN_S, check=False)
    assert tested.returncode == 0, tested.stderr.decode()
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen([*command, "-g", "daemon off;"], stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for_text(directory / "nginx.pid")
            yield
        finally:
            # SIGTERM ends the workers too, SIGKILL would leave them.
            process.terminate()
            process.wait(WITHIN_S)


def _wait_for_text(file: Path) -> None:
    """Wait until nginx has written a file: the one with its process id, once it listens."""
    ends_at = time.monotonic() + WITHIN_S
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < ends_at
        time.sleep(0.02)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """The files of the configuration."""
    return Certificates(tmp_path / "tls")


def test_streams_of_many_megabytes_survive_a_killed_sidecar(
    tmp_path: Path, certificates: Certificates
) -> None:
    """A stream goes on beyond 1 MiB. When its sidecar is killed, it continues on another one."""
    need("nginx", "nginx")
    port, faults = free_port(), Faults()
    opening = {"addresses": [f"127.0.0.1:{port}"], **certificates.caller_files()}
    with Fleet.running(*certificates.sidecar_flags()) as fleet:
        addresses = [sidecar.address for sidecar in fleet.sidecars]
        text = replaced(addresses, port, certificates, tmp_path)
        with nginx(text, tmp_path), calling(opening, padding=PADDING) as callers:
            stream_on(callers, EVENTS)
            # The log has a line for each stream that has ended.
            assert "TransformStream" not in (tmp_path / "log").read_text()
            undisturbed_until = now()
            with faults.fault():
                fleet.sidecars[0].end(signal.SIGKILL)
            stream_on(callers, 30)
            finish(callers)
        found = problems(callers, fleet.arrivals(), faults)
    assert not found, "\n".join(found[:20])
    assert not (found := too_long(callers, undisturbed_until)), found


def test_without_a_sidecar_callers_get_unavailable(
    tmp_path: Path, certificates: Certificates
) -> None:
    """nginx says so in gRPC's words, and not with a page in HTML."""
    need("nginx", "nginx")
    port = free_port()
    opening = {
        "addresses": [f"127.0.0.1:{port}"],
        "connect_timeout_ms": 3000,
        **certificates.caller_files(),
    }
    with nobody() as first, nobody() as second, nobody() as third:
        text = replaced((first, second, third), port, certificates, tmp_path)
        with nginx(text, tmp_path):
            caller = Caller(LANGUAGES[0], opening)
            try:
                end = caller.wait_for_end()
            finally:
                caller.stop()
    assert end["end"] == "UNAVAILABLE"
    assert "no sidecar answers" in end["message"]
