"""The time limit of a request counts the time that its client takes, and no delay of the sandbox."""

import socket

import pytest
from ciosidecar_sandbox import connection
from ciosidecar_sandbox.testing import running_sandbox

WITHIN_S = 0.5
DELAYED = "slow=1:1200ms"
HEAD = (
    b"POST /api/v2/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YTpi\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
IDENTIFY = b'{"type":"person","action":"identify","identifiers":{"id":"u"},"attributes":{"a":"%s"}}'
SMALL = b'{"batch":[%s]}' % (IDENTIFY % b"1")
# More than a socket and the sandbox read at once: the rest comes when the first request is answered.
LARGE = b'{"batch":[%s]}' % b",".join([IDENTIFY % (b"1" * 900)] * 400)


def spoken(url: str, said: bytes) -> bytes:
    """All that the sandbox answers until it closes the connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    answered = b""
    with socket.create_connection((host, int(port)), timeout=20) as peer:
        peer.sendall(said)
        while chunk := peer.recv(65_536):
            answered += chunk
            if answered.count(b"HTTP/1.1 200") == 3:
                break
    return answered


def test_a_pipelined_request_has_its_time_after_the_earlier_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of three is delayed for longer than the limit, and all are answered."""
    monkeypatch.setattr(connection, "REQUEST_WITHIN_S", WITHIN_S)
    with running_sandbox(fault=DELAYED) as sandbox:
        large = HEAD % len(LARGE) + LARGE
        answered = spoken(sandbox.url, HEAD % len(SMALL) + SMALL + large + large)
    assert answered.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("half", [HEAD[:40], HEAD % 100 + b"{"], ids=["head", "body"])
def test_half_a_pipelined_request_has_no_more_than_its_time(
    half: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is answered; then the rest of the second one is due."""
    monkeypatch.setattr(connection, "REQUEST_WITHIN_S", WITHIN_S)
    with running_sandbox(fault=DELAYED) as sandbox:
        answered = spoken(sandbox.url, HEAD % len(SMALL) + SMALL + half)
    assert answered.count(b"HTTP/1.1 200") == 1
