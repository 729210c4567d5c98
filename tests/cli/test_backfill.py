"""`ciosidecar backfill` without delivery: large files become files of requests, in order for each person."""

import gzip
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_transform import read_destination, transform
from ciosidecar_transform.ordering import operation_keys
from ciosidecar_transform.pipeline import transform_event

from tests.cli.backfills import (
    NOW,
    RUN_WITHIN_S,
    backfill,
    command,
    config_file,
    content,
    event,
    mixed_events,
    rows,
    said,
    write_lines,
)
from tests.cli.lines import CONFIG
from tests.processes import COMMAND

SETTINGS = json.dumps(CONFIG).encode()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of events, one of them compressed."""
    folder = tmp_path_factory.mktemp("inputs")
    events = mixed_events(900)
    write_lines(folder / "1.jsonl", *events[:300])
    plain = write_lines(folder / "2", *events[300:600])
    (folder / "2.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    write_lines(folder / "3.ndjson", *events[600:])
    return folder


@pytest.fixture(scope="module")
def whole(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nothing interrupts, on two processes."""
    folder = tmp_path_factory.mktemp("whole")
    done = backfill(
        *(inputs, "--config", config_file(folder), "--output", folder / "out"),
        *("--partitions", "5", "--workers", "2"),
    )
    assert done.returncode == 0, done.stderr.decode()
    summary = json.loads(done.stdout)
    assert (summary["events"], summary["refused"], summary["partitions"]) == (900, 0, 5)
    assert summary["outcomes"] == {"200 transformed": 900}
    assert sorted(summary["files"]) == [f"requests-0000{number}.jsonl" for number in range(5)]
    assert "outcome\t200 transformed\t900" in done.stderr.decode().splitlines()
    return folder / "out"


def sent_events() -> Iterator[bytes]:
    """The lines of the inputs."""
    return (json.dumps(one).encode() for one in mixed_events(900))


def test_each_event_has_the_requests_that_the_transform_gives_it(whole: Path) -> None:
    """With its messageId and its place; masked credentials; nothing of the work is left."""
    destination, _ = read_destination(SETTINGS)
    assert destination is not None
    by_id = {row["messageId"]: row for row in rows(whole)}
    assert len(by_id) == 900
    for number, line in enumerate(sent_events()):
        _, requests = transform(line, destination, now=int(NOW))
        row = by_id[json.loads(line)["messageId"]]
        assert row["line"] == number % 300 + 1
        assert Path(row["file"]).name == ("1.jsonl", "2.jsonl.gz", "3.ndjson")[number // 300]
        assert [
            (request["method"], request["url"], json.dumps(request["body"]))
            for request in row["requests"]
        ] == [
            (
                request.template.method,
                request.template.base_url + request.path,
                json.dumps(json.loads(request.body)),
            )
            for request in requests
        ]
        assert row["requests"][0]["headers"]["Authorization"] == "Basic ***"
    assert sorted(path.name for path in whole.iterdir() if "requests" not in path.name) == [
        "checkpoint.jsonl",
        "lock",
        "manifest.json",
    ]


def test_what_concerns_one_person_is_in_one_file_and_in_order(whole: Path) -> None:
    """However the person is named: two events with an ordering key in common never part."""
    destination, _ = read_destination(SETTINGS)
    assert destination is not None
    place = {
        row["messageId"]: (name, index)
        for name, file in content(whole).items()
        for index, row in enumerate(map(json.loads, file.splitlines()))
    }
    places_of_key: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for line in sent_events():
        done = transform_event(line, destination, source_type="", now=int(NOW))
        assert done.operation is not None
        assert done.event is not None
        for key in operation_keys(done.operation, done.event):
            places_of_key[key].append(place[json.loads(line)["messageId"]])
    for shared_key, places in places_of_key.items():
        assert len({name for name, _ in places}) == 1, shared_key
        assert places == sorted(places), shared_key
    assert len({name for name, _ in place.values()}) > 1


def test_workers_and_partitions_change_no_result(inputs: Path, whole: Path, tmp_path: Path) -> None:
    """Another number of partitions, in this process alone, gives each event the same line."""
    done = backfill(
        *(inputs, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
        *("--partitions", "2", "--workers", "1"),
    )
    assert done.returncode == 0
    lines = [line for file in content(tmp_path / "out").values() for line in file.splitlines()]
    other = [line for file in content(whole).values() for line in file.splitlines()]
    assert sorted(lines) == sorted(other)


def test_a_killed_run_goes_on_where_it_ended(inputs: Path, whole: Path, tmp_path: Path) -> None:
    """Killed after each few tasks, the runs together write byte for byte what one run does."""
    output = tmp_path / "out"
    words = command(
        *(inputs, "--config", config_file(tmp_path), "--output", output),
        *("--partitions", "5", "--workers", "2"),
    )
    kills = 0
    for finished in (1, 3, 5, 7, 9):
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            try:
                give_up_at = time.monotonic() + RUN_WITHIN_S
                while process.poll() is None and _tasks(output) < finished:
                    assert time.monotonic() < give_up_at
                    time.sleep(0.002)
                kills += process.poll() is None
            finally:
                process.kill()
    assert kills >= 2
    done = subprocess.run(words, capture_output=True, timeout=RUN_WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert content(output) == content(whole)
    assert not list(output.glob(".*"))
    assert not (output / "work").exists()


def _tasks(output: Path) -> int:
    try:
        return (output / "checkpoint.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def test_a_finished_run_is_only_summed_up(inputs: Path, whole: Path) -> None:
    """The same command again writes nothing and ends with the same exit code."""
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
    config = whole.parent / "config.json"
    done = backfill(inputs, "--config", config, "--output", whole, "--partitions", "5")
    assert (done.returncode, json.loads(done.stdout)["events"]) == (0, 900)
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_bad_lines_are_refused_with_their_place_and_can_be_mended(tmp_path: Path) -> None:
    """No JSON, half a line, a line of 17 MB, an event without name: each in the file of refused events, the rest goes on."""
    nameless = event(2, "u1")
    del nameless["event"]
    lines = write_lines(
        tmp_path / "events.jsonl",
        event(1, "u1"),
        b"no json\n\n",
        nameless,
        b'{"type": "track", "userId": "' + b"x" * (17 << 20) + b'"}\n',
        event(3, "u1"),
        event(3, "u1"),
        b'{"type": "tr',
    )
    config, output = config_file(tmp_path), tmp_path / "out"
    arguments = ("--config", config, "--workers", "1")
    done = backfill(lines, "--output", output, *arguments)
    assert done.returncode == 1
    assert json.loads(done.stdout)["outcomes"] == {
        "200 transformed": 3,
        "400 INVALID_JSON": 2,
        "400 MISSING_EVENT_NAME": 1,
        "400 TOO_LARGE": 1,
    }
    # Two events with one messageId are two events: Customer.io counts them once.
    assert [row["line"] for row in rows(output)] == [1, 6, 7]
    refused = rows(output, "refused-*.jsonl")
    assert {(row["failure"]["line"], row["failure"]["code"]) for row in refused} == {
        (2, "INVALID_JSON"),
        (4, "MISSING_EVENT_NAME"),
        (5, "TOO_LARGE"),
        (8, "INVALID_JSON"),
    }
    for row in refused:
        assert row["failure"]["file"] == str(lines)
        assert row["failure"]["message"]
    (mended,) = (row for row in refused if "event" in row)
    assert mended["event"] == nameless
    mended["event"]["event"] = "Mended"
    again = backfill(
        *(write_lines(tmp_path / "again.jsonl", mended), "--output", tmp_path / "again", *arguments)
    )
    assert again.returncode == 0
    (row,) = rows(tmp_path / "again")
    assert row["requests"][0]["body"]["name"] == "Mended"


@pytest.mark.parametrize("name", ["config", "connection"])
def test_a_refused_line_whose_settings_are_no_text_is_text(name: str, tmp_path: Path) -> None:
    """The file of refused events has nothing that a reader of JSON cannot read."""
    line = {"event": event(1, "u1", userId=""), "config": CONFIG, name: CONFIG | {"siteID": "no"}}
    text = json.dumps(line).encode().replace(b'"no"', b'"\xff"') + b"\n"
    lines = write_lines(tmp_path / "events.jsonl", text)
    done = backfill(lines, "--output", tmp_path / "out", "--workers", "1")
    assert done.returncode == 1
    (refused,) = rows(tmp_path / "out", "refused-*.jsonl")
    assert refused["text"] == text.strip().decode(errors="replace")
    (file,) = (tmp_path / "out").glob("refused-*.jsonl")
    again = backfill(file, "--output", tmp_path / "again", "--workers", "1")
    assert json.loads(again.stdout)["refused"] == 1


def test_an_empty_input_is_a_backfill_without_events(tmp_path: Path) -> None:
    """Exit code 0 and no files of requests."""
    empty = write_lines(tmp_path / "empty.jsonl")
    done = backfill(empty, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    assert (done.returncode, json.loads(done.stdout)["events"]) == (0, 0)
    assert rows(tmp_path / "out") == []


@pytest.fixture
def small(tmp_path: Path) -> list[str | Path]:
    """The words of a backfill of two events, in this process alone."""
    lines = write_lines(tmp_path / "events.jsonl", event(1, "u1"), event(2, "u2"))
    return [
        lines,
        "--config",
        config_file(tmp_path),
        "--output",
        tmp_path / "out",
        "--workers",
        "1",
    ]


def test_a_changed_input_or_config_does_not_go_on(small: list[str | Path], tmp_path: Path) -> None:
    """The checkpoint of something else is refused with what differs, and left as it is."""
    assert backfill(*small).returncode == 0
    before = content(tmp_path / "out", "*")
    config_file(tmp_path, apiKey="another")
    done = backfill(*small)
    assert done.returncode == 2
    assert "belongs to another backfill: --config is another one" in said(done)
    config_file(tmp_path)
    write_lines(tmp_path / "events.jsonl", event(1, "u1"))
    done = backfill(*small, "--pack")
    assert done.returncode == 2
    assert "--pack is another one" in said(done)
    assert f"{tmp_path / 'events.jsonl'} was changed (" in said(done)
    assert content(tmp_path / "out", "*") == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["no/such.jsonl"], "cannot read"),
        (["*.nothing"], "no file matches *.nothing"),
        (["."], "has no file of events"),
        (["-"], "standard input cannot be read twice"),
        ([], "name the files of events"),
    ],
)
def test_inputs_that_cannot_be_read_are_usage_errors(
    words: list[str], text: str, tmp_path: Path
) -> None:
    """Exit code 2, and a sentence that names the input."""
    folder = tmp_path / "empty"
    folder.mkdir()
    words = [str(folder) if word == "." else word for word in words]
    done = backfill(*words, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    assert done.returncode == 2
    assert text in said(done)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"pipe.jsonl", "twice, as a backfill does: write it to a regular file first"),
        (b"\xff.jsonl", "its name is not UTF-8: rename it"),
        (b"dangling.jsonl", "No such file or directory"),
    ],
)
def test_a_directory_with_a_file_that_cannot_be_read_is_a_usage_error(
    name: bytes, text: str, tmp_path: Path
) -> None:
    """Exit code 2, and a sentence that names the file: without its events the others would not be whole."""
    folder = tmp_path / "events"
    folder.mkdir()
    path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118 - a Path has no bytes
    if name.startswith(b"pipe"):
        os.mkfifo(path)
    elif name.startswith(b"dangling"):
        os.symlink("not-dangling.jsonl", path)  # noqa: PTH211 - a Path has no bytes
    else:
        Path(os.fsdecode(path)).write_bytes(b"")
    write_lines(folder / "good.jsonl", event(1, "u1"))
    done = backfill(folder, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    assert done.returncode == 2
    assert text in said(done)
    assert name.decode(errors="backslashreplace") in said(done)


def test_a_directory_that_cannot_be_listed_is_a_usage_error(tmp_path: Path) -> None:
    """Its events would be missing without a word."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("root may list every directory, and setpriv is missing")
    # Without capabilities, root is bound by modes too.
    prefix = [setpriv, "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    write_lines(tmp_path / "good.jsonl", event(1, "u1"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    words = command(tmp_path, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    done = subprocess.run(
        [*map(str, prefix), *words], capture_output=True, timeout=RUN_WITHIN_S, check=False
    )
    assert done.returncode == 2
    assert f"cannot read {closed}: Permission denied" in said(done)


@pytest.mark.parametrize("pattern", ["", "**/*.jsonl"])
def test_an_output_directory_among_the_inputs_is_no_input(pattern: str, tmp_path: Path) -> None:
    """The second start finds the inputs of the first one, and goes on."""
    write_lines(tmp_path / "events.jsonl", event(1, "u1"), b"no json\n")
    arguments: list[str | Path] = [
        *(tmp_path / pattern, "--config", config_file(tmp_path)),
        *("--output", tmp_path / "out", "--workers", "1"),
    ]
    first, second = backfill(*arguments), backfill(*arguments)
    assert first.returncode == second.returncode == 1, said(second)
    assert json.loads(first.stdout)["events"] == json.loads(second.stdout)["events"] == 2


def test_settings_that_cannot_work_are_a_usage_error(
    small: list[str | Path], tmp_path: Path
) -> None:
    """Before anything is read: each event would be refused."""
    config_file(tmp_path, apiKey="")
    done = backfill(*small)
    assert done.returncode == 2
    assert "--config: apiKey" in said(done)


def test_a_directory_of_something_else_is_left_alone(
    small: list[str | Path], tmp_path: Path
) -> None:
    """Exit code 2, with the name of what is in it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("")
    done = backfill(*small)
    assert done.returncode == 2
    assert "is not empty, and no backfill has made it: it has thesis.txt" in said(done)


def test_a_second_run_in_the_same_directory_is_kept_out(
    small: list[str | Path], tmp_path: Path
) -> None:
    """While the first one has the lock."""
    with locked(tmp_path / "out"):
        done = backfill(*small)
    assert done.returncode == 2
    assert "another backfill is running in" in said(done)


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Another process has the lock of a directory."""
    output.mkdir()
    program = (
        "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,fcntl.LOCK_EX); print(); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, output / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def test_a_checkpoint_that_cannot_grow_ends_the_run(tmp_path: Path) -> None:
    """As on a full disk: exit code 1 and a sentence. The same command goes on."""
    folder = tmp_path / "events"
    folder.mkdir()
    for number in range(60):
        write_lines(folder / f"{number:03}.jsonl", event(number, f"u{number}"))
    words = (folder, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    limit = 18_000  # less than the checkpoint has, and more than every other file
    done = subprocess.run(
        ["prlimit", f"--fsize={limit}", *command(*words, "--partitions", "60", "--workers", "1")],
        capture_output=True,
        timeout=RUN_WITHIN_S,
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert "checkpoint.jsonl: File too large; once that is mended" in said(done)
    done = backfill(*words, "--partitions", "60", "--workers", "1")
    assert (done.returncode, json.loads(done.stdout)["events"]) == (0, 60)
    assert len(rows(tmp_path / "out")) == 60


def test_too_many_partitions_are_a_usage_error(small: list[str | Path]) -> None:
    """Before memory is taken for each of them."""
    done = backfill(*small, "--partitions", "1000000000")
    assert done.returncode == 2
    assert "--partitions" in said(done)


def test_a_truncated_compressed_file_ends_the_run(small: list[str | Path], tmp_path: Path) -> None:
    """Exit code 1; the file is named. With the whole file in its place, another output is needed."""
    compressed = tmp_path / "events.jsonl.gz"
    compressed.write_bytes(gzip.compress(Path(small[0]).read_bytes())[:-12])
    done = backfill(compressed, *small[1:])
    assert done.returncode == 1
    assert f"cannot read {compressed}" in said(done)


def test_without_delivery_nothing_imports_grpc(small: list[str | Path]) -> None:
    """So that the workers of a large engine need only the transform's package and this one."""
    program = (
        "import sys; sys.modules['grpc'] = None; sys.argv[0] = 'ciosidecar';"
        "from ciosidecar_server.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "backfill", *map(str, small)],
        capture_output=True,
        timeout=RUN_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_ctrl_c_says_how_to_go_on(inputs: Path, tmp_path: Path) -> None:
    """Exit code 130; no process is left, and the same command goes on."""
    output = tmp_path / "out"
    words = command(
        *(inputs, "--config", config_file(tmp_path), "--output", output),
        *("--partitions", "9", "--workers", "2"),
    )
    with subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            give_up_at = time.monotonic() + RUN_WITHIN_S
            while _tasks(output) < 1:
                assert time.monotonic() < give_up_at
                time.sleep(0.002)
            # As a terminal does it: all processes get the signal.
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=RUN_WITHIN_S)
        finally:
            process.kill()
    assert process.returncode == 130
    assert b"interrupted: run the same command again to go on" in b" ".join(errors.split())
    assert b"Traceback" not in errors
    # Python's own tracker of resources ends a moment after its parent.
    give_up_at = time.monotonic() + RUN_WITHIN_S
    while _has_processes(process.pid):
        assert time.monotonic() < give_up_at, "a worker is left"
        time.sleep(0.01)


def _has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_terminal_shows_the_progress(small: list[str | Path]) -> None:
    """A bar, which is gone at the end, and the summary."""
    screen, terminal = pty.openpty()
    with open(screen, "rb", buffering=0) as seen:  # noqa: PTH123 - a descriptor
        process = subprocess.run(
            command(*small), stderr=terminal, timeout=RUN_WITHIN_S, check=False
        )
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # how Linux says that nobody has the terminal open any more
            while chunk := seen.read(4096):
                shown += chunk
    assert process.returncode == 0
    assert b"transforming" in shown
    assert b"2 events" in shown
    assert b"Traceback" not in shown


def test_people_who_are_all_linked_are_warned_of(tmp_path: Path) -> None:
    """One email that everybody has puts all events into one partition: the command says so."""
    shared = {"email": "test@example.com"}
    lines = write_lines(
        tmp_path / "events.jsonl",
        *(event(number, f"u{number}", type="identify", traits=shared) for number in range(10_000)),
    )
    done = backfill(
        *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
        *("--partitions", "8", "--workers", "1"),
    )
    assert done.returncode == 0
    assert "10,000 of 10,000 events are in one partition" in said(done)


def test_a_forgotten_config_is_a_usage_error(small: list[str | Path]) -> None:
    """Before millions of events are refused for it."""
    done = backfill(small[0], *small[3:])
    assert done.returncode == 2
    assert "name the destination's settings with --config FILE" in said(done)


def test_packed_events_share_requests(tmp_path: Path) -> None:
    """The request is on the last of its events, with the places and ids of all of them."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(number, "u1") for number in range(3)))
    config = config_file(tmp_path, apiVersion="v2")
    done = backfill(
        lines, "--config", config, "--output", tmp_path / "out", "--workers", "1", "--pack"
    )
    assert json.loads(done.stdout)["requests"] == 1
    found: list[dict[str, Any]] = rows(tmp_path / "out")
    assert [len(row["requests"]) for row in found] == [0, 0, 1]
    (request,) = found[2]["requests"]
    assert len(request["body"]["batch"]) == 3
    assert [place["line"] for place in request["events"]] == [1, 2, 3]
    assert {place["messageId"] for place in request["events"]} == {
        row["messageId"] for row in found
    }


def test_a_misspelled_option_is_no_file(tmp_path: Path) -> None:
    """Exit code 2 with the option that was meant; after --, a name with hyphens is a file."""
    lines = write_lines(tmp_path / "--events.jsonl", event(1, "u1"))
    config = config_file(tmp_path)
    done = subprocess.run(
        [*COMMAND, "backfill", str(lines), "--confg", str(config), "--output", str(tmp_path / "o")],
        capture_output=True,
        timeout=RUN_WITHIN_S,
        check=False,
    )
    assert done.returncode != 0
    assert "Unknown option: --confg. Did you mean --config?" in said(done)
    assert not (tmp_path / "o").exists()
    done = subprocess.run(
        [*COMMAND, "backfill", "--config", str(config), "--output", "o", "--", "--events.jsonl"],
        capture_output=True,
        timeout=RUN_WITHIN_S,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, said(done)


def test_a_usage_error_leaves_nothing_in_a_new_output(tmp_path: Path) -> None:
    """And the next start with the same output works."""
    output = tmp_path / "out"
    config = config_file(tmp_path)
    done = backfill(tmp_path / "missing.jsonl", "--config", config, "--output", output)
    assert done.returncode == 2
    assert not output.exists() or not list(output.iterdir())
    lines = write_lines(tmp_path / "events.jsonl", event(1, "u1"))
    assert backfill(lines, "--config", config, "--output", output).returncode == 0
    assert (output / "lock").exists()


def test_a_refused_event_keeps_the_place_where_it_first_stood(tmp_path: Path) -> None:
    """Also after its file was read again; lines without a place get that of the file."""
    bad = {"type": "track", "userId": "u1"}
    lines = write_lines(tmp_path / "events.jsonl", event(0, "u1"), b"no json\n", bad)
    config = config_file(tmp_path)
    backfill(lines, "--config", config, "--output", tmp_path / "one")
    (refused,) = (tmp_path / "one").glob("refused-*.jsonl")
    backfill(refused, "--config", config, "--output", tmp_path / "two")
    places = [
        (row["failure"]["file"], row["failure"]["line"])
        for row in rows(tmp_path / "two", "refused-*")
    ]
    assert sorted(places) == [(str(lines), 2), (str(lines), 3)]
    bare = write_lines(
        tmp_path / "bare.jsonl", {"event": bad, "failure": {"code": "X", "line": "?"}}
    )
    backfill(bare, "--config", config, "--output", tmp_path / "three")
    (row,) = rows(tmp_path / "three", "refused-*")
    assert (row["failure"]["file"], row["failure"]["line"]) == (str(bare), 1)
