"""The Python in the documentation runs against a real server, and prints what the pages say."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import pytest
import trustme
from ciosidecar import StreamOptions
from ciosidecar_server.testing import server

from tests.docs.pages import ROOT, Example, examples

PAGES = (
    "README.md",
    "docs/python.md",
    "docs/architecture.md",
    "docs/scaling/affinity.md",
    "client/python/README.md",
    "server/transform/README.md",
    "server/sandbox/README.md",
)
TIMEOUT_S = 60
PYTEST_INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
"""


def _is_a_test(example: Example) -> bool:
    return re.search(r"^(async )?def test_", example.code, re.MULTILINE) is not None


EXAMPLES = [example for page in PAGES for example in examples(page, "python")]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands on the pages, and what a test has in its place: addresses, files of PEM."""
    folder = tmp_path_factory.mktemp("documented")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, host in (("server", "sidecar.example.com"), ("client", "client.example.com")):
        leaf = authority.issue_cert(host)
        leaf.private_key_pem.write_to_path(folder / f"{name}-key.pem")
        leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    tls = {
        "tls_cert": folder / "server.pem",
        "tls_key": folder / "server-key.pem",
        "tls_client_ca": folder / "ca.pem",
    }
    with ExitStack() as stack:

        def address(**settings: object) -> str:
            return stack.enter_context(server(**settings)).address

        yield {
            "127.0.0.1:50550": address(),
            "127.0.0.1:50551": address(),
            "unix:/tmp/ciosidecar.sock": address(listen=(f"unix:{folder}/s.sock",)),
            "10.0.0.7:50550": address(**tls),
            "/etc/ciosidecar/": f"{folder}/",
        }


def _run(example: Example, real: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    code = example.code
    for documented, found in real.items():
        code = code.replace(documented, found)
    path = folder / "test_example.py"
    path.write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(path)]
    if _is_a_test(example):
        # As the page tells its readers to set pytest up, and nothing of this repository's settings.
        (folder / "pytest.ini").write_text(PYTEST_INI, encoding="utf-8")
        command[3:3] = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{example.page}:{example.line}" for example in EXAMPLES]
)
def test_an_example_runs_and_prints_what_the_page_says(
    example: Example, real: dict[str, str], tmp_path: Path
) -> None:
    """It ends well, no thread of it fails, and a block of text after it is its exact output."""
    ran = _run(example, real, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    if example.output is not None:
        assert ran.stdout == example.output


def test_an_example_that_raises_or_prints_something_else_is_noticed(
    real: dict[str, str], tmp_path: Path
) -> None:
    """In the program itself, in a thread of it, in a test, or in what it prints."""
    check = test_an_example_runs_and_prints_what_the_page_says
    bad = {
        "raise ValueError\n": None,
        "import threading\nthreading.Thread(target=int, args=('x',)).start()\n": None,
        "def test_it():\n    assert False\n": None,
        "print(1)\n": "2\n",
    }
    for code, output in bad.items():
        with pytest.raises(AssertionError):
            check(Example("none.md", 1, code, output), real, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_examples(page: str) -> None:
    """So that a page whose blocks are no longer recognised does not pass for tested."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(examples(page, "python")) == text.count("```python") > 0


def test_the_table_of_stream_options_is_complete_and_true() -> None:
    """Every option, in order, with its real default."""
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    table = page[page.index("| field | default | unit |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in table.splitlines()[2:]]
    found = {name.strip("`"): ast.literal_eval(value.replace(",", "")) for name, value in rows}
    assert found == {option.name: option.default for option in fields(StreamOptions)}
    assert list(found) == [option.name for option in fields(StreamOptions)]
