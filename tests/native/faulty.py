"""Servers whose codec fails where an event or a batch asks for it: by real panics in Rust, and by exceptions in Python."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.native.implementations import require_compiled
from tests.packages.isolated import ROOT
from tests.processes import Server, server

_BUILD_WITHIN_S = 300
YEAR = "2222"
"""The compiled reader of times panics at it."""
IN_ITEM, IN_TAG = "panic in item", "panic in tag"
"""The compiled reader panics at an item with it: when the item is asked for, or the tags of the batch."""
IN_ADD = "panic in add"
"""The compiled writer panics at a request with it, and leaves half of the request behind."""
IN_ANSWER, IN_CLOSE = 5555, 3333
"""The compiled writer panics in batches of these ids: at the first status, or when a message is closed."""
IN_EVERY_ADD = "fault in every add"
"""Both writers fail at a request with it."""
IN_EVERY_CLOSE = 4444
"""Both writers fail to close a message of this batch if it has requests."""
IN_BEGIN = 6666
"""The plain writer fails to begin a second message of this batch."""
SECRET = "the secret"
"""Is in the text of each panic and exception."""

_Place = tuple[str, str]
"""A line of a source, and what is added behind it."""


def _panics_if(condition: str) -> str:
    return f'assert!(!({condition}), "{SECRET}");\n'


def _has(value: str, *texts: str) -> str:
    return " || ".join(
        f'{value}.windows({len(text)}).any(|part| part == b"{text}")' for text in texts
    )


_PANICS: dict[str, tuple[_Place, ...]] = {
    "leaves/time_text.rs": (
        (
            "    let mut parts = Parts::of_day(text.number(4, 4)?, 1, 1);",
            _panics_if(f"parts.year == {YEAR}"),
        ),
    ),
    "codec/batch.rs": (
        ("        let options = batch.options_of(py, &item)?;", _panics_if(_has("item.json", IN_ITEM))),
        ('            b"" => None,', f"tag if {_has('tag', IN_TAG)} => {{ {_panics_if('true')} None }}"),
    ),
    "codec/parts.rs": (
        (
            "        put_head(to, REQUESTS, length);",
            _panics_if(_has("body", IN_ADD, IN_EVERY_ADD)),
        ),
        (
            "        let batch_id = batch_id as u64;",
            _panics_if(
                f"batch_id == {IN_CLOSE} || batch_id == {IN_EVERY_CLOSE} && !self.requests.is_empty()"
            ),
        ),
    ),
    "codec/results.rs": (
        (
            "            let mut this = slf.borrow_mut();\n            this.require_whole()?;",
            _panics_if(f"this.batch_id == {IN_ANSWER}"),
        ),
    ),
}  # fmt: skip
_PLAIN_WRITER_THAT_FAILS = f"""
from ciosidecar_server.rpc.results_message import ProtobufResults

add, begin, close = ProtobufResults.add, ProtobufResults.begin, ProtobufResults.close

def faulty_add(self, request, position):
    if {IN_EVERY_ADD.encode()!r} in request.body:
        raise ValueError({SECRET!r})
    add(self, request, position)

def faulty_begin(self):
    if self._batch_id == {IN_BEGIN} and hasattr(self, "size"):
        raise ValueError({SECRET!r})
    begin(self)

def faulty_close(self, *, complete):
    if self._batch_id == {IN_EVERY_CLOSE} and self._results.requests:
        raise ValueError({SECRET!r})
    return close(self, complete=complete)

ProtobufResults.add, ProtobufResults.begin, ProtobufResults.close = faulty_add, faulty_begin, faulty_close
"""


def build(folder: Path) -> None:
    """Build a compiled package that panics into a folder. Skip the tests where it cannot be built."""
    require_compiled()
    if shutil.which("cargo") is None:
        (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)("cargo is not here")
    crate = folder / "crate"
    shutil.copytree(
        ROOT / "server" / "native", crate, ignore=shutil.ignore_patterns("target", "Cargo.lock")
    )
    for name, places in _PANICS.items():
        source = crate / "src" / name
        text = source.read_text("utf-8")
        for line, added in places:
            assert text.count(line) == 1, (name, line)
            text = text.replace(line, f"{line}\n{added}")
        source.write_text(text, "utf-8")
    done = subprocess.run(
        ["cargo", "build", "--quiet", "--target-dir", folder / "target"],
        cwd=crate,
        capture_output=True,
        text=True,
        timeout=_BUILD_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    library = folder / "target" / "debug" / "libciosidecar_native.so"
    shutil.copy(library, folder / "ciosidecar_native.abi3.so")


@contextmanager
def faulty_server(choice: str, folder: Path, *arguments: str) -> Iterator[Server]:
    """A server of an implementation, "require" or "never", whose writers fail where they are asked to.

    folder: has the compiled package that panics.
    """
    folder.joinpath("sitecustomize.py").write_text(_PLAIN_WRITER_THAT_FAILS, "utf-8")
    environment = {**os.environ, "CIOSIDECAR_NATIVE": choice, "PYTHONPATH": str(folder)}
    with server("--listen", "127.0.0.1:0", *arguments, env=environment) as running:
        yield running
