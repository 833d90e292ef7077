"""`durable-fsm plan` from an exported file: the report, the files it writes, and every mistake that a person can make.

The mistakes are in refusals.txt; DURABLE_FSM_WRITE_GOLDEN=1 writes it. `test_server.py` has a plan of a real server.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.frontends.locate import locate_module
from durable_fsm.plan.plan_file import PlanVerdict, read_plan
from tests.plan.parcels import machines

HERE = Path(__file__).parent
GOLDEN = HERE / "refusals.txt"
EACH = 3


def plan(build: str, *args: str) -> Result:
    return CliRunner().invoke(main, ["plan", f"tests.plan.builds:{build}", *args])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    exported(tmp_path / "parcels.jsonl", machines())
    return tmp_path


def exported(file: Path, names: Iterable[str], **more: object) -> None:
    """Write some machines of each kind as `export` does."""
    lines = [
        {
            "format": 1,
            "chart": "Parcel",
            "key": f"{name}-{number}",
            "snapshot": snapshot_to_json(machines()[name]) | more,
        }
        for name in names
        for number in range(EACH)
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def test_the_report_says_what_becomes_of_the_machines(folder: Path) -> None:
    result = plan("broken", "--from", "parcels.jsonl", "--old", "tests.plan.builds:app")

    assert result.exit_code == 1
    assert result.stdout == (
        "Parcel 2 (deployed) → 2 (here). 42 machines, from parcels.jsonl.\n"
        "  over             3  have ended; nothing is done with them\n"
        "  stays           30  continue unchanged\n"
        "  changes          6  continue, and will do something else\n"
        "                   6  cart  submit leads to paid, and not to review\n"
        "  blocked          3  cannot continue: events would be answered 500, timers and outcomes parked\n"
        "                   3  review  it is in state 'review', which the chart no longer has as a leaf\n"
        "Senders: approve is gone.\n"
        "'2' is also the version of blocked machines. A migration leads from one version to another: give Parcel a new "
        "version before you add one.\n"
        "Look 1 (deployed) → 1 (here). No machine: nothing was checked, from parcels.jsonl.\n"
        "Needs you: 3 machines and 1 fact about senders. Every machine has a verdict.\n"
        "Written: plan.json · migrations/parcel_2_3.py (1 hole) · tests/test_parcel_2_3.py (12 kinds of machine, values "
        "made up)\n"
    )
    saved = read_plan(folder / "plan.json")
    verdicts = {one.key: one.verdict for one in saved.machines()}
    assert len(verdicts) == 42
    assert {key for key, verdict in verdicts.items() if verdict is PlanVerdict.BLOCKED} == {
        f"review-{n}" for n in range(3)
    }
    assert "a long story" not in (folder / "plan.json").read_text()


def test_a_build_under_which_every_machine_moves_exits_with_0(folder: Path) -> None:
    result = plan("moving", "--from", "parcels.jsonl", "--old", "tests.plan.builds:app")

    assert result.exit_code == 0
    assert "  moves           39  migrate 2 → 3\n" in result.stdout
    assert "                   3  review → inspection\n" in result.stdout
    assert "                   3  waiting              timer expire keeps its time\n" in result.stdout
    assert result.stdout.endswith("Nothing needs you. Every machine has a verdict.\nWritten: plan.json\n")


@pytest.mark.parametrize(("args", "code"), [((), 0), (("--fail-on", "changes"), 1)], ids=["usual", "changes"])
def test_changes_fail_if_that_is_asked_for(args: tuple[str, ...], code: int) -> None:
    result = plan("longer", "--from", "parcels.jsonl", "--old", "tests.plan.builds:app", *args)

    assert "timer expire is 2 h for new ones, 1 h for these" in result.stdout
    assert result.exit_code == code


def test_a_sender_who_would_be_refused_is_enough_to_exit_with_1() -> None:
    result = plan("narrowed", "--from", "parcels.jsonl", "--old", "tests.plan.builds:app")

    assert (result.exit_code, "Senders: refund needs $.reason.\n" in result.stdout) == (1, True)


def test_with_explore_guards_are_asked_whether_a_machine_can_still_end(folder: Path) -> None:
    exported(folder / "few.jsonl", ["review", "paid"])

    result = plan("guarded", "--from", "few.jsonl", "--explore")

    assert result.exit_code == 1
    assert "  stays            6  continue unchanged\n" in result.stdout
    assert "Future of review (3 machines, e.g. review-0):\n" in result.stdout
    assert "guards refuse 'approve'" in result.stdout
    assert "Futures: 2 kinds explored, 1 with findings.\n" in result.stdout
    told = json.loads(plan("app", "--from", "few.jsonl", "--explore", "--json").stdout)
    assert [(one["example"], one["closed"], one["found"]) for one in told["futures"]] == [
        ("review-0", True, []),
        ("paid-0", True, []),
    ]


def test_the_report_as_json_has_all_kinds() -> None:
    result = plan("unfit", "--from", "parcels.jsonl", "--json")

    chart, child = json.loads(result.stdout)["charts"]
    assert child["machines"] == 0
    assert (chart["verdicts"]["blocked"], chart["verdicts"]["over"], chart["needs_you"]["machines"]) == (39, 3, 39)
    assert sum(kind["machines"] for kind in chart["kinds"]) == 42
    assert {"verdict", "machines", "version", "states", "becomes", "what", "example"} == set(chart["kinds"][0])


def test_one_machine_is_explained_step_by_step() -> None:
    moves = CliRunner().invoke(
        main, ["plan", "tests.plan.builds:Moving", "--from", "parcels.jsonl", "--explain", "review-1"]
    )
    stops = plan("broken", "--from", "parcels.jsonl", "--explain", "Parcel/review-1")

    assert re.sub(r"\(/.*?\)", "(parcels.py:1)", moves.stdout) == (
        "Parcel/review-1: stored by version 2, running, after 2 steps\n"
        "   states        review\n"
        '   data          {"card_number": "[redacted]", "notes": [], "weight": 1}\n'
        "1. migration 2 → 3 (parcels.py:1): review → inspection\n"
        "then it is:\n"
        "   states        inspection\n"
        '   data          {"card_number": "[redacted]", "notes": [], "weight": 1}\n'
        "verdict: moves: it migrates\n"
        "  it will be in inspection\n"
    )
    assert "it stops there: " in stops.stdout
    assert stops.stdout.endswith(
        "verdict: blocked: it cannot continue: events would be answered 500, timers and outcomes parked\n"
        "  it is in state 'review', which the chart no longer has as a leaf\n"
    )


def test_the_written_migration_and_its_tests_pass_once_the_holes_are_filled(folder: Path) -> None:
    (folder / "shop.py").write_text(
        "from tests.plan.parcels import parcel\nParcel = parcel('version without a way')\n", encoding="utf-8"
    )
    exported(folder / "parcels.jsonl", ["cart", "waiting", "charging", "paid", "wordy", "over"])
    result = CliRunner().invoke(main, ["plan", "shop.py:Parcel", "--from", "parcels.jsonl"])

    assert "Written: plan.json · migrations/parcel_2_3.py · tests/test_parcel_2_3.py (6 kinds" in result.stdout
    text = (folder / "tests" / "test_parcel_2_3.py").read_text("utf-8")
    assert "a long story" not in text
    assert "4111" not in text
    assert (folder / "migrations" / "parcel_2_3.py").read_text("utf-8") == (
        '"""From version 2 of Parcel to version 3, for 18 machines.\n\n'
        "Written by durable-fsm plan: review it, fill its holes, and add it to the chart:\n"
        '@durable(version="3", migrations=[parcel_2_3]).\n"""\n\n'
        "from __future__ import annotations\n\nfrom durable_fsm import migration\n\n"
        'parcel_2_3 = migration(\n    "2",\n    to="3",\n)\n'
    )
    tests = locate_module(folder / "tests" / "test_parcel_2_3.py")
    assert len(tests.KINDS) == 6
    for kind in tests.KINDS:
        tests.test_a_machine_continues(kind)


def test_a_file_that_exists_is_left_as_it_is(folder: Path) -> None:
    (folder / "migrations").mkdir()
    mine = folder / "migrations" / "parcel_2_3.py"
    mine.write_text("mine\n", encoding="utf-8")

    result = plan("bumped", "--from", "parcels.jsonl")

    assert "migrations/parcel_2_3.py exists, and was not changed" in result.stdout
    assert mine.read_text("utf-8") == "mine\n"


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def told(args: list[str], folder: Path) -> str:
    result = CliRunner().invoke(main, ["plan", *args])
    text = re.sub(r"as of \d\d:\d\d:\d\d, read in \d+ ms", "as of 14:06:28, read in 9 ms", result.output)
    shown = " ".join(args).replace("tests.plan.builds", "builds")
    return f"$ durable-fsm plan {shown}   # exit {result.exit_code}\n{text.replace(str(folder), '.')}"


def mistakes(folder: Path) -> Iterable[list[str]]:
    (folder / "nothing.jsonl").write_text("", encoding="utf-8")
    (folder / "garbage.jsonl").write_text('{"format": 1}\n', encoding="utf-8")
    lines = (folder / "parcels.jsonl").read_text("utf-8").splitlines()
    unreadable = json.loads(lines[0])
    unreadable["snapshot"] = {"format": 99}
    (folder / "unreadable.jsonl").write_text(f"{lines[0]}\n{json.dumps(unreadable)}\n", encoding="utf-8")
    (folder / "nothing.py").write_text("import durable_fsm\napp = durable_fsm.app()\n", encoding="utf-8")
    (folder / "wrong.py").write_text(
        "from statemachine import State, StateChart\n\n\nclass Wrong(StateChart):\n    here = State(initial=True)\n"
        "    there = State(final=True)\n    go = here.to(there, cond='is_missing')\n",
        encoding="utf-8",
    )
    (folder / "letter.json").write_text("{}", encoding="utf-8")
    plan("app", "--from", "parcels.jsonl", "-o", "parcel_plan.json")
    builds = "tests.plan.builds"
    yield ["nothing.py:app"]
    yield ["wrong.py:Wrong"]
    yield [f"{builds}:app", "--admin", "http://127.0.0.1:1"]
    yield [f"{builds}:app", "--from", "nothing.jsonl"]
    yield [f"{builds}:app", "--from", "nothing.jsonl", "--allow-empty"]
    yield [f"{builds}:app", "--from", "garbage.jsonl"]
    yield [f"{builds}:app", "--from", "missing.jsonl"]
    yield [f"{builds}:app", "--from", "unreadable.jsonl"]
    yield [f"{builds}:app", "--check", "letter.json"]
    yield [f"{builds}:fresh", "--check", "parcel_plan.json"]
    yield [f"{builds}:app", "--check", "parcel_plan.json", "--explain", "x"]
    yield [f"{builds}:both", "--explain", "paid-1"]
    yield [f"{builds}:app", "--from", "parcels.jsonl", "-o", "letter.json/plan.json"]
    yield [f"{builds}:app", "--old", f"{builds}:Missing"]


def test_every_mistake_is_told_where_it_is_and_what_to_do(folder: Path) -> None:
    text = "\n".join(told(args, folder) for args in mistakes(folder))

    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text("utf-8")
