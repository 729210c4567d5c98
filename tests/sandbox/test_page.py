"""The page without a browser: what it answers, what it escapes, how quick it stays."""

import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from ciosidecar_sandbox.identifiers import Identifier
from ciosidecar_sandbox.outcome import applied
from ciosidecar_sandbox.page.live import MAX_ROWS, MAX_VIEWERS
from ciosidecar_sandbox.testing import running_sandbox

from tests.processor import waited_s
from tests.sandbox.support import AUTH, Track

pytestmark = pytest.mark.serial

HOSTILE = "<script>document.title = 'owned'</script>\"'><img src=x onerror=alert(1)>"
QUICK_S = 2


def html(track: Track, path: str, status: int = 200) -> str:
    answer = track.http.get(path, follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    return answer.text


def messages(lines: Iterator[str]) -> Iterator[dict[str, object]]:
    """The messages of a stream of server-sent events."""
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_every_page_answers(track: Track) -> None:
    """Empty, and with something in it; it may be kept by nobody, and runs no script but its own."""
    paths = ["/", "/people", "/objects", "/events", "/people?q=x", "/events?name=x"]
    for path in paths:
        html(track, path)
    track.identify("u1", email="jane@example.com", cio_subscription_preferences={"a": [1, None]})
    track.event("u1", "Order", data={"total": 9})
    track.put("/api/v1/customers/u1/devices", {"device": {"id": "d1", "platform": "ios"}})
    track.post("/api/v1/segments/7/add_customers", {"ids": ["u1"]})
    relationship = {"identifiers": {"object_type_id": "1", "object_id": "acme"}}
    track.person_op("identify", {"id": "u1"}, cio_relationships=[relationship])
    cio_id = track.person(id="u1")["cio_id"]
    person = html(track, f"/people/{cio_id}")
    for text in ("jane@example.com", "{&#34;a&#34;:[1,null]}", "Order", "d1", "acme", "Segments"):
        assert text in person
    object_id = track.get("/sandbox/objects")["objects"][0]["cio_object_id"]
    assert "jane@example.com" in html(track, f"/objects/{object_id}")
    assert "jane@example.com" in html(track, "/objects?type=1&id=acme")
    assert "&#34;total&#34;: 9" in html(track, "/events/1")
    for path in (*paths, "/requests/1"):
        html(track, path)
    headers = track.http.get("/").headers
    assert headers["cache-control"] == "no-store"
    assert "script-src 'self'" in headers["content-security-policy"]


def test_numbers_are_shown_with_the_digits_that_were_sent(track: Track) -> None:
    """59.70 stays 59.70, in attributes, in what is nested, in events, on the page and in the admin API."""
    numbers = '{"price": 59.70, "one": 1.0, "big": 12345678901234567890123, "in": [{"x": 1.50e1}]}'
    headers = {"content-type": "application/json"}
    for method, path, body in (
        ("PUT", "/api/v1/customers/u1", numbers),
        ("POST", "/api/v1/customers/u1/events", f'{{"name": "E", "data": {numbers}}}'),
    ):
        done = track.http.request(method, path, content=body, headers=headers, auth=AUTH)
        assert done.status_code == 200
    compact = numbers.replace(" ", "")
    sent = track.http.get("/sandbox/person?id=u1").text
    assert sent.count(compact) == 2
    person = html(track, f"/people/{track.person(id='u1')['cio_id']}")
    for text in (">59.70<", ">1.0<", ">12345678901234567890123<", "[{&#34;x&#34;:1.50e1}]"):
        assert text in person


def test_a_number_out_of_range_is_refused(track: Track) -> None:
    """Also in a list."""
    for body in ('{"a": 1e400}', '{"a": [{"b": -1e999}]}'):
        headers = {"content-type": "application/json"}
        done = track.http.put("/api/v1/customers/u1", content=body, headers=headers, auth=AUTH)
        assert (done.status_code, "out of range" in done.text) == (400, True)


def test_requests_and_operations_are_counted_apart(track: Track) -> None:
    """A batch of three operations is one request, and three rows: the numbers of the filters add up."""
    people = [
        {"type": "person", "action": "identify", "identifiers": {"id": each}} for each in "abc"
    ]
    assert track.post("/api/v2/batch", {"batch": people}).status_code == 200
    track.identify("d")
    page = html(track, "/")
    assert 'data-count="requests">2<' in page
    assert re.search(r'All <span class="count" data-count="operations">4<', page)
    assert re.search(r'data-count="applied">4<', page)


@pytest.mark.parametrize(
    "path",
    [
        "/people/none",
        "/people?id=none",
        "/?email=none",
        "/objects/none",
        "/objects?type=1&id=none",
        "/events/1",
        "/events/x",
        "/requests/1",
        "/requests/0",
        "/requests/99999999999999999999",
    ],
)
def test_what_is_not_there_has_a_page_that_says_so(track: Track, path: str) -> None:
    """404, with the way to the rest."""
    page = html(track, path, 404)
    assert "<h1>There is no such" in page or "<h1>No person has the" in page
    assert 'href="/people"' in page


def test_odd_values_are_shown(track: Track) -> None:
    """Numbers beyond the usual, times beyond the calendar, text that reads from right to left."""
    deep = "[" * 90 + "1" + "]" * 90
    body = (
        '{"big": 123456789012345678901234567890, "tiny": 1e-300, "created_at": 1700000000,'
        f' "rtl": "\\u202eabc", "zero": "a\\u0000b", "deep": {deep}}}'
    )
    track.http.put(
        "/api/v1/customers/%00x", content=body, headers={"content-type": "application/json"}
    )
    track.event("u1", "Order", timestamp=99_999_999_999, data={"n": 10**40})
    for person in track.get("/sandbox/people")["people"]:
        html(track, f"/people/{person['cio_id']}")
    for path in ("/", "/events", "/requests/1", "/requests/2", "/events/1"):
        html(track, path)


@pytest.mark.parametrize("query", ["before=x", "offset=-1", "outcome=sung", "before=9" + "9" * 30])
def test_a_query_that_makes_no_sense_is_ignored(track: Track, query: str) -> None:
    """There is always a page."""
    track.identify("u1")
    for path in ("/", "/people", "/objects", "/events"):
        html(track, f"{path}?{query}")


@pytest.mark.parametrize("kind", ["id", "email", "phone", "cio_id"])
def test_any_identifier_leads_to_the_person(track: Track, kind: str) -> None:
    """At / and at /people."""
    track.identify("u1", email="a+b@example.com", phone="+4930")
    person = track.person(id="u1")
    for path in ("/", "/people"):
        answer = track.http.get(path, params={kind: person[kind]})
        assert answer.headers["location"] == f"/people/{person['cio_id']}"


def test_hostile_text_is_escaped_everywhere(track: Track) -> None:
    """Names, values, ids, event names, data, paths and bodies."""
    who = {"id": HOSTILE}
    track.person_op("identify", who, attributes={HOSTILE[:60]: HOSTILE})
    track.person_op("event", who, name=HOSTILE[:90], attributes={HOSTILE: HOSTILE})
    track.person_op("add_device", who, device={"token": HOSTILE, "platform": "ios"})
    identifiers = {"object_type_id": "1", "object_id": HOSTILE}
    track.person_op("identify", who, cio_relationships=[{"identifiers": identifiers}])
    track.post("/api/v1/merge_customers", {"primary": who, "secondary": {"id": HOSTILE + "2"}})
    track.http.put("/api/v1/customers/a?<script>", content=f"<{HOSTILE}")
    cio_id = track.person(id=HOSTILE)["cio_id"]
    paths = ["/", "/people", "/events", "/objects", f"/people/{cio_id}", "/events/1"]
    paths += [f"/requests/{row['number']}" for row in track.rows()]
    paths += [
        f"/objects/{one['cio_object_id']}" for one in track.get("/sandbox/objects")["objects"]
    ]
    for path in paths:
        page = html(track, path)
        assert page.count("<script") == 1, path
        assert "<img" not in page, path
    searched = track.http.get("/people", params={"q": HOSTILE}).text
    assert searched.count("<script") == 1
    assert "&lt;script&gt;" in searched


def test_a_request_is_shown_with_its_body_and_without_its_key(track: Track) -> None:
    """Pretty, and cut where the log cuts."""
    track.identify("u1", plan="pro")
    page = html(track, "/requests/1")
    assert "{\n  &#34;plan&#34;: &#34;pro&#34;\n}" in page
    for secret in ("Authorization", "Basic", *AUTH[1:]):
        assert f">{secret}<" not in page
        assert f"{secret} " not in page.partition("<main")[2]
    track.identify("u1", **{f"a{number}": "x" * 500 for number in range(4)})
    assert "only the first 1,000 bytes" in html(track, "/requests/2")


def test_the_log_says_what_was_lost_and_why(track: Track) -> None:
    """By outcome, by person, and a batch with the rest of it."""
    track.identify("u1")
    track.merge({"id": "u1"}, {"id": "none"})
    track.put("/api/v1/customers/u1", {"plan": "x" * 1001})
    item = {"type": "person", "action": "identify", "identifiers": {"id": "u2"}}
    track.post("/api/v2/batch", {"batch": [item, {**item, "action": "event"}]})
    dropped = html(track, "/?outcome=dropped").partition("<tbody")[2]
    assert "the secondary (id none) does not exist" in dropped
    assert dropped.count("<tr") == 1
    assert html(track, "/?outcome=refused").partition("<tbody")[2].count("<tr") == 2
    cio_id = track.person(id="u2")["cio_id"]
    assert html(track, f"/?person={cio_id}").partition("<tbody")[2].count("<tr") == 1
    last = track.rows(limit="1")[0]["number"]
    assert (
        f'href="/requests/{last - 1}"'
        in html(track, f"/requests/{last}").partition("<h2>Other items of the batch")[2]
    )


def test_faults_are_announced(track: Track) -> None:
    """While they are on."""
    assert 'id="faults" hidden' in html(track, "/people")
    track.fault("429=1")
    track.put("/api/v1/customers/u1", {})
    page = html(track, "/people")
    assert 'id="faults" hidden' not in page
    assert "429=1" in page


def test_lists_are_paged(track: Track) -> None:
    """A page leads to the next, and every row is on one of them."""
    for number in range(120):
        track.event(f"u{number}", f"event {number}")
    for start in ("/", "/people", "/events"):
        path, rows = start, 0
        for _ in range(3):
            page = html(track, path)
            rows += page.count('class="row"')
            path = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
            path = path.replace("&amp;", "&")
        assert rows == 120, start
        assert 'rel="next"' not in page


def test_the_live_log_sends_what_is_new(track: Track) -> None:
    """Rows after the one the page knows, filtered, with the counters; and a reset."""
    track.identify("u1")
    with track.http.stream("GET", "/live?outcome=dropped") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        found = messages(stream.iter_lines())
        first = next(found)
        assert (first["reset"], first["shown"], first["rows"]) == (True, 0, "")
        track.merge({"id": "u1"}, {"id": "<b>"})
        while not first["shown"]:
            first = next(found)
        assert "the secondary (id &lt;b&gt;) does not exist" in str(first["rows"])
        assert first["frame"]["counters"]["requests"] == 2  # type: ignore[index]
        track.http.post("/sandbox/reset")
        assert next(found)["reset"]


def test_the_live_log_goes_on_where_it_broke_off(track: Track) -> None:
    """By the id of the last message; what is too much for one message is counted."""
    with track.http.stream("GET", "/live") as stream:
        last = next(line for line in stream.iter_lines() if line.startswith("id: "))
    for number in range(MAX_ROWS + 7):
        track.identify(f"u{number}")
    headers = {"last-event-id": last.removeprefix("id: ")}
    with track.http.stream("GET", "/live", headers=headers) as stream:
        message = next(messages(stream.iter_lines()))
    assert (message["shown"], message["skipped"], message["reset"]) == (MAX_ROWS, 7, False)


def test_a_reset_is_noticed_however_much_comes_after_it(track: Track) -> None:
    """Also by a page that was away meanwhile."""
    track.identify("u1")
    with track.http.stream("GET", "/live") as stream:
        last = next(line for line in stream.iter_lines() if line.startswith("id: "))
    track.http.post("/sandbox/reset")
    track.identify("u1")
    track.identify("u2")
    headers = {"last-event-id": last.removeprefix("id: ")}
    with track.http.stream("GET", "/live", headers=headers) as stream:
        message = next(messages(stream.iter_lines()))
    assert (message["reset"], message["shown"]) == (True, 2)


def test_viewers_are_bounded(track: Track) -> None:
    """One too many is told so; when one leaves there is room again."""
    with httpx.Client(base_url=track.url, limits=httpx.Limits(max_connections=None)) as http:
        streams = [
            http.send(http.build_request("GET", "/live"), stream=True) for _ in range(MAX_VIEWERS)
        ]
        assert http.get("/live").status_code == 503
        for stream in streams:
            stream.close()
        deadline = time.monotonic() + 10
        status = 503
        while status == 503 and time.monotonic() < deadline:
            with http.stream("GET", "/live") as again:
                status = again.status_code
        assert status == 200


def test_open_streams_do_not_hold_up_the_end() -> None:
    """A page that watches is let go when the sandbox stops."""
    with httpx.Client() as http:
        with running_sandbox() as running:
            request = http.build_request("GET", f"{running.url}/live")
            stream = http.send(request, stream=True)
            lines = stream.iter_lines()
            next(messages(lines))
            began = time.monotonic() - waited_s()
        assert list(messages(lines)) == []
        assert time.monotonic() - waited_s() - began < 1.5
        stream.close()


def test_a_full_workspace_stays_quick() -> None:
    """A thousand people and a hundred thousand events, requests as many."""
    with running_sandbox() as running, httpx.Client(base_url=running.url) as http:
        workspace = running.workspace
        people = [workspace.create_person(Identifier("id", f"u{n}")) for n in range(1000)]
        for number in range(100_000):
            person = people[number % 1000]
            person.attributes["last"] = f"event {number}"
            data = b'{"total": %d}' % number
            workspace.give(person, workspace.add_event(number, "event", f"e{number % 50}", data))
            workspace.log.next_request()
            workspace.log.add(
                applied(person.cio_id), at=0, method="POST", path="/", status=200, call="event"
            )
        cio_id = people[0].cio_id
        paths = ["/", "/?outcome=dropped", "/?before=50", f"/?person={cio_id}", "/people"]
        paths += ["/people?q=nobody", "/people?offset=950", f"/people/{cio_id}", "/requests/1"]
        paths += ["/events", "/events?name=none", "/events?before=50", "/events/50000", "/?id=u1"]
        for path in paths:
            began = time.monotonic() - waited_s()
            answer = http.get(path, follow_redirects=True)
            assert answer.status_code == 200, path
            assert time.monotonic() - waited_s() - began < QUICK_S, path
            assert len(answer.content) < 100_000, path
