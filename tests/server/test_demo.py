"""`make demo` and `make demo-kafka`, as a person runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.server
def test_the_story_ends_well_and_leaves_nothing_running() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "machines.order.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "Every order ended right, and each card was charged exactly once." in told.stdout
    assert [line.split()[1:10:2] for line in told.stdout.splitlines() if line.startswith("│ dora")] == [
        ["dora", "paid", "7700", "7700", "1"]
    ]
    assert _running("machines.order") == []


@pytest.mark.server
def test_the_story_with_kafka_ends_well_and_leaves_nothing_running() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "machines.package_tracker.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "Every package has come by every station, once and in order." in told.stdout
    assert _running("machines.package_tracker") == []


def _running(words: str) -> list[str]:
    """Command lines of live processes that contain *words*."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line:
            found.append(line)
    return found
