"""The code that is mutated, and the tests that may kill a mutant of it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".mutants"
"""What a run keeps for the next one. Git ignores it."""
_TRANSFORM = Path("server/transform/ciosidecar_transform")
_SERVER = Path("server/sidecar/ciosidecar_server")
_RPC = ("resend_gate", "delivery_worker", "delivery_batch", "flow_control")
TESTS = ("tests/unit/transform", "tests/unit/test_vectors.py", "tests/delivery")
LEFT_OUT = ("test_exactly_once.py", "test_fairness.py", "test_linear_time.py")
"""Tests that take too long for a trial."""


def mutated_files() -> list[str]:
    """Return the files of the transform and of delivery, from the repository's root."""
    files = [*(ROOT / _TRANSFORM).rglob("*.py"), *(ROOT / _SERVER / "delivery").rglob("*.py")]
    files += (ROOT / _SERVER / "rpc" / f"{name}.py" for name in _RPC)
    return sorted(str(file.relative_to(ROOT)) for file in files)


def part(file: str) -> str:
    """Return the part that a file belongs to."""
    return "transform" if Path(file).is_relative_to(_TRANSFORM) else "delivery"


def module_name(file: str) -> str:
    """Return the name that a file is imported by."""
    path = Path(file).with_suffix("")
    names = path.parts[2:]
    return ".".join(names[:-1] if names[-1] == "__init__" else names)
