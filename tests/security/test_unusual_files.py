"""Files that are no plain text of a few lines: each is refused with the reason, and none stops the server."""

import base64
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.processes import COMMAND, TIMEOUT_S, run, server
from tests.security.pem import Files
from tests.security.watching import log_of, wait_for_log, wait_until

TOKEN = "a-token-of-24-characters"
SHOP = '[destinations.shop]\nsiteID = "site"\napiKey = "a-secret-key"\n'
BOM = b"\xef\xbb\xbf"
# id-ecPublicKey, as DER has it
ID_OF_KEY = bytes.fromhex("2a8648ce3d0201")
READ_AGAIN = ("--auth-token-file", "--tls-cert", "--destinations", "--destination-defaults")


def checked(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of serve --check."""
    answer = run("serve", "--check", *arguments)
    return answer.returncode, " ".join(answer.stderr.decode().replace("│", " ").split())


@pytest.mark.parametrize("flag", READ_AGAIN)
def test_a_file_that_cannot_be_read_again_is_refused(flag: str, tmp_path: Path) -> None:
    """A named pipe would keep the start waiting, and later the whole server."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    key = ("--tls-key", str(pipe)) if flag == "--tls-cert" else ()

    code, errors = checked(flag, str(pipe), *key)

    assert code == 2, errors
    assert f"{pipe}: it is no regular file" in errors


def test_a_value_is_not_read_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    file = tmp_path / "destinations.toml"
    file.write_text(SHOP.replace("a-secret-key", "file:key"))

    code, errors = checked("--destinations", str(file))

    assert code == 2, errors
    assert "apiKey is in the file" in errors
    assert "it is no regular file" in errors


async def test_a_pipe_in_the_place_of_the_tokens_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(TOKEN)
    os.mkfifo(tmp_path / "pipe")
    with server("--listen", "127.0.0.1:0", "--auth-token-file", str(file)) as running:
        (tmp_path / "pipe").replace(file)
        await wait_for_log(running, "the tokens changed and cannot be used")
        assert "it is no regular file" in log_of(running)
        running.process.terminate()
        assert running.end()[0] == 0


@pytest.mark.parametrize(
    "number", ["[" * 3_000 + "]" * 3_000, "1" * 5_000], ids=["too deep", "too long a number"]
)
@pytest.mark.parametrize(
    ("flag", "before", "after"),
    [
        ("--settings", "workers = ", ""),
        ("--destinations", "[destinations.shop]\nsiteID = ", ""),
        ("--destinations", '{"destinations": {"shop": {"siteID": ', "}}}"),
        ("--destination-defaults", "apiVersion = ", ""),
    ],
)
def test_what_the_parser_cannot_take_is_a_sentence(
    flag: str, before: str, after: str, number: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text(before + number + after)

    code, errors = checked(flag, str(file))

    assert code == 2, errors
    assert "Traceback" not in errors
    assert "nested too deeply" in errors or "a number with too many digits" in errors


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--settings", "workers = 1\n"),
        ("--destinations", SHOP),
        ("--destinations", '{"destinations": {}}'),
        ("--destination-defaults", 'apiVersion = "v2"\n'),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_text(flag: str, text: str, tmp_path: Path) -> None:
    """Editors of Windows write one."""
    file = tmp_path / "file"
    file.write_bytes(BOM + text.replace("\n", "\r\n").encode())

    code, errors = checked(flag, str(file))

    assert (code, errors) == (0, "")


@pytest.mark.parametrize("flag", [*READ_AGAIN[2:], "--tls-cert"])
def test_a_name_with_a_null_byte_is_a_sentence(flag: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    name = flag.removeprefix("--").replace("-", "_")
    file.write_text(f'{name} = "a\\u0000b"\ntls_key = "key"\n')

    code, errors = checked("--settings", str(file))

    assert code == 2, errors
    assert "Traceback" not in errors


def test_an_address_that_is_no_utf8_is_shown(tmp_path: Path) -> None:
    """A unix path may have any bytes; the answer is UTF-8."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.sock")

    for json in ((), ("--json",)):
        code, errors = checked("--listen", f"unix:{path}", *json)
        assert "Traceback" not in errors
        assert code == 0, errors


@pytest.mark.parametrize("content", ["", " \r\n"])
def test_an_empty_file_of_destinations_is_refused(content: str, tmp_path: Path) -> None:
    """A full disk leaves one: read again, it would remove every destination."""
    file = tmp_path / "file"
    file.write_text(content)
    for flag in ("--destinations", "--destination-defaults"):
        code, errors = checked(flag, str(file))
        assert code == 2, errors
        assert f"{file} is empty" in errors
    file.write_text("# none yet\n")
    assert checked("--destinations", str(file)) == (0, "")


async def test_a_key_of_an_unknown_kind_breaks_neither_the_start_nor_the_watch(
    tmp_path: Path,
) -> None:
    files = Files(tmp_path).write(trustme.CA().issue_cert("localhost"))
    good = files.cert.read_bytes()
    unknown = x509.load_pem_x509_certificate(good).public_bytes(Encoding.DER)
    assert unknown.count(ID_OF_KEY) == 1
    text = base64.b64encode(unknown.replace(ID_OF_KEY, ID_OF_KEY[:-1] + b"\x63"))
    bad = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % text
    with server("--listen", "127.0.0.1:0", *files.flags) as running:
        files.cert.write_bytes(bad)
        await wait_for_log(running, "the TLS files changed and cannot be used")
        files.cert.write_bytes(good)
        await wait_for_log(running, "the TLS files were read again")
    files.cert.write_bytes(bad)
    code, errors = checked(*files.flags)
    assert code == 2, errors
    assert "does not match --tls-cert" in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--listen", "127.0.0.1:7", "--admin-listen", "127.0.0.1:7"), "are both 127.0.0.1:7"),
        (
            ("--workers", "2", "--listen", "127.0.0.1:7", "--admin-listen", "127.0.0.1:8"),
            "127.0.0.1:8 would be the address of worker 2 and of the admin port",
        ),
        (("--workers", "2", "--listen", "127.0.0.1:65535"), "worker 2 would need port 65536"),
        (("--workers", "10", "--listen", f"unix:/{'a' * 105}"), "107 at most"),
    ],
)
def test_check_knows_the_addresses_of_all_workers(arguments: tuple[str, ...], says: str) -> None:
    code, errors = checked(*arguments)
    assert code == 2, errors
    assert says in errors


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_does_not_end_a_server_that_starts(workers: str, tmp_path: Path) -> None:
    """It asks for files to be read again, which a server that starts does anyway."""
    pipe = tmp_path / "settings.toml"
    os.mkfifo(pipe)
    words = ("--workers", workers, "--listen", "127.0.0.1:0", "--settings", str(pipe))
    with subprocess.Popen([*COMMAND, "serve", *words], stdout=subprocess.PIPE) as started:
        try:
            pipe.write_text("")  # it has begun to read its settings
            wait_until(lambda: ignores_hangup(started.pid))
            assert started.stdout is not None
            for _ in range(20):
                started.send_signal(signal.SIGHUP)
            assert b'"ready":true' in started.stdout.readline()
            started.terminate()
            assert started.wait(TIMEOUT_S) == 0
        finally:
            started.kill()


def ignores_hangup(pid: int) -> bool:
    """Return whether a process ignores or handles SIGHUP."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Ign|Cgt):\t([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) & 1 for mask in masks)
