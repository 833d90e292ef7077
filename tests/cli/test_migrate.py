"""`durable-fsm migrate`: what it refuses before it asks a server, and how it remembers what it has done."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.cli.migration_run import FleetMigration, MigrationResult, RunFile, problems_of
from durable_fsm.errors import Moved
from durable_fsm.plan.plan_file import (
    PlanHead,
    PlannedChart,
    PlannedKind,
    PlannedMachine,
    PlanVerdict,
    PlanWriter,
    read_plan,
)

BUILD = PlannedChart("Order", "3", "d" * 12)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(key: str, verdict: PlanVerdict, kind: int = 0, chart: str = "Order") -> PlannedMachine:
    return PlannedMachine(chart, key, "life", 7, "2", verdict, kind)


def write(*machines: PlannedMachine) -> None:
    with PlanWriter(Path("plan.json"), PlanHead("2030-01-01T14:06:28", "app", None, (BUILD,))) as plan:
        for machine in machines:
            plan.add(machine)
        plan.finish([PlannedKind("Order", one.verdict, "2", (), (), 1, one.key) for one in machines])


def migrate(*options: str, chart: str = "Order") -> Result:
    return CliRunner().invoke(
        main, ["migrate", chart, "--plan", "plan.json", "--admin", "http://127.0.0.1:1", *options]
    )


def test_a_file_that_is_not_there_is_told() -> None:
    result = migrate()

    assert result.exit_code == 2
    assert "Error: 'plan.json' cannot be read: No such file or directory.\n" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'plan.json' is not a plan"),
        ('{"format":9,"machines":[', "'plan.json' is a plan of format 9, and this program reads 1."),
    ],
    ids=["empty", "format"],
)
def test_a_file_that_is_not_a_plan_is_told(text: str, message: str) -> None:
    Path("plan.json").write_text(text, encoding="utf-8")

    result = migrate()

    assert result.exit_code == 2
    assert message in result.output


def test_a_plan_of_another_chart_is_told() -> None:
    write()

    result = migrate(chart="Payment")

    assert result.exit_code == 2
    assert "Error: 'plan.json' is not about Payment, but about Order.\n" in result.output


def test_machines_that_need_you_are_named_and_no_server_is_asked() -> None:
    write(*(planned(f"o-{number}", PlanVerdict.BLOCKED) for number in range(21)), planned("s-1", PlanVerdict.STRANDED))

    result = migrate()

    assert result.exit_code == 1
    assert (
        "Error: 22 machines of Order cannot continue under this build, or would lose something: o-0 (blocked), o-1 (blocked), "
        in result.output
    )
    assert "o-19 (blocked), and 2 more. Nothing was moved." in result.output


@pytest.mark.parametrize("rate", ["0/s", "fast", "5/d", "-1/s", "inf/s"])
def test_a_rate_is_a_number_a_second_a_minute_or_an_hour(rate: str) -> None:
    write()

    result = migrate("--rate", rate)

    assert result.exit_code == 2
    assert f"'{rate}' is not a rate. Write 50/s, 600/m or 1000/h." in result.output


def test_a_server_that_is_away_exits_with_7() -> None:
    write(planned("o-1", PlanVerdict.MOVES))

    assert migrate("--rate", "600/m").exit_code == 7


def test_a_run_continues_after_a_line_that_a_kill_has_cut() -> None:
    path = Path("run.jsonl")
    first = RunFile.open(path, "Order", "made", Path("before.jsonl"))
    first.settle("o-1", MigrationResult.MIGRATED, "")
    first.settle("o-2", MigrationResult.REFUSED, "no")
    first.note({"canary": "well"})
    first.close()
    path.write_text(f'{path.read_text("utf-8")}{{"key": "o-3", "resu', encoding="utf-8")

    again = RunFile.open(path, "Order", "made", None)
    again.settle("o-3", MigrationResult.ALREADY, "")
    again.close()

    assert (again.settled, again.backup, again.is_proved) == ({"o-1", "o-3"}, "before.jsonl", True)
    assert [json.loads(line).get("key") for line in path.read_text("utf-8").splitlines()] == [
        None,
        "o-1",
        "o-2",
        None,
        "o-3",
    ]


@pytest.mark.parametrize(
    ("chart", "made", "message"),
    [
        ("Payment", "made", "does not remember a migration of Payment"),
        ("Order", "later", "is of a plan that was made made, not later"),
    ],
)
def test_the_file_of_another_run_is_refused(chart: str, made: str, message: str) -> None:
    path = Path("run.jsonl")
    RunFile.open(path, "Order", "made", None).close()

    with pytest.raises(click.UsageError, match=message):
        RunFile.open(path, chart, made, None)


@pytest.mark.parametrize("text", ["hello\n", "5\n", '["a"]\n', "{}", "no line", '{"other": 1}\n{"cut'], ids=str)
def test_a_file_that_is_no_run_is_refused_and_stays_as_it_is(text: str) -> None:
    path = Path("notes.txt")
    path.write_text(text, encoding="utf-8")

    with pytest.raises(click.UsageError, match="Name another file"):
        RunFile.open(path, "Order", "made", None)

    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("text", ["", '{"format": 1, "cha'], ids=["empty", "cut"])
def test_a_run_whose_first_line_was_never_whole_begins(text: str) -> None:
    path = Path("run.jsonl")
    path.write_text(text, encoding="utf-8")

    RunFile.open(path, "Order", "made", None).close()

    assert [json.loads(line)["chart"] for line in path.read_text("utf-8").splitlines()] == ["Order"]


def test_a_machine_that_moves_between_the_look_and_the_move_is_left() -> None:
    write(planned("o-1", PlanVerdict.MOVES))
    asked: list[tuple[str, str, int]] = []

    class Client:
        def machine(self, chart: str, key: str) -> Any:
            def at(seq: int) -> Any:
                def repair(**_: object) -> None:
                    asked.append((chart, key, seq))
                    raise Moved(chart=chart, key=key, expected=seq, seq=9)

                return SimpleNamespace(repair=repair)

            return SimpleNamespace(if_seq=at)

    migration = FleetMigration(read_plan(Path("plan.json")), BUILD, [PlanVerdict.MOVES], RunFile(None))
    migration._move_one(Client(), planned("o-1", PlanVerdict.MOVES), "why")  # type: ignore[arg-type]

    assert asked == [("Order", "o-1", 7)]
    assert migration.outcomes.left == {"o-1": (MigrationResult.MOVED, "it has moved since: 2 more steps")}


def test_canaries_are_of_each_kind_in_turn_and_not_among_those_that_are_done() -> None:
    write(*(planned(f"{kind}-{number}", PlanVerdict.MOVES, kind) for kind in (0, 1, 2) for number in range(3)))
    run = RunFile(None, settled={"0-0"})

    migration = FleetMigration(read_plan(Path("plan.json")), BUILD, [PlanVerdict.MOVES], run)

    assert [machine.key for machine in migration.canaries(5)] == ["0-1", "1-0", "2-0", "0-2", "1-1"]
    assert len(migration.canaries(100)) == 8


def test_only_machines_of_the_chart_with_the_verdicts_asked_for_are_moved() -> None:
    write(
        planned("o-1", PlanVerdict.MOVES),
        planned("o-2", PlanVerdict.CHANGES),
        planned("o-3", PlanVerdict.HELD),
        planned("p-1", PlanVerdict.MOVES, chart="Payment"),
    )

    migration = FleetMigration(read_plan(Path("plan.json")), BUILD, [PlanVerdict.MOVES], RunFile(None))

    assert [machine.key for machine in migration.machines()] == ["o-1"]


def test_a_machine_that_is_gone_is_not_a_problem() -> None:
    assert problems_of({}, [planned("o-1", PlanVerdict.MOVES)]) == []


def test_a_machine_that_would_lose_something_needs_you_too() -> None:
    with PlanWriter(Path("plan.json"), PlanHead("2030-01-01T14:06:28", "app", None, (BUILD,))) as plan:
        plan.add(planned("o-1", PlanVerdict.CHANGES, 0))
        plan.add(planned("o-2", PlanVerdict.CHANGES, 1))
        kinds = [(one, one == "o-2") for one in ("o-1", "o-2")]
        plan.finish(
            [PlannedKind("Order", PlanVerdict.CHANGES, "2", (), (), 1, key, needs_you) for key, needs_you in kinds]
        )

    result = migrate()

    assert result.exit_code == 1
    assert (
        "1 machine of Order cannot continue under this build, or would lose something: o-2 (changes)." in result.output
    )
