"""Bearer tokens of callers, from a file that may change."""

import hashlib
import hmac
import re
from pathlib import Path

from .addresses import CannotListen
from .regular_files import read_flag_file

_FLAG = "--auth-token-file"
MIN_CHARACTERS = 16
# What a header may carry, without blanks (RFC 6750).
_TOKEN = re.compile(rb"[!-~]+")


class Tokens:
    """The tokens of one reading of the file. Only their digests are kept."""

    def __init__(self, tokens: list[bytes]) -> None:
        self._digests = [hashlib.sha256(token).digest() for token in tokens]

    def __len__(self) -> int:
        return len(self._digests)

    def accept(self, token: bytes) -> bool:
        """Return True if a token is one of these. The time it takes does not depend on the token."""
        digest = hashlib.sha256(token).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)


def read_tokens(path: Path) -> Tokens:
    """Read a file of tokens, one a line. Blank lines and lines that begin with # are no tokens.

    Raises:
        CannotListen: The file cannot be used. The text quotes no token.
    """
    tokens = _numbered_tokens(_FLAG, path)
    for number, token in tokens:
        _check(token, f"{_FLAG} {path}, line {number}")
    if not tokens:
        raise CannotListen(
            f"{_FLAG} {path} holds no token: write one a line; `openssl rand -hex 32` makes one"
        )
    return Tokens([token for _, token in tokens])


def read_first_token(flag: str, path: Path) -> str:
    """Return the token that a caller presents: the first one of a file, of any length.

    Raises:
        CannotListen: The file cannot be used. The text quotes no token.
    """
    tokens = _numbered_tokens(flag, path)
    if not tokens:
        raise CannotListen(f"{flag} {path} holds no token")
    number, token = tokens[0]
    _check_characters(token, f"{flag} {path}, line {number}")
    return token.decode("ascii")


def _numbered_tokens(flag: str, path: Path) -> list[tuple[int, bytes]]:
    """Return the lines that are neither blank nor comments, with their numbers."""
    lines = read_flag_file(flag, path).removeprefix(b"\xef\xbb\xbf").splitlines()
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    return [(number, line) for number, line in numbered if line and not line.startswith(b"#")]


def _check_characters(token: bytes, place: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise CannotListen(
            f"{place}: a token must be one word of ASCII characters without blanks, because a header carries it"
        )


def _check(token: bytes, place: str) -> None:
    _check_characters(token, place)
    if len(token) < MIN_CHARACTERS:
        raise CannotListen(
            f"{place}: the token has {len(token)} characters, which can be guessed; use {MIN_CHARACTERS} or"
            " more: `openssl rand -hex 32` makes one"
        )
