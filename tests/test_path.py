"""An ordinary event takes a short way through our files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

MOST_FILES = 23
MOST_MOVES = 62


def test_a_second_event_passes_few_files_and_moves_little_between_them() -> None:
    program = Path(__file__).parents[1] / "benchmarks" / "path.py"

    ran = subprocess.run([sys.executable, program, "--list"], capture_output=True, text=True, check=True)

    found = re.search(r"second event: \d+ calls, (\d+) files, (\d+) moves", ran.stdout)
    assert found is not None, ran.stdout
    files, moves = map(int, found.groups())
    assert (files <= MOST_FILES, moves <= MOST_MOVES) == (True, True), ran.stdout
