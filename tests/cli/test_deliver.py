"""`ciosidecar deliver`: lines in, what became of them out, into a sandbox."""

import json
import os
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.cli.lines import CONFIG, deliver, lines_of, names, track
from tests.fake_customerio import nobody
from tests.processes import run, server


def test_a_delivered_line_says_what_customerio_answered() -> None:
    """The documented shape, to the last key; the event is in the sandbox; exit code 0."""
    with running_sandbox() as sandbox:
        (line,), done = deliver(sandbox.url, lines_of(track(1)))
        assert names(sandbox) == ["E1"]
    latency_ms = line["delivery"].pop("latency_ms")
    assert list(line)[:3] == ["line", "messageId", "status"]
    assert line == {
        "line": 1,
        "messageId": "m1",
        "status": 200,
        "delivery": {"attempts": 1, "http_status": 200, "reason": ""},
        "warnings": [],
    }
    assert isinstance(latency_ms, int)
    assert done.returncode == 0
    assert {"type\ttrack\t1", "outcome\t200 delivered\t1"} <= set(done.stderr.decode().splitlines())


def test_lines_come_out_in_the_order_they_went_in_whatever_becomes_of_them() -> None:
    """Delivered, refused here, filtered, and no event at all: each line has its own answer."""
    filtered = {
        "event": track(2)["event"] | {"channel": "web"},
        "config": CONFIG | {"connectionMode": {"web": "device"}},
    }
    nobody = {"event": {"type": "track", "event": "E"}, "config": CONFIG}
    stdin = lines_of(track(1)) + b"no json\n" + lines_of(filtered, nobody) + b"{}\n"
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, stdin + lines_of(track(3)))
        assert names(sandbox) == ["E1", "E3"]
    assert [line["status"] for line in lines] == [200, 400, 298, 400, 400, 200]
    assert lines[1]["error"]["code"] == "INVALID_JSON"
    assert lines[2] == {"line": 3, "messageId": "m2", "status": 298, "reason": "DEVICE_MODE"}
    assert lines[3].keys() == {"line", "status", "error", "warnings"}
    assert lines[3]["error"]["code"] == "MISSING_IDENTITY"
    assert done.returncode == 1


def test_what_customerio_refuses_has_its_reason_in_the_line_and_in_the_summary() -> None:
    """Status and words are Customer.io's; the exit code is 1."""
    with running_sandbox(fault="400=1") as sandbox:
        lines, done = deliver(sandbox.url, lines_of(track(1, "a"), track(2, "b")))
    for line in lines:
        assert (line["status"], line["error"]["code"]) == (400, "REFUSED")
        assert line["delivery"]["http_status"] == 400
        assert line["error"]["retryable"] is False
    reason = lines[0]["delivery"]["reason"]
    assert reason
    assert f"reason\tREFUSED: {reason}\t2" in done.stderr.decode().splitlines()
    assert done.returncode == 1


def test_faults_that_pass_are_survived_and_nothing_is_there_twice() -> None:
    """With a third of the requests failing, everything is delivered once, in each person's order."""
    sent = [track(number, f"u{number % 20}") for number in range(300)]
    with running_sandbox(fault="429=0.1,503=0.1,reset=0.05,reset-after=0.1", seed=3) as sandbox:
        lines, done = deliver(sandbox.url, lines_of(*sent))
        held = names(sandbox)
    assert done.returncode == 0, done.stderr.decode()
    assert [line["status"] for line in lines] == [200] * 300
    assert any(line["delivery"]["attempts"] > 1 for line in lines)
    assert sorted(held) == sorted(f"E{number}" for number in range(300))
    for person in range(20):
        numbers = [int(name[1:]) for name in held if int(name[1:]) % 20 == person]
        assert numbers == sorted(numbers)


def test_what_stays_undelivered_blocks_the_persons_later_events_and_nobody_elses() -> None:
    """The line of the event that failed is named; nothing overtook it."""
    with running_sandbox(fault="503=1") as sandbox:
        lines, done = deliver(
            sandbox.url, lines_of(track(1), track(2), track(3, "other")), "--timeout-s", "1"
        )
        assert names(sandbox) == []
    failed, blocked, other = lines
    assert (failed["status"], failed["error"]["code"]) == (503, "UPSTREAM_FAILED")
    assert failed["error"]["retryable"] is True
    assert (blocked["status"], blocked["error"]["code"]) == (503, "BLOCKED")
    assert blocked["error"]["blocked_by_line"] == 1
    assert blocked["delivery"]["attempts"] == 0
    assert other["error"]["code"] != "BLOCKED"
    assert done.returncode == 1


def test_credentials_that_are_refused_are_said_to_be() -> None:
    """Every event of that destination comes back retryable, with Customer.io's reason once known."""
    with running_sandbox(site_id="another", api_key="one") as sandbox:
        lines, done = deliver(sandbox.url, lines_of(track(1, "a"), track(2, "b")))
    assert [line["error"]["code"] for line in lines] == ["CREDENTIALS_REFUSED"] * 2
    assert lines[0]["delivery"]["http_status"] == 401
    assert "outcome\t503 CREDENTIALS_REFUSED\t2" in done.stderr.decode()
    assert done.returncode == 1


def test_nobody_there_is_every_lines_failure() -> None:
    """A closed port: exit code 1, and the reason in the summary."""
    with nobody() as address:
        lines, done = deliver(f"http://{address}", lines_of(track(1)), "--timeout-s", "0.5")
    assert (lines[0]["status"], lines[0]["error"]["code"]) == (504, "UPSTREAM_FAILED")
    assert lines[0]["delivery"]["http_status"] == 0
    reason = lines[0]["delivery"]["reason"]
    assert reason
    assert f"reason\tUPSTREAM_FAILED: {reason}\t1" in done.stderr.decode()
    assert done.returncode == 1


def test_nothing_of_an_event_is_on_stderr() -> None:
    """Neither who, nor what, nor the credentials: of what fails as little as of what does not."""
    event = {"type": "track", "userId": "jane@example.com", "event": "S3cretName"}
    found = {"event": event, "config": {"siteID": "s1te", "apiKey": "k3y"}}
    with running_sandbox(fault="400=0.5") as sandbox:
        _, done = deliver(sandbox.url, lines_of(*[found] * 10))
    for secret in (b"jane", b"S3cretName", b"s1te", b"k3y"):
        assert secret not in done.stderr


def test_requests_are_shown_on_demand_with_the_secret_masked() -> None:
    """--with-requests, and --show-secrets for the header as it was sent."""
    with running_sandbox() as sandbox:
        (masked,), _ = deliver(sandbox.url, lines_of(track(1)), "--with-requests")
        (shown,), _ = deliver(sandbox.url, lines_of(track(2)), "--with-requests", "--show-secrets")
    (request,) = masked["requests"]
    assert request["url"].endswith("/api/v1/customers/u1/events")
    assert request["headers"]["Authorization"] == "Basic ***"
    assert shown["requests"][0]["headers"]["Authorization"] == "Basic c2l0ZTprZXk="


def test_a_config_for_all_lines(tmp_path: Path) -> None:
    """--config, and the file of events by name."""
    config, events = tmp_path / "destination.json", tmp_path / "events.jsonl"
    config.write_text(json.dumps(CONFIG))
    events.write_bytes(lines_of(track(1)["event"]))
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, b"", str(events), "--config", str(config))
    assert ([line["status"] for line in lines], done.returncode) == ([200], 0)


def test_the_environment_says_where_to_deliver_as_it_does_for_serve() -> None:
    """CIOSIDECAR_CUSTOMERIO_URL."""
    with running_sandbox() as sandbox:
        environment = os.environ | {"CIOSIDECAR_CUSTOMERIO_URL": sandbox.url}
        done = run("deliver", stdin=lines_of(track(1)), env=environment)
        assert names(sandbox) == ["E1"]
    assert done.returncode == 0


def test_a_running_sidecar_delivers_where_it_was_told_to() -> None:
    """--target: its own --customerio-url holds."""
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        done = run("deliver", "--target", running.addresses[0], stdin=lines_of(track(1)))
        assert names(sandbox) == ["E1"]
    assert done.returncode == 0


def test_no_events_are_no_failure() -> None:
    """Empty input: no line, exit code 0."""
    lines, done = deliver("http://127.0.0.1:1", b"")
    assert (lines, done.returncode) == ([], 0)
    assert done.stderr.decode().splitlines()[0] == "0 events"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--target", "127.0.0.1:1", "--customerio-url", "http://x"), 2, "exclude each other"),
        (("--customerio-url", "127.0.0.1:8089"), 2, "must be http://host:port"),
        (("--customerio-url", "http://[::1"), 2, "must be http://host:port"),
        (("--timeout-s", "0"), 2, "--timeout-s"),
        (("no-such-file",), 2, "cannot read no-such-file"),
        (("--config", "no-such-file"), 2, "cannot read no-such-file"),
        (("--target", "127.0.0.1:1"), 1, "no answer from the sidecar"),
    ],
    ids=["both", "no-scheme", "no-url", "timeout", "file", "config", "target"],
)
def test_what_cannot_work_says_why(arguments: tuple[str, ...], code: int, text: str) -> None:
    """A sentence on stderr and an exit code; nothing is delivered."""
    done = run("deliver", *arguments, stdin=lines_of(track(1)))
    assert done.returncode == code, done.stderr.decode()
    # The parser of flags wraps its sentences in a box.
    assert text in " ".join(done.stderr.decode().replace("│", " ").split())
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


def test_a_blank_line_is_skipped_and_counted() -> None:
    """Between, before and after events. The numbers are those of an editor."""
    stdin = b"\n" + lines_of(track(1)) + b"  \r\n\n" + lines_of(track(2)) + b"\n\t"
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, stdin)
    assert [(line["line"], line["messageId"]) for line in lines] == [(2, "m1"), (5, "m2")]
    assert (done.returncode, done.stderr.startswith(b"2 events\n")) == (0, True)


@pytest.mark.parametrize("message_id", [None, 7, "", "ü"])
def test_a_line_names_the_message_if_it_can(message_id: object) -> None:
    """A messageId that is no text is not repeated."""
    event = track(1)["event"] | {"messageId": message_id}
    with running_sandbox() as sandbox:
        (line,), _ = deliver(sandbox.url, lines_of({"event": event, "config": CONFIG}))
    assert line.get("messageId", "none") == (message_id if isinstance(message_id, str) else "none")


def test_a_forgotten_config_is_one_error() -> None:
    """Exit code 2 before anything is sent, and not an error for each line."""
    events = lines_of(*(track(number)["event"] for number in range(100)))
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, b"\n" + events)
        assert sandbox.workspace.log.requests == 0
    assert (lines, done.returncode) == ([], 2)
    said = [line for line in done.stderr.splitlines() if line.startswith(b"ciosidecar: ")]
    assert len(said) == 1
    assert b"--config FILE" in said[0]
