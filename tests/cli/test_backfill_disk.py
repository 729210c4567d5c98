"""What counts as finished is on the disk first: a power failure cannot be made here, so these tests watch fsync."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from ciosidecar_server.backfill.checkpoint import NAME, Checkpoint
from ciosidecar_server.backfill.delivery_progress import DeliveryProgress, last_state
from ciosidecar_server.backfill.files import WORK, writing
from ciosidecar_server.backfill.line_files import Lines
from ciosidecar_server.backfill.tasks import KeysResult, PartitionResult, SpillResult

LINE = b'{"type":"track"}\n'


class Disk:
    """The bytes of each file that would survive a power failure."""

    def __init__(self) -> None:
        self._on_disk: dict[int, bytes] = {}
        self.watchers: list[Callable[[], None]] = []
        """Called before each sync counts."""

    def sync(self, descriptor: int) -> None:
        """Note what the file of a descriptor has now."""
        for watcher in self.watchers:
            watcher()
        path = Path(f"/proc/self/fd/{descriptor}")
        self._on_disk[os.fstat(descriptor).st_ino] = path.read_bytes()

    def of(self, path: Path) -> bytes | None:
        """Return what a file has on the disk, None if it was never synced."""
        return self._on_disk.get(path.stat().st_ino)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk that keeps what is synced, and nothing else."""
    found = Disk()
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        found.sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.mark.parametrize(
    "result",
    [KeysResult(0, 1, 1), None, SpillResult(0, [1]), PartitionResult(0)],
    ids=["keys", "joined", "spill", "partition"],
)
def test_a_finished_task_is_on_the_disk_before_it_counts(
    disk: Disk, tmp_path: Path, result: KeysResult | SpillResult | PartitionResult | None
) -> None:
    """Each line of the checkpoint, whole, when `add` returns."""
    checkpoint = Checkpoint(tmp_path)
    for lines in (1, 2):
        checkpoint.add(result)
        on_disk = disk.of(tmp_path / NAME)
        assert on_disk == (tmp_path / NAME).read_bytes()
        assert on_disk.count(b"\n") == lines
    checkpoint.close()


def _of_writing(path: Path) -> None:
    opened: BinaryIO
    with writing(path) as opened:
        opened.write(LINE)


def _of_lines(path: Path) -> None:
    lines = Lines(path)
    lines.write_line(LINE)
    lines.finish()


@pytest.mark.parametrize("write", [_of_writing, _of_lines])
def test_a_file_with_its_name_is_on_the_disk(
    disk: Disk, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    """A name without its bytes would be taken for a finished file. It gets its name afterwards."""
    path = tmp_path / "requests-00000.jsonl"
    disk.watchers.append(lambda: pytest.fail("named too early") if path.exists() else None)
    write(path)
    assert disk.of(path) == path.read_bytes() == LINE


def test_a_kept_event_is_on_the_disk_before_its_answer_counts(disk: Disk, tmp_path: Path) -> None:
    """The line in the file of failed events first, then the state that knows of it; at the end the state too."""
    work = tmp_path / WORK
    work.mkdir()
    part, state = work / "failed-00000.jsonl", work / "progress-00000"
    known: list[int] = []

    def remember() -> None:
        with state.open("rb") as opened:
            known.append(last_state(opened.fileno()).bytes.get("failed", 0))

    with DeliveryProgress(str(tmp_path), 0) as progress:
        disk.watchers.append(remember)
        for lines in (1, 2):
            progress.add_line("failed", LINE)
            progress.state.next = lines
            progress.write((), ())
            assert disk.of(part) == LINE * lines
        assert known[:2] == [0, len(LINE)]
        whole = state.read_bytes()
        assert progress.finish() == [part.name]
        assert disk.of(state) == whole
    assert (tmp_path / part.name).read_bytes() == LINE * 2


def test_a_line_that_the_state_does_not_know_of_is_taken_away(tmp_path: Path) -> None:
    """Its event has no answer yet: it is sent again, and would be in the file twice."""
    (tmp_path / WORK).mkdir()
    with DeliveryProgress(str(tmp_path), 0) as progress:
        progress.add_line("failed", LINE)
        progress.write((), ())
        progress.add_line("failed", LINE)
    with DeliveryProgress(str(tmp_path), 0) as progress:
        assert progress.state.bytes == {"failed": len(LINE)}
        assert (tmp_path / WORK / "failed-00000.jsonl").read_bytes() == LINE
