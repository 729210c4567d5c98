"""`ciosidecar backfill` without what an engine needs: a sentence that says how to install it, and exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import COMMAND, TIMEOUT_S

LINE = '{"event":{"type":"track","userId":"u1","event":"A"},"config":{"siteID":"s","apiKey":"k"}}\n'


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A file with an event."""
    path = tmp_path / "events.jsonl"
    path.write_text(LINE)
    return path


def backfill(events: Path, *options: str, without: str = "", **env: str) -> tuple[int, str]:
    """Exit code and stderr of a backfill where a package is not installed."""
    program = f"import sys; sys.modules[{without!r}] = None\nfrom ciosidecar_server.cli import main; main()"
    start = [sys.executable, "-c", program] if without else [*COMMAND]
    done = subprocess.run(
        [*start, "backfill", str(events), "--output", str(events.parent / "out"), *options],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ | env,
    )
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed_says_how_to(
    engine: str, package: str, events: Path
) -> None:
    """In one line, without a traceback."""
    code, said = backfill(events, "--engine", engine, without=package)
    assert code == 2
    assert said.endswith(f"needs the package {package}: pip install 'ciosidecar-server[{engine}]'")
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["events.parquet", "named-otherwise"])
def test_parquet_without_pyarrow_says_how_to_install_it(name: str, events: Path) -> None:
    """A Parquet file is known by its first bytes too."""
    path = events.with_name(name)
    path.write_bytes(b"PAR1")
    code, said = backfill(path, "--events-column", "payload", without="pyarrow")
    assert (code, "pip install 'ciosidecar-server[parquet]'" in said) == (2, True), said


def test_parquet_output_without_pyarrow_says_so_before_anything_is_read(events: Path) -> None:
    """And not at the end of the first partition."""
    code, said = backfill(events, "--format", "parquet", without="pyarrow")
    assert (code, "pip install 'ciosidecar-server[parquet]'" in said) == (2, True), said


@pytest.mark.parametrize("option", ["--ray-address", "--spark-master"])
def test_an_address_of_another_engine_is_a_usage_error(option: str, events: Path) -> None:
    """An option that does nothing would be believed."""
    code, said = backfill(events, option, "127.0.0.1:1")
    assert (code, f"{option} is for --engine" in said) == (2, True), said
