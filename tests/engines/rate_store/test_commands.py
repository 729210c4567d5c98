"""What an operator sees of --rate-store: --check, refusals, workers and secrets."""

import json
import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.engines.rate_store import checking
from tests.engines.rate_store.redis_server import redis_server
from tests.fake_customerio import nobody
from tests.processes import run, server

SECRET = "s3cret%40pass"
WITHIN_S = 60


def checked(*arguments: str) -> tuple[int, Any, str]:
    """The exit code, the answer and the words of --check."""
    done, answer = checking.checked("serve", *arguments)
    return done.returncode, answer, done.stderr.decode()


def test_check_reaches_the_store(tmp_path: Path) -> None:
    """It says that the store works, or why not; that is no reason not to start. The password is masked."""
    with redis_server(tmp_path, "--requirepass", "s3cret@pass") as redis:
        url = f"redis://:{SECRET}@127.0.0.1:{redis.port}/0"
        code, answer, words = checked("--rate-store", url)
        assert (code, words) == (0, "")
        assert answer["rate_store"] == {"works": True, "error": None}
        assert answer["settings"]["rate_store"]["value"] == f"redis://***@127.0.0.1:{redis.port}/0"
        code, answer, words = checked("--rate-store", redis.url)
        assert (code, answer["rate_store"]) == (0, {"works": False, "error": "auth"})
        assert "does not work now (auth)" in words
    with nobody() as address:
        code, answer, words = checked("--rate-store", f"redis://:{SECRET}@{address}/0")
    assert (code, answer["rate_store"]) == (0, {"works": False, "error": "connection"})
    assert "the sidecar would start" in words
    assert "s3cret" not in words


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        f"redis://:{SECRET}/x@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/0?password={SECRET}",
        f"redis://:{SECRET}@127.0.0.1:1/0?no_option=1",
        f"redis://:{SECRET}@127.0.0.1:1/0?max_connections=many",
        f"redis://:{SECRET}@127.0.0.1:1/0?retry=3",
        f"rediss://:{SECRET}@127.0.0.1:1/0?ssl_cert_reqs=sometimes",
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    """By --check and by the start, without a word of the URL."""
    for command in (("serve", "--check"), ("serve", "--listen", "127.0.0.1:0")):
        done = run(*command, "--rate-store", url)
        assert (done.returncode, done.stdout) == (2, b"")
        words = done.stderr.decode()
        assert "--rate-store" in words
        assert "s3cret" not in words
        assert "Traceback" not in words


def test_without_the_extra_it_says_how_to_install(tmp_path: Path) -> None:
    """Where redis-py is missing, a start with the option is refused, and one without is not."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['redis'] = None\n")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    for command in (("serve", "--check"), ("serve", "--listen", "127.0.0.1:0")):
        done = run(*command, "--rate-store", "redis://127.0.0.1:1", env=env)
        assert done.returncode == 2
        assert "pip install 'ciosidecar-server[rate-store]'" in done.stderr.decode()
    with server("--listen", "127.0.0.1:0", env=env) as running:
        assert running.addresses


def test_each_worker_is_a_sidecar_to_the_store(tmp_path: Path) -> None:
    """Workers share the whole rate, and no flag, log line or state has the password."""
    with redis_server(tmp_path, "--requirepass", "s3cret@pass") as redis:
        url = f"redis://:{SECRET}@127.0.0.1:{redis.port}/0"
        env = os.environ | {"CIOSIDECAR_RATE_STORE": url, "CIOSIDECAR_REPLICAS": "3"}
        words = ("--workers", "2", "--listen", "127.0.0.1:0", "--delivery-rate", "90")
        with server(*words, env=env) as running:
            for worker in running.ready_line["workers"]:
                flags = Path(f"/proc/{worker['pid']}/cmdline").read_text().split("\0")
                assert "--delivery-rate=90.0" in flags
                assert "--replicas=6" in flags
                assert not any("s3cret" in flag or "redis" in flag for flag in flags)
            until = time.monotonic() + WITHIN_S
            while True:
                with urllib.request.urlopen(f"{running.admin}/api/state", timeout=20) as answer:
                    text = answer.read().decode()
                store = json.loads(text)["rate_store"]
                if store and store["up"] and store["sidecars"] == 6:
                    break
                assert time.monotonic() < until, store
                time.sleep(0.1)
            with urllib.request.urlopen(f"{running.admin}/metrics", timeout=20) as answer:
                metrics = answer.read().decode()
            with urllib.request.urlopen(f"{running.admin}/", timeout=20) as answer:
                page = answer.read().decode()
            running.signal(signal.SIGTERM)
            code, errors = running.end()
    assert code == 0
    assert "ciosidecar_rate_store_up 1.0" in metrics
    assert "ciosidecar_rate_store_sidecars 6.0" in metrics
    assert "rate shared by 6 sidecars" in page
    assert "s3cret" not in text + metrics + page + errors
