"""The compiled leaves and their twins in Python: the same results on the same input, and the same signatures."""

import subprocess
import sys
from pathlib import Path

import pytest
from ciosidecar_transform.json_text import VastNumber
from hypothesis import given
from hypothesis import strategies as st

from tests.native.compare import TARGETS, differences
from tests.native.implementations import behaviour, compiled, in_python, require_compiled
from tests.native.leaves import LEAVES

require_compiled()
CASES = {"events": 1_500}
_DIFFERENCES = st.text(max_size=40) | st.from_regex(r"[0-9:/ TZ.+-]{4,30}")
_NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()


@pytest.mark.parametrize("target", TARGETS)
def test_the_two_agree_on_hostile_input(target: str) -> None:
    """python -m tests.native.compare tries more."""
    assert differences(target, CASES.get(target, 15_000), seed=1) == ""


@given(_DIFFERENCES | _NUMBERS)
def test_the_two_agree_on_any_time(value: object) -> None:
    """Texts, and numbers of every size."""
    both = [behaviour(of("times").unix_millis, value) for of in (compiled, in_python)]
    assert both[0] == both[1]


@given(st.text(), st.text(), st.binary(), st.integers(-(2**63), 2**63 - 1))
def test_the_two_agree_on_any_texts(name: str, identifier: str, data: bytes, time_s: int) -> None:
    """Every character of an event's name and of an id is escaped alike."""
    v1 = name, b'"event"', data, time_s, None, identifier
    v2 = b"{", "id", identifier, name, None, time_s, data
    both = [
        (behaviour(of("track_v1").event_body, *v1), behaviour(of("track_v2").event_item, *v2))
        for of in (compiled, in_python)
    ]
    assert both[0] == both[1]


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_the_two_tell_utf8_alike(data: bytes) -> None:
    """Of any bytes, and of halves of pairs that are encoded."""
    both = [behaviour(of("event").is_utf8, data) for of in (compiled, in_python)]
    assert both[0] == both[1]


def test_the_two_transform_an_event_in_a_bytearray_alike() -> None:
    """As its bytes, also where it is not ASCII: the contract says bytes, and a buffer is not told apart."""
    event = '{"type": "track", "userId": "u1", "event": "Café", "properties": {"a": "é"}}'.encode()
    outcomes = []
    for of in (compiled, in_python):
        package = of("")
        destination, _ = package.read_destination(b'{"siteID": "site", "apiKey": "key"}')
        outcomes += [
            behaviour(lambda given, a=package, b=destination: a.transform(given, b, now=0), given)
            for given in (event, bytearray(event))
        ]
    assert len(set(outcomes)) == 1
    assert "status=200" in outcomes[0][1]


@pytest.mark.parametrize("leaf", LEAVES, ids=[leaf.name for leaf in LEAVES])
def test_a_leaf_is_compiled_in_one_transform_and_not_in_the_other(leaf: tuple[str, str]) -> None:
    """Otherwise nothing would be compared."""
    module, name = leaf[:2]
    kinds = [type(getattr(of(module), name)).__name__ for of in (compiled, in_python)]
    assert kinds == ["builtin_function_or_method", "function"]


def test_every_twin_is_compared() -> None:
    """A function that is bound to a compiled one has its arguments in leaves.py."""
    folder = Path(str(compiled("").__file__)).parent
    bound = sum(file.read_text("utf-8").count("\n@twin\n") for file in folder.rglob("*.py"))
    assert bound == len(LEAVES)


def test_a_number_of_a_million_digits_is_read_once() -> None:
    """In the compiled form too: a reader that began again at each digit would take hours."""
    digits = "1" * 1_000_000
    for text in (digits, f"{digits}.5", f"2024-01-02T03:04:05.{digits}Z", f"0.{digits}e11"):
        vast = [of("json_text").VastNumber(text) for of in (compiled, in_python)]
        for ours, other in ((text, text), vast):
            found = behaviour(compiled("times").unix_millis, ours)
            assert found == behaviour(in_python("times").unix_millis, other)
    assert type(vast[0]) is VastNumber


def test_the_stub_says_what_the_module_has(tmp_path: Path) -> None:
    """Names and signatures, by mypy's own comparison."""
    allowed = tmp_path / "allowed"
    # maturin's package around the module, which passes all names on.
    allowed.write_text("ciosidecar_native.ciosidecar_native\nciosidecar_native.__all__\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "ciosidecar_native", "--allowlist", allowed],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
