"""/api/state and the page: what an operator sees of a sidecar that delivers, fails, or is shown hostile texts."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ciosidecar import Client, DeliveryOptions, Destination, StreamOptions

from tests.admin.observed import (
    CONFIG,
    HOSTILE,
    PERSON,
    SECRET,
    deliver,
    event,
    get,
    observed,
    row,
    state,
    state_once,
)
from tests.processes import Server
from tests.sandbox.browser import Browser, chromium

PAGE = Path(__file__).parents[2] / "docs/operations/admin.md"


@pytest.fixture(scope="module")
def failing() -> Iterator[Server]:
    """A sidecar that was told 503 for everything, and a page of names that would like to run."""
    with observed("503=1") as running:
        deliver(running, [event(number) for number in range(20)])
        deliver(running, [event()], ref=HOSTILE, client_name=HOSTILE)
        yield running


def test_a_destination_that_works_is_ok() -> None:
    """Its events are counted, its rate is the full rate, and nothing failed."""
    with observed() as running:
        answers = deliver(running, [event(number) for number in range(30)])
        assert all(answer.result.status == 200 for answer in answers)
        found = state_once(running, lambda seen: row(seen).get("outcomes") == {"delivered": 30})
        orders = row(found)
        assert orders["state"] == "ok"
        assert orders["rate_per_s"] == orders["full_rate_per_s"] == 900
        assert (orders["waiting"], orders["in_flight"], orders["failed"]) == (0, 0, 0)
        assert orders["last_failure"] is None
        assert found["failures"] == []
        found = state_once(running, lambda seen: seen["events_per_s"] > 0)
        assert row(found)["events_per_s"] == found["events_per_s"]
        assert sum(found["throughput"]["accepted_per_s"]) == pytest.approx(30 / 5)


def test_a_destination_that_fails_says_why(failing: Server) -> None:
    """State, last error, failures with their number; the process is ready all the same."""
    found = state(failing)
    orders = row(found)
    assert orders["state"] == "down"
    assert orders["failed"] == 20
    assert orders["last_failure"]["http_status"] == 503
    assert orders["last_failure"]["text"] == "Customer.io answered 503"
    assert abs(orders["last_failure"]["time"] - time.time()) < 120
    kinds = {(kind["code"], kind["http_status"]) for kind in found["failures"]}
    assert ("", 503) in kinds
    assert ("UPSTREAM_FAILED", 0) in kinds
    assert found["ready"] is True
    assert get(failing, "/readyz")[0] == 200


def test_nothing_personal_or_secret_is_shown(failing: Server) -> None:
    """Neither in the JSON nor on the page: no identifier, no body, no credentials."""
    for path in ("/api/state", "/"):
        _, body = get(failing, path)
        for word in (PERSON, "jane", SECRET, "a-site-id", "Basic "):
            assert word.encode() not in body, (path, word)


def test_hostile_names_are_text(failing: Server) -> None:
    """No tag, no control character: neither on the page nor in the JSON."""
    _, page = get(failing, "/")
    assert b"<script>document" not in page
    assert b"&lt;script&gt;document" in page
    for path in ("/", "/api/state"):
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", get(failing, path)[1])


def test_an_open_stream_is_shown() -> None:
    """Client, version, peer, age and counts, until it closes."""
    with observed() as running, Client(running.addresses[0]) as client:
        options = StreamOptions(client_name="router", client_version="4.5", max_batch_events=5)
        destination = Destination(CONFIG, "orders")
        with client.stream(destination, options, deliver=DeliveryOptions()) as stream:
            for number in range(10):
                stream.send(event(number))
            found = state_once(
                running, lambda seen: seen["streams"] and seen["streams"][0]["results"] == 10
            )
            (open_stream,) = found["streams"]
            assert open_stream["client_name"] == "router"
            assert open_stream["client_version"] == "4.5"
            assert open_stream["peer"].startswith("ipv4:127.0.0.1:")
            assert (open_stream["batches"], open_stream["items"]) == (2, 10)
            assert open_stream["delivery"] is True
            assert re.fullmatch(r"[0-9a-f]{16}", open_stream["session_id"])
            assert b"router 4.5" in get(running, "/")[1]
        state_once(running, lambda seen: seen["streams_open"] == 0)


def test_destinations_are_limited() -> None:
    """Beyond --metrics-destinations they share a row, and the page stays small."""
    with observed("", "--metrics-destinations", "3") as running:
        for number in range(6):
            deliver(running, [event(number)], ref=f"d{number}")
        found = state_once(running, lambda seen: row(seen, "other").get("outcomes"))
        assert {one["destination_ref"] for one in found["destinations"]} == {
            "d0",
            "d1",
            "d2",
            "other",
        }
        assert row(found, "other")["outcomes"] == {"delivered": 3}


def test_many_who_look_cost_little() -> None:
    """The state is put together twice a second at most: a hundred looks get a few answers."""
    with observed() as running:
        times = {state(running)["time"] for _ in range(100)}
        assert len(times) < 50


def test_every_member_is_documented(failing: Server) -> None:
    """Each name that /api/state can say stands in the page's table, and no other."""
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index("## `/api/state`") : text.index("## `/api/tap`")]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    documented = {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}
    with (
        observed() as running,
        Client(running.addresses[0]) as client,
        client.stream(Destination(CONFIG, "orders"), deliver=True) as stream,
    ):
        stream.send(event())
        with_stream = state_once(running, lambda seen: seen["streams"])
    names: set[str] = set()
    for found in (state(failing), with_stream):
        names |= found.keys() | found["throughput"].keys()
        for part in ("destinations", "streams", "failures"):
            names |= {name for one in found[part] for name in one}
        names |= {name for one in found["destinations"] for name in one["last_failure"] or ()}
    assert names == documented


@pytest.fixture(scope="module")
def browser(failing: Server) -> Iterator[Browser]:
    """Chromium on the failing sidecar."""
    with chromium(failing.admin) as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_the_failure_and_runs_nothing(browser: Browser, scheme: str) -> None:
    """The state with its reason; hostile names are text; the console is empty; nothing is wider than the window."""
    browser.resize(1280, 900)
    browser.scheme(scheme)
    browser.open("/")
    assert "orders" in browser.texts("main code")
    assert "down" in browser.texts(".down")
    assert any("Customer.io answered 503" in text for text in browser.texts("td"))
    assert browser.run("return document.title") == "ciosidecar"
    assert browser.run("return document.querySelectorAll('main script').length") == 0
    assert any("<script>" in text for text in browser.texts("main code"))
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []


def test_the_page_renews_itself(browser: Browser, failing: Server) -> None:
    """New events appear without a reload."""
    browser.open("/")
    browser.run("window.sameDocument = true")
    deliver(failing, [event()], ref="appeared-later")
    browser.until(lambda: "appeared-later" in browser.texts("main code"), "no row came")
    assert browser.run("return window.sameDocument")
    assert browser.complaints() == []


def test_the_page_says_when_it_is_old() -> None:
    """A sidecar that has stopped to answer, and one that is gone."""
    with observed() as running, chromium(running.admin) as browser:
        browser.open("/")
        assert not browser.find("#stale").is_displayed()
        running.signal(signal.SIGKILL)
        running.process.wait(30)
        browser.until(lambda: browser.find("#stale").is_displayed(), "nothing is said")


def test_the_picture_in_the_docs_is_small() -> None:
    """It is loaded with every look at the page."""
    pictures = list((PAGE.parents[1] / "images").glob("admin*.png"))
    assert pictures
    assert all(picture.stat().st_size < 150_000 for picture in pictures)
