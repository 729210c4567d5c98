"""Tables of a page that the bench writes, between the markers of a part.

A page says where a part's tables belong: `<!-- bench:service -->` on a line, and `<!-- /bench:service -->` on a
later line. What stands between them is replaced.
"""

import re
from collections.abc import Iterable
from pathlib import Path


class NoMarkersError(Exception):
    """A page has no place for the tables of a part. The text says what to add."""


def require_markers(page: Path, parts: Iterable[str]) -> None:
    """Raise NoMarkersError unless a page has the markers of all the parts."""
    text = page.read_text(encoding="utf-8")
    for part in parts:
        if len(_between(part).findall(text)) != 1:
            start, end = _markers(part)
            raise NoMarkersError(f"{page} needs the lines {start} and {end} once, in this order")


def write(page: Path, sections: dict[str, str]) -> None:
    """Replace what a page has between the markers of each part. Other text stays byte for byte.

    Raises:
        NoMarkersError: A part has no markers, so nothing is written.
    """
    require_markers(page, sections)
    text = page.read_text(encoding="utf-8")
    for part, section in sections.items():
        start, end = _markers(part)
        written = f"{start}\n\n{section.strip()}\n\n{end}"
        text = _between(part).sub(lambda _, written=written: written, text)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")


def _markers(part: str) -> tuple[str, str]:
    return f"<!-- bench:{part} -->", f"<!-- /bench:{part} -->"


def _between(part: str) -> re.Pattern[str]:
    start, end = map(re.escape, _markers(part))
    return re.compile(rf"^{start}$.*?^{end}$", re.MULTILINE | re.DOTALL)
