"""What the bench writes: tables between markers, a picture that is well-formed, and exponents that are right."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.bench import markdown, memory, picture, scale, service
from tests.bench.fit import exponent, spread
from tests.bench.parts import PARTS
from tests.bench.tables import Table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
SVG = ROOT / "docs" / "images" / "service.svg"
_SVG = "{http://www.w3.org/2000/svg}"


def figures(*servers: str) -> dict[str, Any]:
    """Figures of the part service, as it returns them."""
    by_size = {
        size: {
            "server_cpu_us": cpu_us,
            "server_cpu_us_lowest": cpu_us,
            "server_cpu_us_by_round": [cpu_us],
            "events_per_s": 1e6 / cpu_us,
        }
        for size, cpu_us in (("1", 130.5), ("10", 31.0), ("100", 13.25), ("1000", 12.0))
    }
    calls = {"echo": ("stream", "unary")}
    return {name: dict.fromkeys(calls.get(name, service.CALLS), by_size) for name in servers}


def test_only_what_is_between_markers_is_replaced(tmp_path: Path) -> None:
    """Text around markers, and the other part's tables, stay as they are; writing twice is writing once."""
    page = tmp_path / "page.md"
    before = "# é\n\n<!-- bench:a -->\nold\n<!-- /bench:a -->\n\nkept \\1\n\n<!-- bench:b -->\n<!-- /bench:b -->\n"
    page.write_text(before, encoding="utf-8")
    markdown.write(page, {"a": r"new \1"})
    once = page.read_text(encoding="utf-8")
    assert once == before.replace("\nold\n", "\n\nnew \\1\n\n")
    markdown.write(page, {"a": r"new \1"})
    assert page.read_text(encoding="utf-8") == once


@pytest.mark.parametrize(
    "text",
    ["", "<!-- bench:a -->\n", "<!-- /bench:a -->\n<!-- bench:a -->\n", "in <!-- bench:a -->"],
)
def test_a_page_without_markers_is_not_written(tmp_path: Path, text: str) -> None:
    """A page that has no place for a part stays as it is, and the error says which lines it needs."""
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(markdown.NoMarkersError, match=r"<!-- /bench:a -->"):
        markdown.write(page, {"a": "tables"})
    assert page.read_text(encoding="utf-8") == text


def test_the_page_has_a_place_for_every_part() -> None:
    """`make bench` with --markdown finds the markers of all parts on the page."""
    markdown.require_markers(PAGE, PARTS)


def test_a_table_in_markdown() -> None:
    """A header, a rule, the rows, and the notes as a list."""
    table = Table("costs", ["", "µs"], [["one", "1.5"]], ["Bound: met."])
    assert table.markdown() == "Costs:\n\n|  | µs |\n|---|---|\n| one | 1.5 |\n\n* Bound: met."


@pytest.mark.parametrize("servers", [("echo", "python"), ("echo", "compiled", "python")])
def test_the_picture_is_well_formed_and_the_same_every_time(servers: tuple[str, ...]) -> None:
    """An SVG that asks for nothing else, with a style for the dark, each server's name and every value."""
    drawn = picture.draw(figures(*servers))
    assert drawn == picture.draw(figures(*servers))
    root = ET.fromstring(drawn)
    assert root.tag == f"{_SVG}svg"
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "@media (prefers-color-scheme: dark)" in drawn
    texts = [text.text for text in root.iter(f"{_SVG}text")]
    for words in ("echo", "pure Python", *(["compiled"] if "compiled" in servers else [])):
        assert texts.count(words) == len(picture.PANELS)
    for value in ("130", "31.0", "13.2", "12.0"):
        assert texts.count(value) == len(servers) * len(picture.PANELS)


def test_every_mark_of_the_picture_is_inside_it() -> None:
    """Costs beyond the axis are drawn at its end, not outside the picture."""
    found = figures("echo", "python")
    found["python"]["stream"] = {"1": {"server_cpu_us": 1e6}, "1000": {"server_cpu_us": 0.001}}
    root = ET.fromstring(picture.draw(found))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for dot in root.iter(f"{_SVG}circle"):
        assert 0 < float(dot.attrib["cx"]) < width
        assert 0 < float(dot.attrib["cy"]) < height


def test_the_committed_picture_shows_the_committed_table() -> None:
    """Every value of the picture stands in the page's tables of the service: both are of one run."""
    section = PAGE.read_text(encoding="utf-8").partition("<!-- bench:service -->")[2]
    section = section.partition("<!-- /bench:service -->")[0]
    root = ET.fromstring(SVG.read_text(encoding="utf-8"))
    values = [
        text.text or ""
        for text in root.iter(f"{_SVG}text")
        if text.attrib["class"].startswith("value ") and "name" not in text.attrib["class"].split()
    ]
    assert len(values) >= 2 * 2 * len(service.SIZES)
    assert [value for value in values if f"| {value} (" not in section] == []


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A machine that is twice as fast in some rounds does not change it: 0.5, 0.5 and 0.6, not 10 to 30."""
    one = {"server_cpu_us_by_round": [10.0, 5.0, 36.0]}
    base = {"server_cpu_us_by_round": [20.0, 10.0, 60.0]}
    assert service.median_ratio(one, base) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="shorter"):
        service.median_ratio(one, {"server_cpu_us_by_round": [1.0]})


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law(power: float) -> None:
    """The exponent of costs that follow a power law is its power, whatever the factor."""
    sizes = [1, 10, 100, 1_000]
    assert exponent(sizes, [7.5 * size**power for size in sizes]) == pytest.approx(power)


@pytest.mark.parametrize(
    ("sizes", "costs"), [([5, 5], [1, 2]), ([1, 2], [0, 1]), ([1, 2], [1, -1])]
)
def test_no_exponent_without_two_positive_points(sizes: list[float], costs: list[float]) -> None:
    """One size, or a cost that is not positive, has no exponent."""
    with pytest.raises(ValueError, match="positive"):
        exponent(sizes, costs)


def test_the_spread_is_of_the_highest_above_the_lowest() -> None:
    """10, 11.5 and 11 spread by 15 %."""
    assert spread([10, 11.5, 11]) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("axis", "measured", "verdict"),
    [
        ("streams", {"spread": 0.15, "exponent": 0.02}, "met."),
        ("streams", {"spread": 0.16, "exponent": 0.02}, "**missed** by pure Python (16%)"),
        ("bytes", {"exponent": 0.6, "exponent_of_large": 1.0}, "met."),
        ("bytes", {"exponent": 0.6, "exponent_of_large": 1.3}, "**missed** by pure Python (1.30)"),
    ],
)
def test_a_bound_that_is_missed_is_said(axis: str, measured: dict[str, Any], verdict: str) -> None:
    """The verdict below a table of scale says who misses the bound, and by how much."""
    measured["server_cpu_us"] = {"1": 10.0, "10": 11.0}
    (table,) = scale.tables({axis: {"echo": measured, "python": measured}})
    assert verdict in table.notes[0]


@pytest.mark.parametrize(
    ("growth", "verdict"), [(0.05, "met"), (0.051, "**missed** by pure Python")]
)
def test_memory_that_grows_is_said(growth: float, verdict: str) -> None:
    """A growth of more than 5 % misses the bound."""
    sizes = {"at_start_mb": 80.0, "after_a_tenth_mb": 90.0, "after_all_mb": 95.0, "growth": growth}
    (table,) = memory.tables({"events": 1_000_000, "python": sizes})
    assert verdict in table.notes[0]


@pytest.mark.parametrize("size", [300, 1_000, 30_000, 300_000])
def test_a_sized_event_has_that_size(size: int) -> None:
    """The part scale sends events of exactly the bytes that its table names."""
    assert len(scale.sized(size)) == size


def test_events_of_the_memory_run_are_others_each_round() -> None:
    """No user and no message of one round is in another: a cache by either would grow."""
    mix = [b'{"messageId":"m","userId":"u","traits":{"userId":"x"}}']
    assert memory.fresh(mix, 3) == [b'{"messageId":"3-m","userId":"3-u","traits":{"userId":"x"}}']
