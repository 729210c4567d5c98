"""The blocks of code on the documentation's pages, each with the output that is said to follow."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A block of code on a page, and the block of text right after it, if there is one."""

    page: str
    line: int
    code: str
    output: str | None


def examples(page: str, language: str) -> list[Example]:
    """Return the blocks of one language on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = list(_FENCE.finditer(text))
    return [
        Example(
            page,
            text.count("\n", 0, block.start()) + 2,
            block[2],
            after[2] if after is not None and after[1] == "text" else None,
        )
        for block, after in zip(blocks, [*blocks[1:], None], strict=True)
        if block[1] == language
    ]
