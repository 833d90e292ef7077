"""The file of a plan: whole or not there, read line by line, and refused if it is something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from durable_fsm.plan.plan_file import (
    NotAPlan,
    PlanHead,
    PlannedChart,
    PlannedKind,
    PlannedMachine,
    PlanVerdict,
    PlanWriter,
    read_plan,
)
from durable_fsm.plan.plan_index import PlanIndex

HEAD = PlanHead("2026-12-01T14:06:28+00:00", "service:app", None, (PlannedChart("Order", "3", "d1"),))
MACHINES = [
    PlannedMachine("Order", "o-1", "a1", 7, "2", PlanVerdict.MOVES, 0),
    PlannedMachine("Order", 'o/"2"\n', "a2", 4, "2", PlanVerdict.BLOCKED, 1),
]
KINDS = [
    PlannedKind("Order", PlanVerdict.MOVES, "2", ("charging",), ("paying",), 1, "o-1"),
    PlannedKind("Order", PlanVerdict.BLOCKED, "2", ("review",), (), 1, 'o/"2"\n', needs_you=True),
]


def written(path: Path, machines: list[PlannedMachine]) -> Path:
    with PlanWriter(path, HEAD) as plan:
        for machine in machines:
            plan.add(machine)
        plan.finish(KINDS)
    return path


@pytest.mark.parametrize("machines", [MACHINES, MACHINES[:1], []], ids=["two", "one", "none"])
def test_a_plan_comes_back_as_it_was_and_is_one_json_document(tmp_path: Path, machines: list[PlannedMachine]) -> None:
    path = written(tmp_path / "plan.json", machines)

    plan = read_plan(path)

    assert (plan.head, list(plan.machines()), list(plan.kinds)) == (HEAD, machines, KINDS)
    document = json.loads(path.read_text())
    assert (document["format"], len(document["machines"]), len(document["kinds"])) == (1, len(machines), 2)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]


def test_machines_of_a_plan_are_found_by_key() -> None:
    with PlanIndex(iter(MACHINES)) as index:
        found = [index.place_of("Order", one.key) for one in MACHINES]

        assert found == [("a1", 7), ("a2", 4)]
        assert (len(index), index.place_of("Order", "o-3"), index.place_of("Payment", "o-1")) == (2, None, None)


def test_a_plan_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with PlanWriter(path, HEAD) as plan:
        plan.add(MACHINES[0])

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a plan"),
        ("[]", "is not a plan"),
        ('{"format":1}', "is not a plan"),
        ('{"format":9,"machines":[\n],"kinds":[]}', "of format 9, and this program reads 1"),
        ("{}\n", "is not a plan"),
    ],
    ids=["empty", "list", "no members", "later", "no plan"],
)
def test_another_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    with pytest.raises(NotAPlan, match=problem):
        read_plan(path)


def test_a_damaged_plan_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "plan.json", MACHINES)
    whole = path.read_text()

    path.write_text(whole.rpartition("]")[0].rpartition("\n")[0])
    with pytest.raises(NotAPlan, match="its last line is missing"):
        read_plan(path)
    path.write_text(whole.replace('7,"2"', '"7","2"'))
    with pytest.raises(NotAPlan, match="line 2 of"):
        list(read_plan(path).machines())
