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

PATIENT = """
from durable_fsm import Retry, TransitionsConfig, activity

def work() -> int:
    return 1

def put_back() -> None: ...

Order = TransitionsConfig(
    "Order", states=["cart", "charging", "packing", "sending", "sent"], initial="cart",
    transitions=[
        ["pay", "cart", "charging"], ["done_invoke_charging", "charging", "packing"],
        ["done_invoke_packing", "packing", "sending"], ["done_invoke_sending", "sending", "sent"],
        ["error_invoke_sending", "sending", "cart"],
    ],
    activities={
        "charging": activity(work), "packing": activity(work, exclusive=True, undo=put_back),
        "sending": activity(work, retry=Retry(attempts=3)),
    },
)
"""


def test_a_chart_without_problems_is_counted() -> None:
    result = CliRunner().invoke(main, ["check", LAMP, "--json"])

    [told] = json.loads(result.stdout)
    assert (result.exit_code, told["chart"], told["problems"]) == (0, "Lamp", [])
    assert (told["states"], told["events"]) == (3, 2)


def test_activities_that_are_retried_without_end_are_noted(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)

    result = CliRunner().invoke(main, ["check", f"{tmp_path / 'patient.py'}:Order"])

    assert result.exit_code == 0, result.output
    notes = [line.removeprefix("  note: ") for line in result.stdout.splitlines() if line.startswith("  note: ")]
    limit = "at most 1 min apart. Retry(attempts=…) sets a limit."
    assert notes == [
        f"activity 'charging' is retried until its deadline of 1 d, {limit}",
        f"activity 'packing' and the undo of 'packing' are retried without end, {limit}",
    ]


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
