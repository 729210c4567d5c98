"""Rows of input files: every line once, whatever the splits."""

import gzip
import os
from pathlib import Path

import pytest
from ciosidecar_server.backfill.errors import BackfillFailed
from ciosidecar_server.backfill.inputs import Split, find_inputs, lines_splits, split_inputs
from ciosidecar_server.backfill.reading import Rows

LINES = [b"one", b"", b"two\r", b"  ", b"x" * 1000, "drei ü".encode(), b"last without its end"]


def rows_of(splits: list[Split]) -> list[tuple[int, bytes]]:
    """The rows of all splits, numbered through the file."""
    found, first = [], 1
    for split in splits:
        rows = Rows(split)
        found += [(first + row.number, row.event) for row in rows]
        first += rows.count
    return found


EXPECTED = [(1, b"one"), (3, b"two\r"), (5, b"x" * 1000), (6, LINES[5]), (7, LINES[6])]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 10, 100, 1000, 5000])
def test_splits_of_any_size_have_every_line_once(size: int, tmp_path: Path) -> None:
    """With its number in the file; blank lines are counted and left out."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(LINES))
    (file,) = find_inputs([str(path)], tmp_path / "out")
    splits = [Split(0, file, start, end) for start, end in lines_splits(file, size)]
    assert splits[0].start == 0
    assert splits[-1].end == file.size
    assert rows_of(splits) == EXPECTED


def test_a_compressed_file_has_the_same_rows(tmp_path: Path) -> None:
    """As one split, also if it has several members."""
    path = tmp_path / "events.jsonl.gz"
    whole = b"\n".join(LINES)
    path.write_bytes(gzip.compress(whole[:500]) + gzip.compress(whole[500:]))
    splits = split_inputs(find_inputs([str(path)], tmp_path / "out"))
    assert len(splits) == 1
    assert rows_of(splits) == EXPECTED


def test_a_file_that_changes_is_not_read_on(tmp_path: Path) -> None:
    """A line is appended between the plan and the end of the read."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"one\ntwo\n")
    (split,) = split_inputs(find_inputs([str(path)], tmp_path / "out"))
    rows = iter(Rows(split))
    assert next(rows).event == b"one"
    with path.open("ab") as opened:
        opened.write(b"three\n")
    with pytest.raises(BackfillFailed, match="was changed while it was read"):
        list(rows)


def test_inputs_are_in_order_and_each_is_read_once(tmp_path: Path) -> None:
    """Directories by name, at any depth, without hidden files and without files of other kinds."""
    for name in ("b.jsonl", "a.ndjson", "sub/c.jsonl.gz", ".hidden.jsonl", "_x/d.jsonl", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"{}")
    (tmp_path / "z.jsonl").symlink_to(tmp_path / "b.jsonl")
    found = find_inputs(
        [
            str(tmp_path / "e.txt"),
            str(tmp_path),
            str(tmp_path / "*.jsonl"),
            str(tmp_path / "b.jsonl"),
        ],
        tmp_path / "out",
    )
    names = [os.path.relpath(file.path, tmp_path) for file in found]
    assert names == ["e.txt", "a.ndjson", "b.jsonl", "sub/c.jsonl.gz"]
