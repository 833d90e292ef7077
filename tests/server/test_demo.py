"""`make demo`, `make demo-kafka` and the stories of `make food` and `make chat`, as a person runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.server
def test_make_demo_succeeds_and_leaves_no_process_running() -> None:
    told, left = played("machines.order.demo")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "Every order ended as it should, and each card was charged exactly once." in told.stdout
    assert [line.split()[1:10:2] for line in told.stdout.splitlines() if line.startswith("│ dora")] == [
        ["dora", "paid", "7700", "7700", "1"]
    ]
    assert left == []


@pytest.mark.server
def test_make_demo_kafka_succeeds_and_leaves_no_process_running() -> None:
    told, left = played("machines.package_tracker.demo")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "Every package has passed every station, once and in order." in told.stdout
    assert left == []


@pytest.mark.server
def test_the_story_of_make_food_ends_well_and_leaves_no_process_running() -> None:
    soon = {"FOOD_TICK_SECONDS": "0.1", "FOOD_KITCHEN_SECONDS": "1", "RESTAURANT_SECONDS": "0.3"}
    told, left = played("machines.food.demo", "--story", **soon)

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("DELIVERED") == 5
    assert "Every meal was delivered, and paid exactly once." in told.stdout
    assert left == []


@pytest.mark.server
def test_the_story_of_make_chat_ends_well_and_leaves_no_process_running() -> None:
    told, left = played("machines.chat.demo", "--story", CHAT_STORY_SECONDS="2", CHAT_PROBE_SECONDS="1")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "Each message was answered once, and the model was asked once for each answer." in told.stdout
    assert left == []


def played(module: str, *options: str, **env: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The output of a demo, and the command lines of its processes that still run."""
    mark = f"THIS_STORY={uuid4()}"
    told = subprocess.run(
        ["env", mark, *(f"{name}={value}" for name, value in env.items()), sys.executable, "-m", module, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return told, found
