"""Nothing secret or personal is in a log at any level, nor in metrics, whatever fails."""

import asyncio
import base64
import json
import logging
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.telemetry.logging import formatter, log_loop_exception
from grpc import aio

from tests.delivery.caller import put, track
from tests.fake_customerio import GONE, HOLD, Raw, Reply, fake_customerio
from tests.telemetry.support import delivering_server, exposition, log_of, stream_of

pytestmark = pytest.mark.serial

SITE, KEY, KEY_2 = "site-8f3a", "key-5d1c9b", "key-77aa01"
PERSONAL = ("person-4411", "someone@private.example", "+4915112345678", "secret-trait", "tag-9917")
AUTHORIZATION = base64.b64encode(f"{SITE}:{KEY}".encode()).decode()
SECRETS = (SITE, KEY, KEY_2, AUTHORIZATION, *PERSONAL, "/customers/person", "private.example")
_WORDS = " ".join((*PERSONAL, KEY, AUTHORIZATION))
ERROR = json.dumps(
    {"errors": [{"batch_index": 0, "reason": _WORDS, "field": PERSONAL[1], "message": _WORDS}]}
).encode()
FAULTS: dict[str, Any] = {
    "refused": Reply(400, ERROR),
    "credentials": Reply(401, ERROR),
    "throttled": Reply(429, ERROR),
    "paused": Reply(429, ERROR, {"Retry-After": "1"}),
    "failing": Reply(503, ERROR),
    "partly": Reply(207, ERROR),
    "unreadable": Reply(200, _WORDS.encode()),
    "elsewhere": Reply(302, ERROR, {"Location": f"https://{PERSONAL[1]}/{_WORDS}"}),
    "gone": GONE,
    "no http": Raw(_WORDS.encode() + b"\r\n\r\n"),
    "hanging": HOLD,
}


def _config(key: str, version: str) -> bytes:
    return json.dumps({"siteID": SITE, "apiKey": key, "apiVersion": version}).encode()


def _items(name: str) -> Iterator[dict[str, Any] | v1.BatchItem]:
    traits = {"email": PERSONAL[1], "phone": PERSONAL[2], "x": PERSONAL[3], "created_at": _WORDS}
    yield {"type": "identify", "userId": f"{PERSONAL[0]}-{name}", "traits": traits}
    event = track(f"{PERSONAL[3]} {name}", PERSONAL[0], properties={"email": PERSONAL[1]})
    yield v1.BatchItem(json=json.dumps(event).encode(), tag=PERSONAL[4].encode())
    yield v1.BatchItem(json=_WORDS.encode(), tag=PERSONAL[4].encode())
    yield {"type": _WORDS, "userId": PERSONAL[0]}
    yield v1.BatchItem(prepared=put(f"https://{PERSONAL[1]}/{PERSONAL[0]}"))


@pytest.mark.parametrize("arguments", [(), ("--http2",)], ids=["http1", "http2"])
async def test_no_line_and_no_metric_quotes_them(arguments: tuple[str, ...]) -> None:
    """Every fault of Customer.io, of events, of calls and of bytes, with the log at debug."""
    async with fake_customerio() as customerio:
        flags = ("--log-level", "debug", "--request-timeout-s", "0.3", *arguments)
        async with delivering_server(customerio.url, *flags) as running:
            configs = [(f"ref-{version}", _config(KEY, version)) for version in ("v1", "v2")]
            async with stream_of(running, *configs, ("bad", b'{"siteID": "site-8f3a"}')) as one:
                for batch_id, (name, answer) in enumerate(FAULTS.items(), 1):
                    customerio.rule = _always(answer)
                    for number in (1, 2, 3):
                        await one.send(
                            10 * batch_id + number, *_items(name), timeout_s=0.4, number=number
                        )
                        await one.told_all(10 * batch_id + number)
            await _bad_calls(running)
            metrics, _ = await exposition(running)
            await asyncio.to_thread(_ask_admin, running.admin)
            lines = await log_of(running)
    assert len(lines) > 10
    said = [json.dumps(line, ensure_ascii=False) for line in lines] + metrics.splitlines()
    assert [text for text in said if any(secret in text for secret in SECRETS)] == []


def _always(answer: Any) -> Any:
    return lambda _request: answer


async def _bad_calls(running: Any) -> None:
    """Calls that break the protocol, bytes that are no protobuf, and a check of wrong credentials."""

    async with aio.insecure_channel(running.addresses[0]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        check = v1.CheckDestinationRequest(
            destination=v1.Destination(reference_id=1, config_json=_config(KEY_2, _WORDS)),
            probe=True,
        )
        await stub.CheckDestination(check, timeout=10)
        for method in ("Transform", "TransformStream"):
            call: Any = channel.unary_unary(f"/ciosidecar.v1.SidecarService/{method}")
            with pytest.raises(aio.AioRpcError):
                await call(_WORDS.encode(), timeout=10)
        with pytest.raises(aio.AioRpcError):
            await stub.Transform(v1.TransformRequest(), timeout=10)
    host, port = running.addresses[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET /{_WORDS} HTTP/1.1\r\nAuthorization: {KEY}\r\n\r\n".encode())
        connection.recv(1)


def _ask_admin(url: str) -> None:
    request = urllib.request.Request(f"{url}/{PERSONAL[0]}", headers={"Cookie": KEY})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_librarys_line_loses_its_texts(log_format: str) -> None:
    """Numbers and the words of its author stay; arguments, exceptions and traces do not."""
    try:
        raise ValueError(PERSONAL[1])
    except ValueError as fault:
        record = logging.LogRecord(
            "aiohttp.client",
            logging.ERROR,
            __file__,
            1,
            "%s failed after %d attempts",
            (PERSONAL[0], 3),
            (ValueError, fault, fault.__traceback__),
        )
    line = formatter(log_format).format(record)
    assert "<str> failed after 3 attempts" in line
    assert "ValueError" in line
    assert "test_log_secrets.py" in line
    assert not any(secret in line for secret in SECRETS)


def test_a_fault_of_a_task_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio itself would quote the exception and the coroutine's arguments."""

    async def failing(_text: str) -> None:
        raise ValueError(PERSONAL[1])

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(log_loop_exception)
        task = asyncio.create_task(failing(PERSONAL[0]))
        await asyncio.wait((task,))
        del task

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert "ValueError" in caplog.text
    assert "test_log_secrets.py" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)
