"""What is an input file and what an option; and files that begin with a byte order mark, as editors write them."""

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.lines import CONFIG, lines_of, track
from tests.processes import run

MARK = b"\xef\xbb\xbf"
DEAD = ("--customerio-url", "http://127.0.0.1:9", "--timeout-s", "0.1")
COMMANDS = [("transform",), ("deliver", *DEAD), ("check",)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("value", [["X"], []], ids=["with a value", "alone"])
def test_a_misspelled_option_is_no_file(command: tuple[str, ...], value: list[str]) -> None:
    """Exit code 2 with the option that was meant."""
    done = run(*command, "--confg", *value)
    assert done.returncode == 2
    said = " ".join(done.stderr.decode().split())
    assert "Unknown option: --confg. Did you mean --config?" in said
    assert done.stdout == b""


@pytest.mark.parametrize("command", ["transform", "deliver"])
def test_a_name_with_a_hyphen_is_a_file_after_two(command: str) -> None:
    """`--` ends the options."""
    done = run(command, "--", "--events.jsonl")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"cannot read --events.jsonl" in done.stderr


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_hyphen_is_standard_input(place: str) -> None:
    """Before and after the options; with a file beside it, it is a usage error."""
    options = ["--pack"]
    arguments = ["-", *options] if place == "first" else [*options, "-"]
    done = run("transform", *arguments, stdin=lines_of(track(1)))
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == [200]
    done = run("transform", *arguments, "events.jsonl")
    assert done.returncode == 2
    assert b"not both" in done.stderr


@pytest.mark.parametrize("kind", ["wrapped", "bare"])
def test_the_first_event_after_a_byte_order_mark_is_read(kind: str, tmp_path: Path) -> None:
    """Also in the file of the config; a mark elsewhere is no JSON, as before."""
    config = tmp_path / "config.json"
    config.write_bytes(MARK + json.dumps(CONFIG).encode())
    line = track(1) if kind == "wrapped" else track(1)["event"]
    arguments = () if kind == "wrapped" else ("--config", str(config))
    lines = lines_of(line)
    done = run("transform", *arguments, stdin=MARK + lines + lines + MARK + lines)
    statuses = [json.loads(line)["status"] for line in done.stdout.splitlines()]
    assert statuses == [200, 200, 400]


def test_deliver_sends_the_first_event_after_a_byte_order_mark() -> None:
    """It is given up because Customer.io is not there, and not refused as a line that is no JSON."""
    done = run("deliver", *DEAD, stdin=MARK + lines_of(track(1)))
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["messageId"] == "m1"
    assert line["error"]["code"] != "INVALID_JSON"


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_backfill_reads_the_first_event_after_a_byte_order_mark(
    compressed: bool,
    tmp_path: Path,
) -> None:
    """In each of the files, at its start."""
    for number in range(2):
        lines = MARK + lines_of(track(number), track(number + 10))
        name = tmp_path / (f"{number}.jsonl" + (".gz" if compressed else ""))
        name.write_bytes(gzip.compress(lines) if compressed else lines)
    inputs = [str(path) for path in sorted(tmp_path.iterdir())]
    output = tmp_path / "output"
    done = run("backfill", *inputs, "--output", str(output), "--partitions", "1")
    assert done.returncode == 0, done.stderr.decode()
    rows = [
        json.loads(line)
        for path in output.glob("requests-*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    assert sorted(row["messageId"] for row in rows) == ["m0", "m1", "m10", "m11"]
    assert not list(output.glob("refused-*.jsonl"))


TYPE, MESSAGE_ID, EVENT, CONFIG_KEY, FAILURE = (
    b'{"type":"tra\xed\xa0\x80ck","userId":"u","event":"A"}',
    b'{"type":"track","userId":"u","event":"A","messageId":"a\xff"}',
    b'{"event":{"type":"track","userId":"u","event":"A\xc3"}}',
    b'{"event":{"type":"track","userId":"u","event":"A"},"con\xfffig":{}}',
    b'{"failure":{"file":"a\xff","line":1},"event":{"type":"track","userId":"u","event":"A"}}',
)
NOT_UTF_8 = [TYPE, MESSAGE_ID, EVENT, CONFIG_KEY, FAILURE]


@pytest.mark.parametrize("command", ["transform", "deliver", "backfill"])
@pytest.mark.parametrize("form", ["bare", "wrapped"])
def test_a_line_that_is_not_utf_8_is_refused_and_the_others_go_on(
    command: str, form: str, tmp_path: Path
) -> None:
    """Wherever the bytes are: in a member that the command reads, in one that it does not, in a name."""
    config, events = tmp_path / "config.json", tmp_path / "events.jsonl"
    config.write_text(json.dumps(CONFIG))
    bare = form == "bare"
    good = lines_of(track(1)["event"] if bare else track(1))
    events.write_bytes(good + b"\n".join(NOT_UTF_8) + b"\n" + good)
    options: tuple[str, ...] = ("--config", str(config)) if bare else ()
    if command == "deliver":
        options += DEAD
    if command == "backfill":
        options += ("--output", str(tmp_path / "output"), "--partitions", "1")
    done = run(command, str(events), *options)
    assert b"Traceback" not in done.stderr
    assert b"UnicodeDecodeError" not in done.stderr
    if command == "backfill":
        output = tmp_path / "output"
        refused = (output / "refused-00000.jsonl").read_bytes().splitlines()
        sent = (output / "requests-00000.jsonl").read_bytes().splitlines()
        assert len(sent) >= 2
        assert len(refused) + len(sent) == len(NOT_UTF_8) + 2
    else:
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(NOT_UTF_8) + 2
        codes = [answer.get("error", {}).get("code") for answer in answers]
        # With one config, the event of a failed line is looked at alone.
        bad = len(NOT_UTF_8) - bare
        assert codes[1 : 1 + bad] == ["INVALID_JSON"] * bad, codes
        assert "INVALID_JSON" not in (codes[0], *codes[1 + bad :]), codes


@pytest.mark.parametrize("command", ["transform", "deliver", "backfill"])
@pytest.mark.parametrize(
    "content",
    [
        "",
        "# Read me",
        "[]",
        "null",
        "{",
        "{} {}",
        '{"a": NaN}',
        "\ufeff\ufeff{}",
        '{"siteID": "a",}',
    ],
)
def test_a_config_that_is_no_object_is_told_before_any_event(
    command: str, content: str, tmp_path: Path
) -> None:
    """Otherwise each event would fail for it, and the exit code of transform would be 0."""
    config, events = tmp_path / "README.md", tmp_path / "events.jsonl"
    config.write_text(content)
    events.write_bytes(lines_of(track(1)))
    output = ("--output", str(tmp_path / "out")) if command == "backfill" else ()
    done = run(command, str(events), "--config", str(config), *output)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"README.md has no JSON object: it takes a destination's settings" in done.stderr
