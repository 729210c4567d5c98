"""The report: docs/testing/mutants.json with every mutant of the sample, and the generated part of docs/testing/mutants.md.

tests/mutants/explained.json says of mutants that survive why no test need fail: "equivalent", "performance", "words" or
"bound", and a reason.
"""

import json
from collections import Counter
from pathlib import Path

from .mutants import Mutant
from .parts import ROOT, part
from .results import DEAD, Result

_PAGE = ROOT / "docs/testing/mutants.md"
_DATA = ROOT / "docs/testing/mutants.json"
_EXPLAINED = Path(__file__).with_name("explained.json")
_BEGIN, _END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
_OUTCOMES = ("killed", "timed out", "survived", "no test", "undecided")


def explained() -> dict[str, list[str]]:
    """Return the kind and the reason of each mutant of which no test need fail, by its name."""
    reasons: dict[str, list[str]] = json.loads(_EXPLAINED.read_text())
    return reasons


def write(mutants: list[Mutant], results: dict[str, Result], seed: int) -> int:
    """Write both files, and return the verdict."""
    reasons = explained()
    tried = [mutant for mutant in mutants if mutant.name in results]
    alive = [mutant for mutant in tried if results[mutant.name].outcome not in DEAD]
    rows = [_row(mutant, results.get(mutant.name), reasons) for mutant in mutants]
    _DATA.write_text(
        json.dumps({"seed": seed, "mutants": rows}, indent=1, ensure_ascii=False) + "\n"
    )
    generated = [*_table(tried, len(mutants), results, seed), *_survivors(alive, reasons)]
    head, _, rest = _PAGE.read_text().partition(_BEGIN)
    tail = rest.partition(_END)[2]
    _PAGE.write_text(head + _BEGIN + "".join(f"{line}\n" for line in generated) + _END + tail)
    return verdict(mutants, results)


def verdict(mutants: list[Mutant], results: dict[str, Result]) -> int:
    """Print the numbers. Return 1 if a mutant survived without an explanation, or under 90 % of those tried were killed."""
    reasons = explained()
    tried = [mutant for mutant in mutants if mutant.name in results]
    alive = [mutant for mutant in tried if results[mutant.name].outcome not in DEAD]
    unexplained = [mutant.name for mutant in alive if mutant.name not in reasons]
    for name in unexplained:
        print("not explained:", name)
    killed = len(tried) - len(alive)
    print(f"{len(tried)} of {len(mutants)} tried, {killed} killed, {len(alive)} survived")
    return int(bool(unexplained) or 10 * killed < 9 * len(tried))


def _row(mutant: Mutant, result: Result | None, reasons: dict[str, list[str]]) -> dict[str, object]:
    kind, reason = reasons.get(mutant.name, ["", ""])
    return {
        "file": mutant.file,
        "line": mutant.lines[0],
        "operator": mutant.operator,
        "before": mutant.old,
        "after": mutant.new,
        "outcome": "not tried" if result is None else result.outcome,
        "test": "" if result is None else result.test,
        "kind": kind,
        "reason": reason,
    }


def _table(tried: list[Mutant], size: int, results: dict[str, Result], seed: int) -> list[str]:
    """Return the lines of the table of outcomes by part."""
    counts: dict[str, Counter[str]] = {"transform": Counter(), "delivery": Counter()}
    for mutant in tried:
        counts[part(mutant.file)][results[mutant.name].outcome] += 1
    counts["together"] = counts["transform"] + counts["delivery"]
    lines = [
        f"Seed {seed}: {len(tried)} of a sample of {size} were tried.",
        "",
        f"| part | tried | {' | '.join(_OUTCOMES)} | killed or timed out |",
        f"|---|---|{'---|' * len(_OUTCOMES)}---|",
    ]
    for name, count in counts.items():
        total = count.total()
        share = f"{sum(count[outcome] for outcome in DEAD) / total:.1%}" if total else "none"
        cells = " | ".join(str(count[outcome]) for outcome in _OUTCOMES)
        lines.append(f"| {name} | {total} | {cells} | {share} |")
    return [*lines, ""]


def _survivors(alive: list[Mutant], reasons: dict[str, list[str]]) -> list[str]:
    """Return the lines of the table of mutants that survived."""
    lines = ["| file, line | mutant | kind | why no test fails |", "|---|---|---|---|"]
    for mutant in sorted(alive, key=lambda mutant: (mutant.file, mutant.lines[0])):
        kind, reason = reasons.get(mutant.name, ["", "not explained yet"])
        place = f"{mutant.file.split('/', 2)[2]}:{mutant.lines[0]}"
        lines.append(f"| {place} | {_code(mutant.old)} → {_code(mutant.new)} | {kind} | {reason} |")
    return lines if alive else ["None survived."]


def _code(text: str) -> str:
    return "`` " + text.replace("|", "\\|") + " ``"
