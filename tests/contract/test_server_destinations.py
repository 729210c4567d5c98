"""Destinations that the server knows: callers name them by ref and never hold their keys."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import batch, opened, results_of
from tests.fake_customerio import fake_customerio
from tests.processes import Server, run, server

WITHIN_S = 20
TRACK = b'{"type":"track","userId":"u1","event":"Order","messageId":"m1"}'
SHOP = '[destinations.shop]\nsiteID = "site"\napiKey = "a-secret-key"\n'
NAMED = v1.Destination(reference_id=1, destination_ref="shop")


def authorization(site_id: str, api_key: str) -> str:
    return "Basic " + base64.b64encode(f"{site_id}:{api_key}".encode()).decode()


def write(path: Path, text: str) -> Path:
    """Replace a file as a careful writer does: readers see the old one or the new one."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    return path


@asynccontextmanager
async def serving(*flags: str, **variables: str) -> AsyncIterator[tuple[Any, Server]]:
    """A server process, and a stub of it."""
    arguments = ("--listen", "127.0.0.1:0", "--admin-listen", "none", *flags)
    with server(*arguments, env=os.environ | variables) as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            yield v1.SidecarServiceStub(channel), running


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds. The server looks at its files every second."""
    async with asyncio.timeout(WITHIN_S):
        while not await condition():  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(0.05)


async def transformed(stub: Any, declared: v1.Destination, event: bytes = TRACK) -> v1.Results:
    """The results of one event."""
    request = v1.TransformRequest(destinations=[declared], batch=batch(event))
    answer: Any = await stub.Transform(request, timeout=WITHIN_S)
    results: v1.Results = answer.results
    return results


async def keys_used(stub: Any, declared: v1.Destination = NAMED) -> str:
    """The Authorization header of the event's request; "" if there is no request."""
    templates = (await transformed(stub, declared)).templates
    return templates[0].headers["Authorization"] if templates else ""


async def checked(stub: Any, declared: v1.Destination) -> v1.CheckDestinationResponse:
    request = v1.CheckDestinationRequest(destination=declared)
    answer: v1.CheckDestinationResponse = await stub.CheckDestination(request, timeout=WITHIN_S)
    return answer


async def test_a_ref_alone_delivers_with_the_servers_keys(tmp_path: Path) -> None:
    """Values come from the environment and from files, relative to the file that names them."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("a-secret-key\n")
    text = """
        [destinations."shop:eu"]
        siteID = "env:SHOP_SITE"
        apiKey = "file:secrets/key"
        datacenter = "EU"
        apiVersion = "v2"
    """
    file = write(tmp_path / "destinations.toml", text)
    declared = v1.Destination(reference_id=1, destination_ref="shop:eu")
    async with fake_customerio() as customerio:
        flags = ("--destinations", str(file), "--customerio-url", customerio.url)
        async with serving(*flags, SHOP_SITE="site") as (stub, _):
            call, answer = await opened(
                stub, destinations=[declared], delivery=v1.DeliveryOptions()
            )
            assert not answer.problems
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
            (results,) = await results_of(call)
            assert list(results.statuses) == [200]
            call.cancel()
    (request,) = customerio.requests
    assert request.headers["authorization"] == authorization("site", "a-secret-key")
    assert request.path == "/api/v2/batch"


async def test_the_file_may_be_json(tmp_path: Path) -> None:
    """As a dashboard's config is."""
    content = {"destinations": {"shop": {"siteID": "site", "apiKey": "key"}}}
    file = write(tmp_path / "destinations", json.dumps(content))
    async with serving("--destinations", str(file)) as (stub, _):
        assert await keys_used(stub) == authorization("site", "key")


@pytest.mark.parametrize("with_file", [True, False], ids=["another", "no file"])
async def test_an_unknown_ref_concerns_its_destination_alone(
    tmp_path: Path, with_file: bool
) -> None:
    """A fatal problem, and INVALID_DESTINATION for its events; the others go on."""
    flags = ("--destinations", str(write(tmp_path / "d.toml", SHOP))) if with_file else ()
    unknown = v1.Destination(reference_id=2, destination_ref="shopp")
    good = v1.Destination(reference_id=1, config_json=b'{"siteID": "site", "apiKey": "key"}')
    async with serving(*flags) as (stub, _):
        call, answer = await opened(stub, destinations=[unknown, good])
        (problem,) = answer.problems
        assert (problem.destination, problem.key, problem.fatal) == (2, "destination_ref", True)
        events = v1.Batch(
            batch_id=1,
            items=[
                v1.BatchItem(json=TRACK, destination=2),
                v1.BatchItem(json=TRACK, destination=1),
            ],
        )
        await call.write(v1.TransformStreamRequest(batch=events))
        (results,) = await results_of(call)
        assert list(results.statuses) == [400, 200]
        error = results.details[0].error
        assert error.code == v1.ErrorCode.ERROR_CODE_INVALID_DESTINATION
        assert error.type == v1.ErrorType.ERROR_TYPE_CONFIGURATION
        assert error.message.startswith("destination_ref names no destination of this server")
        call.cancel()
        check = await checked(stub, unknown)
        assert (check.usable, [one.key for one in check.problems]) == (False, ["destination_ref"])


async def test_a_callers_settings_win_over_the_ref(tmp_path: Path) -> None:
    """With settings, a ref is a name only, whether the server knows it or not."""
    file = write(tmp_path / "d.toml", SHOP)
    declared = v1.Destination(
        reference_id=1, destination_ref="shop", config_json=b'{"siteID": "a", "apiKey": "b"}'
    )
    async with serving("--destinations", str(file)) as (stub, _):
        assert await keys_used(stub, declared) == authorization("a", "b")


@pytest.mark.parametrize("how", ["change", "SIGHUP", "secret"])
async def test_an_open_stream_uses_new_settings_for_later_batches(tmp_path: Path, how: str) -> None:
    """Without a new declaration: the file is read again after a change, or on SIGHUP."""
    secret = write(tmp_path / "key", "old")
    text = '[destinations.shop]\nsiteID = "site"\napiKey = "file:key"\n'
    file = write(tmp_path / "d.toml", text)
    async with serving("--destinations", str(file)) as (stub, running):
        call, _ = await opened(stub, destinations=[NAMED])

        async def key_of_batch(batch_id: int) -> str:
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=batch_id)))
            (results,) = await results_of(call, batch_id)
            return str(results.templates[0].headers["Authorization"])

        assert await key_of_batch(1) == authorization("site", "old")
        if how == "secret":
            write(secret, "s3cret")
        else:
            write(file, text.replace("file:key", "s3cret"))
        if how == "SIGHUP":
            running.signal(signal.SIGHUP)
        await eventually(lambda: _same(keys_used(stub), authorization("site", "s3cret")))
        assert await key_of_batch(2) == authorization("site", "s3cret")
        call.cancel()
        running.signal(signal.SIGTERM)
        code, errors = await asyncio.to_thread(running.end)
    assert code == 0
    assert "s3cret" not in errors


async def _same(answer: Awaitable[str], expected: str) -> bool:
    return await answer == expected


async def test_a_removed_destination_is_unknown_and_comes_back(tmp_path: Path) -> None:
    """Its events are refused meanwhile, on streams that declared it before too."""
    file = write(tmp_path / "d.toml", SHOP)
    async with serving("--destinations", str(file)) as (stub, _):
        assert await keys_used(stub)
        write(file, SHOP.replace("shop", "other"))
        await eventually(lambda: _same(keys_used(stub), ""))
        write(file, SHOP)
        await eventually(lambda: _same(keys_used(stub), authorization("site", "a-secret-key")))


BROKEN = {
    "no TOML": '[destinations.shop]\napiKey = "a-secret-key',
    "unusable": '[destinations.shop]\nsiteID = "site"\n[destinations.new]\nsiteID = "s3cret"\n',
    "no file": '[destinations.shop]\nsiteID = "site"\napiKey = "file:gone"\n',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_a_broken_file_leaves_the_last_good_one(tmp_path: Path, text: str) -> None:
    """It says so once, without a secret; what is mended later is taken."""
    file = write(tmp_path / "d.toml", SHOP)
    async with serving("--destinations", str(file)) as (stub, running):
        write(file, text)

        async def refused() -> bool:
            return "stay as they were" in running.errors()

        await eventually(refused)
        assert await keys_used(stub) == authorization("site", "a-secret-key")
        write(file, SHOP.replace("a-secret-key", "mended"))
        await eventually(lambda: _same(keys_used(stub), authorization("site", "mended")))
        errors = running.errors()
    assert errors.count("stay as they were") == 1
    assert str(file) in errors
    assert "secret" not in errors
    assert "s3cret" not in errors


async def test_a_missing_secret_is_taken_once_it_is_there(tmp_path: Path) -> None:
    """The file that a broken reload asked for is watched too."""
    file = write(tmp_path / "d.toml", SHOP)
    async with serving("--destinations", str(file)) as (stub, running):
        write(file, SHOP.replace("a-secret-key", "file:later"))

        async def refused() -> bool:
            return "later" in running.errors()

        await eventually(refused)
        write(tmp_path / "later", "new\n")
        await eventually(lambda: _same(keys_used(stub), authorization("site", "new")))


WRONG_AT_START = {
    "missing file": (None, "cannot read"),
    "no TOML": ('[destinations.shop]\napiKey = s3cret"', "is not TOML: (at line 2, column 10)"),
    "no JSON": ('{"destinations": {"shop": {"apiKey": "s3cret}}}', "is not JSON: "),
    "twice": ('{"destinations": {"shop": {}, "shop": {}}}', "shop is there twice"),
    "other table": ("[destination.shop]\n", 'destination is no table of this file: it has "dest'),
    "no table": ('destinations = "s3cret"', "destinations must be a table"),
    "no settings": ('destinations.shop = "s3cret"', "destinations.shop must be a table"),
    "blank name": ('[destinations." "]\n', "needs a name"),
    "no key": ('[destinations.shop]\nsiteID = "site"', "destinations.shop: apiKey is missing"),
    "variable": (
        SHOP.replace("a-secret-key", "env:NO_SUCH_KEY"),
        "apiKey is in the environment variable NO_SUCH_KEY, which is not set",
    ),
    "no variable": (SHOP.replace("a-secret-key", "env:s3cret!"), "names no environment variable"),
    "secret": (SHOP.replace("a-secret-key", "file:gone"), "/gone, which cannot be read: No such"),
    "no secret": (SHOP.replace("a-secret-key", "file:"), "names no file after file:"),
    "directory": (SHOP.replace("a-secret-key", "file:."), "which cannot be read: Is a directory"),
    "null byte": (SHOP.replace("a-secret-key", "file:a\\u0000"), "names no file after file:"),
    "surrogate": (
        '{"destinations": {"shop": {"apiKey": "\\ud83d"}}}',
        "a value that JSON in UTF-8 cannot hold",
    ),
    "choice": (f'{SHOP}apiVersion = "s3cret"', 'apiVersion must be "v1" or "v2"'),
    "deliver_only": (f'{SHOP}deliver_only = "s3cret"', "deliver_only must be true or false"),
}


@pytest.mark.parametrize(("text", "reason"), WRONG_AT_START.values(), ids=WRONG_AT_START)
def test_a_broken_file_is_an_error(tmp_path: Path, text: str | None, reason: str) -> None:
    """Exit code 2; file and place are named, values never."""
    path = tmp_path / "destinations.toml"
    if text is not None:
        path.write_text(text)
    failed = run("serve", "--check", "--destinations", str(path))
    assert (failed.returncode, failed.stdout) == (2, b"")
    words = failed.stderr.decode()
    assert str(path) in words
    assert reason in words
    assert "s3cret" not in words
    assert "Traceback" not in words


def test_serve_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    """The same words and code as --check."""
    path = write(tmp_path / "d.toml", "[destinations.shop]\n")
    failed = run("serve", "--listen", "127.0.0.1:0", "--destinations", str(path))
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert b"destinations.shop: siteID is missing" in failed.stderr


def test_many_problems_are_bounded(tmp_path: Path) -> None:
    """Ten are listed."""
    tables = "".join(f"[destinations.d{number}]\nsiteID = 's'\n" for number in range(50))
    path = write(tmp_path / "d.toml", tables)
    failed = run("serve", "--check", "--destinations", str(path))
    assert failed.stderr.count(b"apiKey is missing") == 10
    assert b"and 40 more" in failed.stderr


async def test_deliver_only_keeps_the_keys_from_callers(tmp_path: Path) -> None:
    """Calls without delivery are refused, and requests in results have no Authorization."""
    file = write(tmp_path / "d.toml", f"{SHOP}deliver_only = true\n")
    async with fake_customerio() as customerio:
        flags = ("--destinations", str(file), "--customerio-url", customerio.url)
        async with serving(*flags, "--log-level", "debug") as (stub, running):
            results = await transformed(stub, NAMED)
            assert list(results.statuses) == [400]
            assert "deliver_only" in results.details[0].error.message
            call, answer = await opened(stub, destinations=[NAMED])
            assert [problem.key for problem in answer.problems] == ["destination_ref"]
            call.cancel()
            assert (await checked(stub, NAMED)).usable
            request = v1.DeliverRequest(
                destinations=[NAMED],
                batch=batch(TRACK),
                delivery=v1.DeliveryOptions(
                    include_requests=True, detail_level=v1.DetailLevel.DETAIL_LEVEL_ALL
                ),
            )
            delivered: Any = await stub.Deliver(request, timeout=WITHIN_S)
            assert list(delivered.results.statuses) == [200]
            (template,) = delivered.results.templates
            assert dict(template.headers) == {"Content-Type": "application/json"}
            assert len(delivered.results.requests) == 1
            call, _ = await opened(
                stub,
                destinations=[NAMED],
                delivery=v1.DeliveryOptions(include_requests=True),
            )
            await call.write(v1.TransformStreamRequest(batch=batch(TRACK)))
            (streamed,) = await results_of(call)
            assert [dict(one.headers) for one in streamed.templates] == [
                {"Content-Type": "application/json"}
            ]
            call.cancel()
            errors = running.errors()
    secret = authorization("site", "a-secret-key")
    assert [request.headers["authorization"] for request in customerio.requests] == [secret] * 2
    for said in (results, delivered, streamed):
        assert secret.removeprefix("Basic ") not in str(said)
    assert "a-secret-key" not in errors
    assert secret.removeprefix("Basic ") not in errors


async def test_without_deliver_only_a_caller_gets_requests_that_work(tmp_path: Path) -> None:
    """Whoever may transform gets the Authorization with them: that is what the requests are for."""
    file = write(tmp_path / "d.toml", SHOP)
    async with fake_customerio() as customerio:
        flags = ("--destinations", str(file), "--customerio-url", customerio.url)
        async with serving(*flags) as (stub, _):
            request = v1.DeliverRequest(
                destinations=[NAMED],
                batch=batch(TRACK),
                delivery=v1.DeliveryOptions(include_requests=True),
            )
            answer: Any = await stub.Deliver(request, timeout=WITHIN_S)
    assert "Authorization" in answer.results.templates[0].headers


async def test_keys_that_are_no_settings_are_told_by_a_check(tmp_path: Path) -> None:
    """As those of config_json."""
    file = write(tmp_path / "d.toml", f'{SHOP}apiversion = "v2"\ndeliver_only = true\n')
    async with serving("--destinations", str(file)) as (stub, _):
        answer = await checked(stub, NAMED)
    assert answer.usable
    ((key, message),) = [(problem.key, problem.message) for problem in answer.problems]
    assert key == "apiversion"
    assert message.endswith("did you mean apiVersion?")


def typing_mistakes(count: int) -> str:
    """Destinations of which each has a key that is no setting."""
    credentials = 'siteID = "site"\napiKey = "a-secret-key"\n'
    return "".join(
        f'[destinations.shop{number}]\n{credentials}datacentre = "s3cret"\n'
        for number in range(count)
    )


UNREAD = "datacentre is no setting, and is ignored (rule 11.1): did you mean datacenter?"


async def test_keys_that_are_no_settings_are_logged(tmp_path: Path) -> None:
    """At the start and after each change, at most 20 of them, without the values."""
    file = write(tmp_path / "d.toml", typing_mistakes(1))
    async with serving("--destinations", str(file)) as (_, running):

        async def logged() -> bool:
            return UNREAD in running.errors()

        await eventually(logged)
        (line,) = [line for line in running.errors().splitlines() if "datacentre" in line]
        assert f"destinations.shop0: {UNREAD}" in line
        assert "warning" in line.lower()
        write(file, typing_mistakes(23))

        async def counted() -> bool:
            return "3 more notes about destinations" in running.errors()

        await eventually(counted)
        errors = running.errors()
    assert errors.count(UNREAD) == 1 + 20
    assert "s3cret" not in errors


def test_check_tells_keys_that_are_no_settings(tmp_path: Path) -> None:
    """The sidecar would start, so the exit code is 0."""
    file = str(write(tmp_path / "d.toml", typing_mistakes(22)))
    done = run("serve", "--check", "--destinations", file)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert lines[0] == f"ciosidecar: destinations.shop0: {UNREAD}"
    assert lines[20].startswith("ciosidecar: 2 more notes about destinations")
    done = run("serve", "--check", "--json", "--destinations", file)
    answer = json.loads(done.stdout)
    assert (done.returncode, len(answer["notes"]), answer["more_notes"]) == (0, 20, 2)
    note = {"ref": "shop0", "key": "datacentre"}
    assert answer["notes"][0] == note | {"message": UNREAD.removeprefix("datacentre ")}
    assert b"s3cret" not in done.stdout + done.stderr


def test_a_note_stays_in_its_line(tmp_path: Path) -> None:
    """Whatever characters the key has."""
    file = write(tmp_path / "d.toml", f'{SHOP}"a\\nb\\u001b" = 1\n')
    done = run("serve", "--check", "--destinations", str(file))
    (line,) = done.stderr.decode().splitlines()
    assert r"'a\nb\x1b' is no setting" in line


async def test_defaults_hold_where_a_destination_says_nothing(tmp_path: Path) -> None:
    """For destinations of callers, in either form, and of the file."""
    defaults = write(tmp_path / "defaults.toml", 'apiVersion = "v2"\neventIds = "none"\n')
    text = f'{SHOP}[destinations.old]\nsiteID = "site"\napiKey = "key"\napiVersion = "v1"\n'
    file = write(tmp_path / "d.toml", text)
    credentials = {"siteID": "site", "apiKey": "key"}
    own = json.dumps(credentials | {"apiVersion": "v1"}).encode()
    destinations = {
        "file": (NAMED, "v2/batch"),
        "file's own": (
            v1.Destination(reference_id=1, destination_ref="old"),
            "v1/customers/events",
        ),
        "json": (
            v1.Destination(reference_id=1, config_json=json.dumps(credentials).encode()),
            "v2/batch",
        ),
        "json's own": (v1.Destination(reference_id=1, config_json=own), "v1/customers/events"),
        "typed": (
            v1.Destination(
                reference_id=1, typed=v1.DestinationSettings(site_id="site", api_key="key")
            ),
            "v2/batch",
        ),
    }
    flags = ("--destinations", str(file), "--destination-defaults", str(defaults))
    async with serving(*flags) as (stub, _):
        for name, (declared, endpoint_path) in destinations.items():
            results = await transformed(stub, declared)
            assert results.templates[0].endpoint_path == endpoint_path, name
            assert b'"id":"0' not in results.requests[0].body, name
            assert not (await checked(stub, declared)).problems, name


async def test_defaults_are_read_again_too(tmp_path: Path) -> None:
    """For declarations that arrive afterwards."""
    defaults = write(tmp_path / "defaults.json", "{}")
    declared = v1.Destination(reference_id=1, config_json=b'{"siteID": "s", "apiKey": "k"}')
    async with serving("--destination-defaults", str(defaults)) as (stub, _):

        async def is_v2() -> bool:
            return (await transformed(stub, declared)).templates[0].endpoint_path == "v2/batch"

        assert not await is_v2()
        write(defaults, '{"apiVersion": "v2"}')
        await eventually(is_v2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            'apiversion = "v2"',
            "apiversion is no setting of a destination: did you mean apiVersion?",
        ),
        ('color = "s3cret"', "color is no setting of a destination"),
        ('eventFilteringOption = "disable"', "eventFilteringOption is no setting"),
        ('apiKey = "s3cret"', "apiKey is a credential, which has no default"),
        ('siteId = "s3cret"', "siteId is a credential, which has no default"),
        ('apiVersion = "s3cret"', 'apiVersion must be "v1" or "v2"'),
        ("phoneAsIdentifier = true", 'phoneAsIdentifier needs apiVersion "v2"'),
        ("{", "is not JSON"),
    ],
)
def test_wrong_defaults_are_an_error(tmp_path: Path, text: str, reason: str) -> None:
    """Exit code 2, by key and never by value."""
    path = write(tmp_path / "defaults.toml", text)
    failed = run("serve", "--listen", "127.0.0.1:0", "--destination-defaults", str(path))
    assert (failed.returncode, failed.stdout) == (2, b"")
    words = failed.stderr.decode()
    assert str(path) in words
    assert reason in words
    assert "s3cret" not in words


async def test_sighup_without_files_is_no_end(tmp_path: Path) -> None:
    """The signal means reading again; its default would end the process."""
    del tmp_path
    async with serving() as (stub, running):
        running.signal(signal.SIGHUP)
        await stub.GetCapabilities(v1.GetCapabilitiesRequest(), timeout=WITHIN_S)
        running.signal(signal.SIGTERM)
        assert (await asyncio.to_thread(running.end))[0] == 0
