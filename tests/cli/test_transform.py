"""`ciosidecar transform`: lines in, lines out, through a real server."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.processes import COMMAND, TIMEOUT_S, run, server

CONFIG: dict[str, Any] = {"siteID": "site", "apiKey": "key"}
TRACK: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Order"}


def lines_of(*found: object) -> bytes:
    """Objects as JSON lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)


def wrapped(event: object, **config: Any) -> dict[str, Any]:
    """A line with its own destination."""
    return {"event": event, "config": CONFIG | config}


def transform(stdin: bytes, *arguments: str) -> list[dict[str, Any]]:
    """The lines that come out."""
    done = run("transform", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def config_file(tmp_path: Path) -> str:
    """A file with a destination's JSON."""
    path = tmp_path / "destination.json"
    path.write_text(json.dumps(CONFIG))
    return str(path)


def test_a_line_becomes_its_request_with_the_secret_masked() -> None:
    """The documented shape, to the last key."""
    (line,) = transform(lines_of(wrapped(TRACK)))
    assert line == {
        "status": 200,
        "requests": [
            {
                "method": "POST",
                "url": "https://track.customer.io/api/v1/customers/u1/events",
                "endpoint_path": "v1/customers/events",
                "headers": {"Authorization": "Basic ***", "Content-Type": "application/json"},
                "body": {"name": "Order", "type": "event", "data": {}},
            }
        ],
        "warnings": [],
    }


def test_secrets_are_shown_on_demand() -> None:
    """--show-secrets prints the Authorization header as it would be sent."""
    (line,) = transform(lines_of(wrapped(TRACK)), "--show-secrets")
    assert line["requests"][0]["headers"]["Authorization"] == "Basic c2l0ZTprZXk="


def test_refused_and_filtered_lines_have_their_documented_shapes() -> None:
    """400 with the error, 298 with the reason."""
    refused, filtered = transform(
        lines_of(
            wrapped({"type": "track"}),
            wrapped(TRACK | {"channel": "web"}, connectionMode={"web": "device"}),
        )
    )
    assert refused.keys() == {"status", "error", "warnings"}
    assert refused["error"].keys() == {"code", "type", "message", "retryable"}
    assert refused["error"]["code"] == "MISSING_EVENT_NAME"
    assert refused["error"]["type"] == "instrumentation"
    assert filtered == {"status": 298, "reason": "DEVICE_MODE"}


def test_bare_events_with_one_config(config_file: str) -> None:
    """--config names the destination of all lines; the event's own `event` is its name."""
    (line,) = transform(lines_of(TRACK), "--config", config_file)
    assert line["requests"][0]["body"]["name"] == "Order"


def test_every_line_is_answered_in_order_whatever_it_holds() -> None:
    """A line that is not JSON is that line's 400, not the end of the run."""
    good = json.dumps(wrapped(TRACK)).encode()
    odd = [b"not json", b"[]", b"5", b"\xff\xfe", b'{"event": 1}', b'{"config": {}}']
    odd += [b"[" * 100_000, b'{"event": ' + b"[" * 50_000, b'{"event": {}, "config": 5}', b"{}"]
    out = transform(b"\n".join([good, *odd, good]) + b"\n")
    assert [line["status"] for line in out] == [200, *[400] * len(odd), 200]


def test_a_last_line_without_newline_counts() -> None:
    """No newline at the end of the file is no reason to lose a line."""
    assert len(transform(lines_of(wrapped(TRACK)).rstrip(b"\n"))) == 1


def test_values_come_out_exactly_as_they_went_in() -> None:
    """The event is passed on as the bytes it was: no digit and no escape changes."""
    properties = b'{"big":12345678901234567890123,"f":1.0,"e":1e5,"s":"\\u00e9\\/","n":null}'
    line = b'{ "config" : %b , "event" : {"type":"track","userId":"u","event":"E","properties":%b}}'
    done = run("transform", stdin=line % (json.dumps(CONFIG).encode(), properties))
    assert b'"data":' + properties in done.stdout


def test_half_an_emoji_in_the_event_is_the_events_own_matter() -> None:
    """A lone surrogate is repaired by the server, with its warning; the config is still found."""
    line = b'{"event":{"type":"track","userId":"u","event":"E \\ud83d"},"x":[1,{}],"config":%b}'
    (out,) = transform(line % json.dumps(CONFIG).encode())
    assert out["requests"][0]["body"]["name"] == "E \ufffd"
    assert [warning["code"] for warning in out["warnings"]] == ["LONE_SURROGATE"]


def test_groups_stand_alone_unless_packed() -> None:
    """Each line shows its own request; with --pack the last it covers shows it, with all its lines."""
    groups = lines_of(
        *(wrapped({"type": "group", "userId": f"u{n}", "groupId": "g"}) for n in (1, 2)), "odd"
    )
    alone = transform(groups)
    assert [len(line["requests"][0]["body"]["batch"]) for line in alone[:2]] == [1, 1]
    packed = transform(groups, "--pack")
    assert packed[0] == {"status": 200, "requests": [], "warnings": []}
    assert packed[1]["requests"][0]["lines"] == [1, 2]
    assert len(packed[1]["requests"][0]["body"]["batch"]) == 2


def test_more_destinations_than_a_stream_has_numbers_for() -> None:
    """Every line keeps its own destination, also when there are thousands of them in turn."""
    found = [wrapped(TRACK, siteID=f"site-{index % 1700}") for index in range(4000)]
    done = run("transform", "--show-secrets", stdin=lines_of(*found))
    alone = {
        index: json.loads(line)["requests"][0]["headers"]["Authorization"]
        for index, line in enumerate(done.stdout.splitlines())
    }
    assert len(alone) == 4000
    assert len(set(alone.values())) == 1700
    assert all(alone[index] == alone[index % 1700] for index in range(4000))


def test_the_summary_counts_types_outcomes_and_warnings() -> None:
    """On stderr, tab-separated where nobody watches; without anything of the events themselves."""
    events = [TRACK, TRACK, {"type": "jane@example.com"}, {"type": "identify", "userId": "u"}]
    events.append({"type": "identify", "userId": "u", "traits": {"unsubscribed": "maybe"}})
    done = run("transform", stdin=lines_of(*map(wrapped, events)))
    summary = done.stderr.decode().splitlines()
    assert summary[0] == "5 events"
    assert {"type\ttrack\t2", "type\tidentify\t2", "type\t-\t1"} <= set(summary)
    assert {"outcome\t200 transformed\t4", "outcome\t400 UNSUPPORTED_TYPE\t1"} <= set(summary)
    assert "warning\tUNSUBSCRIBED_LEFT_OUT\t1" in summary
    assert b"jane" not in done.stderr + done.stdout


@pytest.mark.parametrize(("events", "said"), [(0, "0 events"), (1, "1 event"), (2, "2 events")])
def test_the_summary_says_one_event(events: int, said: str) -> None:
    """A single event is no plural."""
    done = run("transform", stdin=lines_of(*[wrapped(TRACK)] * events))
    assert done.stderr.decode().splitlines()[0] == said


def test_a_reader_that_has_enough_is_no_error(config_file: str, tmp_path: Path) -> None:
    """`| head -1`: one line, no traceback."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(lines_of(*[TRACK] * 20_000))
    command = " ".join([*COMMAND, "transform", str(events), "--config", config_file, "| head -n 1"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert b"Traceback" not in done.stderr


def test_ctrl_c_ends_it_with_130() -> None:
    """Waiting for input that stays open, it can be interrupted, without a traceback."""
    command = [*COMMAND, "transform"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lines_of(wrapped(TRACK)))
        process.stdin.flush()
        assert process.stdout.readline()  # answered while the input is still open
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(TIMEOUT_S) == 130
            assert process.stderr is not None
            errors = process.stderr.read()
        finally:
            process.kill()
    assert b"Traceback" not in errors


def test_a_running_sidecar_can_be_named(tmp_path: Path) -> None:
    """--target goes to a server that is there already."""
    with server("--listen", f"unix:{tmp_path}/s.sock") as running:
        out = transform(lines_of(wrapped(TRACK)), "--target", running.addresses[0])
    assert out[0]["status"] == 200


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("no-such-file",), 2, "cannot read no-such-file"),
        (("--config", "no-such-file"), 2, "cannot read no-such-file"),
        (("--no-such-flag",), 2, "--no-such-flag"),
        ((".",), 2, "cannot read ."),
    ],
    ids=["file", "config", "flag", "folder"],
)
def test_what_cannot_work_says_why(arguments: tuple[str, ...], code: int, text: str) -> None:
    """A sentence on stderr and an exit code; nothing on stdout."""
    done = run("transform", *arguments, stdin=lines_of(wrapped(TRACK)))
    assert done.returncode == code
    assert text in done.stderr.decode()
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


def test_a_sidecar_that_is_not_there_is_exit_code_1(no_listener: str) -> None:
    """A sentence on stderr; nothing on stdout."""
    done = run("transform", "--target", no_listener, stdin=lines_of(wrapped(TRACK)))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"no answer from the sidecar" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_long_file_needs_no_more_memory_than_a_short_one(
    config_file: str, tmp_path: Path
) -> None:
    """Four times the events, the same peak of memory within a fifth."""
    peaks = []
    for number in (20_000, 80_000):
        events = tmp_path / f"{number}.jsonl"
        line = lines_of(TRACK | {"properties": {"a": "x" * 1000}})
        events.write_bytes(line * number)
        script = (
            "import resource, subprocess, sys;"
            "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,"
            " check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [*COMMAND, "transform", str(events), "--config", config_file]
        done = subprocess.run(
            [COMMAND[0], "-c", script, *command], capture_output=True, timeout=60, check=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] * 1.2


def test_a_blank_line_is_skipped_and_a_forgotten_config_is_one_error() -> None:
    """As in a delivery."""
    assert len(transform(b"\n \n" + lines_of(wrapped(TRACK)) + b"\n")) == 1
    done = run("transform", stdin=lines_of(TRACK, TRACK))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"ciosidecar: ") == 1
    assert b"--config FILE" in done.stderr


def test_headers_are_in_alphabetical_order() -> None:
    """So that two runs can be compared byte by byte."""
    done = run("transform", stdin=lines_of(*[wrapped(TRACK)] * 20))
    texts = {
        line.partition(b'"headers":')[2].partition(b"}")[0] for line in done.stdout.splitlines()
    }
    assert texts == {b'{"Authorization":"Basic ***","Content-Type":"application/json"'}


def test_stderr_has_the_summary_and_no_log_of_the_sidecar_inside() -> None:
    """The command's own sidecar would log refused events and its end."""
    refused = wrapped({"type": "nonsense", "userId": "u1"})
    done = run("transform", stdin=lines_of(refused, refused))
    assert done.returncode == 0
    assert b"UNSUPPORTED_TYPE" in done.stderr
    assert b"events failed" not in done.stderr
    assert b"{" not in done.stderr
