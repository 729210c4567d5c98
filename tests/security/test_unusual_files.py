"""Files that are no plain text of a few lines: each is refused with the reason, and none stops the server."""

import os
from pathlib import Path

import pytest

from tests.processes import run, server
from tests.security.watching import log_of, wait_for_log

TOKEN = "a-token-of-24-characters"
SHOP = '[destinations.shop]\nsiteID = "site"\napiKey = "a-secret-key"\n'
BOM = b"\xef\xbb\xbf"
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
