"""The measurements measure everything and lose nothing; how fast, only a quiet machine can tell."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[3] / "crates" / "python" / "bench"


def test_both_kinds_are_measured_and_nothing_is_lost() -> None:
    words = [sys.executable, str(BENCH), "--quick", "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    figures = json.loads(ran.stdout)
    assert set(figures) == {"homes", "plain"}
    for kind, seen in figures.items():
        assert seen.pop("lost") == 0, kind
        assert all(figure > 0 for figure in seen.values()), (kind, seen)
