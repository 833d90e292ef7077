"""Migrations that a plan writes: new names that it proposes, holes that it leaves, and how far they go without an edit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import changed
from durable_fsm.frontends import chart_from
from durable_fsm.plan.anonymous import anonymised
from durable_fsm.plan.judging import Judge
from durable_fsm.plan.migration_file import following, migration_of
from durable_fsm.plan.needs import Needs
from durable_fsm.plan.planning import Judged, Planning
from durable_fsm.plan.trial import Hole, hole, tried
from tests.plan.parcels import BREAKS, LONG, deployed, machines, parcel

FINE = ("over", "moves", "changes")


def planned(how: str) -> Planning:
    """A plan of the deployed machines for a chart with this change, as version 3."""
    judge = Judge(chart_from(parcel(how, "3")), [deployed()])
    planning = Planning(judge)
    for name, machine in machines().items():
        planning.count(Judged(name, judge.fate(machine), machine))
    return planning


def written(how: str, folder: Path) -> dict[str, str]:
    """What comes of each kind of machine under the migration that is written for a change: its verdict."""
    planning = planned(how)
    [(migration, _)] = planning.migrations()
    stem = how.replace(" ", "_")
    (folder / f"{stem}_shop.py").write_text(f"from tests.plan.parcels import parcel\nParcel = parcel({how!r}, '3')\n")
    (folder / f"{stem}.py").write_text(migration.text, encoding="utf-8")
    return {
        name: tried(folder, f"{stem}_shop.py:Parcel", snapshot_to_json(machine), f"{stem}.py").verdict.value
        for name, machine in machines().items()
    }


NEEDS_A_PERSON = {
    "state removed": "review",
    "child exchanged": "inspecting",
    "data member required": " ".join(machines()),
    "type narrowed": "heavy",
    "undo removed": "paid",
    "state made final": "review",
    "last way out removed": "review",
    "last way made private": "review",
}
"""By change: the machines with which a written migration fails until it is completed."""

FINISHED = sorted({*BREAKS, "payload narrowed"} - {*NEEDS_A_PERSON, "migration that raises"})
"""Changes whose written migration needs no edit. One has a migration of its own; that is for its author to correct."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_twelve_of_twenty_written_migrations_need_no_edit() -> None:
    assert len(FINISHED) == 12


@pytest.mark.parametrize("how", FINISHED)
def test_a_written_migration_is_enough(how: str, tmp_path: Path) -> None:
    assert {name: verdict for name, verdict in written(how, tmp_path).items() if verdict not in FINE} == {}


@pytest.mark.parametrize("how", NEEDS_A_PERSON)
def test_a_written_migration_fails_on_machines_that_need_an_answer(how: str, tmp_path: Path) -> None:
    stopped = [name for name, verdict in written(how, tmp_path).items() if verdict not in FINE]

    assert stopped == NEEDS_A_PERSON[how].split()


@pytest.mark.parametrize(
    ("how", "lines"),
    [
        ("leaf became compound", ['"review": "first",  # it contains others now, and begins with this one: 1.00']),
        ("compound became leaf", ['"boxing": "packing",  # it is a leaf now, and was around it: 1.00']),
        ("activity renamed", ['"charging": "paying",  # same work: 0.90']),
        (
            "region added",
            [
                'if {"asking", "booked", "printing", "printed"} & {*old.configuration}:',
                'old.configuration += ["declaring"]',
            ],
        ),
        ("state removed", ['raise hole("Where does a machine in review continue? The chart has no such state.")']),
        ("data member required", ['if "currency" not in old.data:  # 14 of 14 machines']),
        ("type narrowed", ["# TODO: 1 of 14 machines: input should be less than 9 at $.weight."]),
        ("undo removed", ["# TODO: 1 of 14 machines can still undo 'charging': keep undo= of that activity"]),
        ("child exchanged", ["# TODO: 1 of 14 machines run 'look', a machine that their state does not have"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_migration_says_what_it_proposes_and_what_it_asks(how: str, lines: list[str]) -> None:
    [(migration, _)] = planned(how).migrations()

    for line in lines:
        assert line in migration.text
    assert migration.holes == ("raise hole" in migration.text or "TODO" in migration.text)


def test_a_state_is_recognized_by_its_work_and_its_ways(tmp_path: Path) -> None:
    renamed = chart_from(parcel("state renamed", "3"))
    planning = Planning(Judge(renamed, [deployed()]))
    for name, machine in machines().items():
        planning.count(Judged(name, planning.judge.fate(machine), machine))

    [(migration, _)] = planning.migrations()

    assert [(one.old, one.new, one.why) for one in migration.states] == [
        ("review", "inspection", "same way out, same way in")
    ]
    assert 0.8 < migration.states[0].score < 1


def test_without_the_deployed_chart_no_name_is_proposed() -> None:
    planning = Planning(Judge(chart_from(parcel("state renamed", "3"))))
    planning.count(Judged("r", planning.judge.fate(machines()["review"]), machines()["review"]))

    [(migration, _)] = planning.migrations()

    assert (migration.states, migration.holes) == ((), 1)


def test_values_are_made_up_where_they_do_not_matter() -> None:
    judge = Judge(chart_from(parcel("type narrowed")), [deployed()])
    heavy = changed(machines()["heavy"], data={"weight": LONG, "card_number": "4111", "notes": ["Ada", "Grace"]})

    found = anonymised(judge.chart, heavy, lambda one: judge.fate(one) == judge.fate(heavy))

    assert found is not None
    assert found.data == {"weight": LONG, "card_number": "text", "notes": ["text", "text"]}
    wordy = anonymised(judge.chart, machines()["wordy"], lambda one: True)
    assert wordy is not None
    assert wordy.deferred[0].payload == {"text": "text"}


def test_names_that_no_chart_declares_are_made_up_too() -> None:
    data = {"weight": 1, "scores": {"ann@example.com": {"weight": 2, "bob": [{"eve": 3}]}}, "notes": ["Ada"]}
    machine = changed(machines()["cart"], data=data)

    found = anonymised(deployed(), machine, lambda one: "weight" in str(one.data))
    kept = anonymised(deployed(), machine, lambda one: "eve" in str(one.data))

    assert found is not None
    assert kept is not None
    inner = {"weight": 1, "name 2": [{"name 1": 1}]}
    assert found.data == {"weight": 1, "scores": {"name 1": inner}, "notes": ["text"]}
    assert "'eve'" in str(kept.data)
    assert "ann@example.com" not in str(kept.data)


def test_a_redacted_value_that_matters_is_not_kept() -> None:
    def is_same(machine: Snapshot) -> bool:
        return "4111" in str(machine.data)

    assert anonymised(deployed(), machines()["cart"], is_same) is None


@pytest.mark.parametrize(("version", "next_"), [("2", "3"), ("2.1", "2.1.1"), ("summer", "summer.1")])
def test_the_version_after_one(version: str, next_: str) -> None:
    assert following(version) == next_


def test_a_hole_is_an_error_with_its_question() -> None:
    with pytest.raises(Hole, match="Why"):
        raise hole("Why?")


def test_a_file_without_a_migration_cannot_be_tried(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("from tests.plan.parcels import parcel\nParcel = parcel()\n")
    (tmp_path / "none.py").write_text("")

    with pytest.raises(LookupError, match="defines 0 migrations"):
        tried(tmp_path, "shop.py:Parcel", snapshot_to_json(machines()["cart"]), "none.py")


def test_what_is_stored_becomes_no_code_of_a_migration(tmp_path: Path) -> None:
    needs = Needs('2"""\nraise SystemExit("version")\n"""\\')
    needs.data['$["\nraise SystemExit(1)\n"]', "Expected int\rraise SystemExit(2)"] += 1
    needs.undo["pay\u2028raise SystemExit(3)"] += 1
    needs.children["p\nraise SystemExit(4)"] += 1

    text = migration_of(chart_from(parcel("", "3")), None, needs).text

    defined = [one for one in ast.parse(text).body if not isinstance(one, ast.ImportFrom)]
    assert [type(one) for one in defined] == [ast.Expr, ast.Assign]  # the docstring and the migration
