"""`durable-fsm check` and `durable-fsm completion`: everything at once, and what a shell evaluates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main

LAMP = f"{Path(__file__).parent / 'lamp.py'}:Lamp"
STUCK = """
from durable_fsm import TransitionsConfig

Door = TransitionsConfig(
    "Door", states=["closed", "open"], transitions=[["push", "closed", "nowhere"], ["pull", "attic", "closed"]],
    initial="closed",
)
"""


def test_a_chart_without_problems_is_counted() -> None:
    result = CliRunner().invoke(main, ["check", LAMP, "--json"])

    [told] = json.loads(result.stdout)
    assert (result.exit_code, told["chart"], told["problems"]) == (0, "Lamp", [])
    assert (told["states"], told["events"]) == (3, 2)


def test_a_chart_with_problems_ends_with_three(tmp_path: Path) -> None:
    (tmp_path / "stuck_door.py").write_text(STUCK)

    result = CliRunner().invoke(main, ["check", f"{tmp_path / 'stuck_door.py'}:Door"])

    assert result.exit_code == 3, result.output
    assert result.stdout.startswith("Door: ")
    assert "  problem: " in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_what_a_shell_evaluates(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])

    assert result.exit_code == 0
    assert "_DURABLE_FSM_COMPLETE" in result.stdout
