"""The page in a real browser."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ciosidecar_sandbox.testing import Running
from selenium.webdriver.common.keys import Keys

from tests.sandbox.browser import Browser, chromium
from tests.sandbox.support import Track

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def started(shared: Running) -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium(shared.url) as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, track: Track) -> Iterator[Browser]:
    """Chromium, light and wide, on an empty sandbox; its console has to stay empty."""
    started.resize(1280, 800)
    started.scheme("light")
    yield started
    assert started.complaints() == []


def test_a_request_appears_without_reload(browser: Browser, track: Track) -> None:
    """With the counters; and says how many to those who cannot see it."""
    browser.open("/")
    browser.live()
    browser.run("window.sameDocument = true")
    track.identify("jane@example.com")
    browser.until(lambda: "email jane@example.com" in browser.texts("#log .who"), "no row came")
    assert browser.texts("[data-count=people]") == ["1"]
    assert browser.find("#said").get_attribute("aria-live") == "polite"
    assert browser.texts("#said") == ["live, 1 new"]
    assert browser.run("return window.sameDocument")


def test_a_dropped_request_shows_its_reason(browser: Browser, track: Track) -> None:
    """Live under its filter, where others do not appear."""
    track.identify("u1")
    browser.open("/?outcome=dropped")
    browser.live()
    track.identify("u2")
    track.merge({"id": "u1"}, {"id": "none"})
    browser.until(lambda: browser.texts("#log tr"), "no row came")
    assert browser.texts("#log .became") == ["dropped the secondary (id none) does not exist"]


def test_a_pause_holds_the_log_and_then_catches_up(browser: Browser, track: Track) -> None:
    """By the button or by p."""
    browser.open("/")
    browser.live()
    browser.find("#pause").click()
    browser.until(lambda: browser.texts("#said") == ["paused"], "no pause")
    track.identify("u1")
    assert browser.find("#pause").get_attribute("aria-pressed") == "true"
    assert browser.texts("#log tr") == []
    browser.press("p")
    browser.until(lambda: len(browser.texts("#log tr")) == 1, "it did not catch up")


def test_a_flood_leaves_the_page_usable(browser: Browser, track: Track) -> None:
    """Rows are bounded; what was skipped is said; the latest is on top."""
    browser.open("/")
    browser.live()
    item = {"type": "person", "action": "identify", "identifiers": {"id": "u1"}}
    with ThreadPoolExecutor(4) as threads:
        list(
            threads.map(lambda _: track.post("/api/v2/batch", {"batch": [item] * 1000}), range(20))
        )
    browser.until(lambda: browser.texts("#log tr:first-child th") == ["20000"], "not up to date")
    assert len(browser.texts("#log tr")) <= 200
    assert any("more are not shown" in text for text in browser.texts("#log tr.gap"))


def test_a_reset_empties_the_log(browser: Browser, track: Track) -> None:
    """Without a reload."""
    track.identify("u1")
    browser.open("/")
    browser.live()
    assert len(browser.texts("#log tr")) == 1
    track.http.post("/sandbox/reset")
    browser.until(lambda: browser.texts("#log tr") == [], "the row is still there")
    assert browser.texts("[data-count=requests]") == ["0"]


def test_the_search_finds_a_person(browser: Browser, track: Track) -> None:
    """From any page, by the text of an attribute; the hit leads to them."""
    track.identify("u1", city="Köln")
    track.identify("u2", city="Paris")
    browser.open("/events")
    browser.press("/")
    assert browser.run("return document.activeElement.id") == "search"
    browser.press("köln" + Keys.ENTER)
    browser.until(lambda: browser.texts("a.row") == ["u1"], "not found")
    browser.press("j")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.texts("h1") == ["u1"], "not opened")
    assert browser.driver.current_url.endswith(f"/people/{track.person(id='u1')['cio_id']}")


def test_rows_are_walked_by_key(browser: Browser, track: Track) -> None:
    """j and k, arrows once on a row, visibly; a field gets its letters."""
    for number in range(3):
        track.identify(f"u{number}")
    browser.open("/people")
    focused = "return document.activeElement.innerText"
    seen = []
    for key in ("j", "j", Keys.ARROW_DOWN, "j", "k", Keys.ARROW_UP):
        browser.press(key)
        seen.append(browser.run(focused))
    assert seen == ["u2", "u1", "u0", "u0", "u1", "u2"]
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.run(outline) == "solid"
    browser.press("/")
    browser.press("jkp/")
    assert browser.find("#search").get_attribute("value") == "jkp/"


def test_the_first_stop_is_the_skip_link(browser: Browser) -> None:
    """Which leads past the navigation."""
    browser.open("/people")
    browser.press(Keys.TAB)
    assert browser.run("return document.activeElement.innerText") == "Skip to the content"
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.run("return document.activeElement.id") == "main", "not there")


def test_a_deep_link_shows_the_person(browser: Browser, track: Track) -> None:
    """By any identifier, with attributes and timeline."""
    track.identify("u1", email="jane@example.com", plan="pro")
    track.event("u1", "Order Completed", data={"total": 9})
    browser.open("/?email=jane@example.com")
    assert browser.texts("h1") == ["jane@example.com"]
    assert "pro" in browser.texts(".values .value")
    assert browser.texts(".timeline a") == ["Order Completed"]


def test_hostile_text_is_shown_and_not_run(browser: Browser, track: Track) -> None:
    """On the person's page, in the live log and on the request's page."""
    browser.open("/")
    browser.live()
    who = {"id": HOSTILE}
    track.person_op("identify", who, attributes={HOSTILE: HOSTILE})
    browser.until(lambda: browser.texts("#log .who") == [f"id {HOSTILE}"], "no row came")
    assert "owned" not in browser.driver.title
    for path in (f"/people/{track.person(id=HOSTILE)['cio_id']}", "/requests/1"):
        browser.open(path)
        assert HOSTILE in browser.find("main").text.replace("\\", "")
        assert browser.driver.title != "owned"
        assert browser.run("return document.images.length") == 0


@pytest.mark.parametrize("width", [360, 970])
def test_nothing_scrolls_sideways(browser: Browser, track: Track, width: int) -> None:
    """On a phone, and where tables just fit; with long words everywhere."""
    word = "w" * 140
    track.identify(word, **{"n" * 100: "v" * 900})
    track.event(word, "e" * 100, data={"d" * 300: "d" * 300})
    track.put(f"/api/v1/customers/{word}/devices", {"device": {"id": word, "platform": "ios"}})
    identifiers = {"object_type_id": "1", "object_id": word}
    track.person_op("identify", {"id": word}, cio_relationships=[{"identifiers": identifiers}])
    cio_id = track.person(id=word)["cio_id"]
    object_id = track.get("/sandbox/objects")["objects"][0]["cio_object_id"]
    browser.resize(width)
    paths = ["/", "/people", f"/people/{cio_id}", "/events", "/events/1", "/requests/1"]
    for path in (*paths, "/objects", f"/objects/{object_id}"):
        browser.open(path)
        assert browser.run("return document.documentElement.scrollWidth") <= width, path


def test_dark_is_dark(browser: Browser) -> None:
    """By the system's setting."""
    browser.open("/")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.scheme("dark")
    dark = browser.run(ground)
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (light, dark)]
    assert brightness[0] > 700 > 100 > brightness[1]
