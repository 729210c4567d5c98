"""Every relative link of the documentation leads to a file, and every anchor to a heading."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.pages import ROOT

PATTERNS = ("*.md", "docs/**/*.md", "client/*/*.md", "server/*/*.md", "tests/polyglot/*.md")
PAGES = sorted(page for pattern in PATTERNS for page in ROOT.glob(pattern))
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a page, those inside a line too."""
    for block in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        yield block
        yield from block.children or ()


def links(text: str) -> list[str]:
    """Return where the links and images of a page lead, addresses of other sites left out."""
    targets = [
        str(token.attrs.get("href") or token.attrs.get("src"))
        for token in tokens(text)
        if token.type in ("link_open", "image")
    ]
    return [unquote(target) for target in targets if not _ELSEWHERE.match(target)]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: Counter[str] = Counter()
    names = set()
    blocks = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    for before, heading in pairwise(blocks):
        if before.type != "heading_open":
            continue
        words = "".join(token.content for token in heading.children or ())
        name = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


@cache
def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a file."""
    return anchors(page.read_text(encoding="utf-8"))


def problem(page: Path, target: str) -> str | None:
    """Return what is wrong with a link of a page, or None."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.is_relative_to(ROOT) or not file.exists():
        return f"{target}: there is no such file"
    if anchor and file.suffix == ".md" and anchor not in anchors_of(file):
        return f"{target}: there is no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """Within the repository, to a file that is there, and to a heading that is there."""
    problems = [problem(page, target) for target in links(page.read_text(encoding="utf-8"))]
    assert [text for text in problems if text is not None] == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    """A missing file, a missing heading here and elsewhere, and a file outside the repository."""
    text = "# One `two`, three\n# One two three\n[a](#one-two-three) [b](#one-two-three-1) [c](#no) ![d](no.png)"
    assert anchors(text) == {"one-two-three", "one-two-three-1"}
    assert links(text) == ["#one-two-three", "#one-two-three-1", "#no", "no.png"]
    outside = tmp_path / "page.md"
    outside.write_text(text, encoding="utf-8")
    page = ROOT / "README.md"
    assert problem(page, "docs/rules.md#12-the-result") is None
    for target in ("no.md", "#no", "docs/rules.md#no", str(outside)):
        assert problem(page, target) is not None, target


def test_the_pages_have_links() -> None:
    """A parser that finds none would find no broken ones either."""
    assert sum(len(links(page.read_text(encoding="utf-8"))) for page in PAGES) > 100
