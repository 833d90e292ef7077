"""Where a search begins, how its clock moves, and what it writes for other programs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm import chart_from
from durable_fsm.cli import main
from durable_fsm.explore.proofs import Proofs
from durable_fsm.explore.report import explore as explored
from durable_fsm.explore.saved import itf_value
from durable_fsm.testing import Rehearsal
from tests.explore.gate import BrokenGate, Offer
from tests.explore.test_command import BROKEN, GATE, HERE, written_in

OFFER = f"{HERE / 'gate.py'}:Offer"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explore(*args: str) -> Result:
    return CliRunner().invoke(main, ["explore", *args])


def exported(*machines: Rehearsal) -> None:
    """Write machines as `durable-fsm export` does."""
    lines = [
        {"format": 1, "chart": one.chart.name, "key": one.key, "snapshot": json.loads(one.stored or "")}
        for one in machines
    ]
    Path("machines.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def opened(key: str) -> Rehearsal:
    machine = Rehearsal(BrokenGate, key=key)
    machine.create()
    machine.send("pay")
    return machine


def test_a_search_begins_where_a_machine_is_and_its_test_does_too() -> None:
    exported(opened("g-1"))

    result = explore(BROKEN, "--from", "machines.jsonl")

    assert result.exit_code == 1
    assert "  within    from the snapshot of g-1; equal things count once\n" in result.output
    assert "  violated  it is never stuck, after 1 move:\n              timer shut\n" in result.output
    assert "is taken" not in result.output  # transitions that are behind it are not findings
    source = Path("explored/test_brokengate_it_is_never_stuck.py").read_text("utf-8")
    assert 'Rehearsal(BrokenGate, key="g-1", snapshot={' in source
    assert json.loads(Path("explored/brokengate_it_is_never_stuck.story.jsonl").read_text("utf-8").splitlines()[0])[
        "chart"
    ].endswith("gate.py:BrokenGate")


def test_a_search_may_begin_with_several_machines() -> None:
    exported(opened("g-1"), opened("g-2"))

    result = explore(BROKEN, "--from", "machines.jsonl")

    assert "within    from the snapshots of 2 machines" in result.output


def test_the_story_of_a_snapshot_can_be_simulated() -> None:
    exported(opened("g-1"))
    explore(BROKEN, "--from", "machines.jsonl")

    story = "explored/brokengate_it_is_never_stuck.story.jsonl"
    result = CliRunner().invoke(main, ["simulate", BROKEN, "--events", story])

    states = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["outcome"], one["leaves"]) for one in states] == [
        ("created", ["closed"]),
        ("restored", ["open"]),
        ("taken", ["jammed"]),
    ]


def test_work_of_an_export_that_cannot_be_read_is_a_clear_error() -> None:
    exported(opened("g-1"))
    wrong = json.loads(Path("machines.jsonl").read_text("utf-8"))
    wrong["snapshot"]["version"] = "9"
    Path("machines.jsonl").write_text(json.dumps(wrong), encoding="utf-8")

    result = explore(BROKEN, "--from", "machines.jsonl")

    assert result.exit_code == 5
    assert result.output.startswith("Error: BrokenGate/g-1: ")


def test_the_clock_moves_as_far_as_told_and_only_then_both_ways_of_a_guard_are_seen() -> None:
    still = explored(Proofs(chart_from(Offer)))
    moving = explored(Proofs(chart_from(Offer), clock=[timedelta(0), timedelta(hours=2)]))

    assert [one.transition for one in still.findings] == ["open--take--2"]
    assert moving.findings == []
    assert "the clock moves 0 or 2 h before a move, if no timer is due on the way" in moving.within()


def test_a_test_and_a_story_move_the_clock_as_the_search_did() -> None:
    proofs = Path("offers.py")
    proofs.write_text(
        "from datetime import timedelta\nfrom durable_fsm.explore import never\nfrom tests.explore.gate import Offer\n"
        "chart = Offer\nclock = [timedelta(hours=2)]\n"
        "properties = [never('it is too late', lambda m: 'too_late' in m.active)]\n",
        encoding="utf-8",
    )

    result = explore("offers.py")

    assert "publish · after 2 h: take" in result.output
    (test,) = written_in(_with_property(Path("explored/test_offer_it_is_too_late.py").read_text("utf-8")))
    with pytest.raises(AssertionError):
        test()


def _with_property(source: str) -> str:
    """A written test without the import of its proofs file, which is not on the path."""
    given = "from durable_fsm.explore import never\nfrom tests.explore.gate import Offer as chart\n"
    given += "properties = [never('it is too late', lambda m: 'too_late' in m.active)]"
    return source.replace("from offers import chart, properties", given)


def test_everything_that_was_seen_can_be_saved() -> None:
    explore(GATE, "--save", "space.json")

    found = json.loads(Path("space.json").read_text("utf-8"))
    assert (found["chart"], found["closed"], len(found["configurations"])) == ("Gate", True, 3)
    assert found["states"] == {"closed": 1, "open": 1, "removed": 1}
    assert found["transitions"]["open--shut--1"] == 1
    assert {"from": 1, "to": 0, "move": {"timer": "shut"}} in found["edges"]
    assert found["configurations"][1]["timers"] == ["shut"]


def test_a_counterexample_is_written_as_a_trace_for_other_tools() -> None:
    explore(BROKEN, "--itf", "trace.itf.json")

    trace = json.loads(Path("trace.itf.json").read_text("utf-8"))
    assert trace["#meta"]["format"] == "ITF"
    assert [state["leaves"] for state in trace["states"]] == [["closed"], ["open"], ["jammed"]]
    assert [state["move"] for state in trace["states"]] == ["create {}", "pay", "timer shut"]
    assert all(set(trace["vars"]) == state.keys() - {"#meta"} for state in trace["states"])


def test_without_a_counterexample_there_is_no_trace() -> None:
    result = explore(GATE, "--itf", "trace.itf.json")

    assert "trace.itf.json was not written: there is no counterexample." in result.output
    assert not Path("trace.itf.json").exists()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {"tag": "None", "value": {"#tup": []}}),
        (2**60, {"#bigint": str(2**60)}),
        (1.5, {"#unserializable": "1.5"}),
        ([True, {"a": 1}], [True, {"a": 1}]),
        ({"#a": 1}, {"#map": [["#a", 1]]}),
    ],
    ids=["null", "large", "fraction", "nested", "sign"],
)
def test_values_of_a_trace_are_in_the_words_of_the_format(value: object, expected: object) -> None:
    assert itf_value(value) == expected  # type: ignore[arg-type]


def test_a_note_says_which_deferred_events_only_senders_can_set_free() -> None:
    result = explore(f"{HERE / 'gate.py'}:Desk")

    assert result.exit_code == 0
    assert (
        "  note      in closed only an event from outside lets the machine take 'ask': when 1,000 wait" in result.output
    )


def test_properties_of_the_whole_life_are_not_asked_of_a_machine_in_the_middle() -> None:
    Path("life.py").write_text(
        "from durable_fsm.explore import can_always, sometimes\nfrom tests.explore.gate import BrokenGate\n"
        "chart = BrokenGate\nproperties = [sometimes('it is mended', lambda m: False),"
        " can_always('end', lambda m: m.status == 'done')]\n",
        encoding="utf-8",
    )
    exported(opened("g-1"))

    result = explore("life.py", "--from", "machines.jsonl")

    assert "it is mended" not in result.output
    assert "  violated  can always: end, at the beginning" in result.output
