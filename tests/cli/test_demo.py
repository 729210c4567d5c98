"""`make demo`, as far as it is ours: the script that it runs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_shows_every_event_and_ends_well() -> None:
    """A hundred events, each in the table; what is reported delivered is in the sandbox; exit code 0."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "100 events, one result each: 85 were delivered" in done.stdout
    assert "2 were filtered, 13 were refused" in done.stdout
    assert "has each of the 85 once: " in done.stdout
    assert " 100  track" in done.stdout
