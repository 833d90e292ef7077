"""`durable-fsm explore`: the report, the files, and every mistake that a person can make, as they see it.

The mistakes are in refusals.txt; DURABLE_FSM_WRITE_GOLDEN=1 writes it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.explore import report as reports

HERE = Path(__file__).parent
GATE = f"{HERE / 'gate.py'}:Gate"
BROKEN = f"{HERE / 'gate.py'}:BrokenGate"
GOLDEN = HERE / "refusals.txt"


def explore(*args: str) -> Result:
    return CliRunner().invoke(main, ["explore", *args])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d s", "0.0 s", text)


def test_a_chart_in_which_nothing_is_found_exits_with_0() -> None:
    result = explore(GATE)

    assert without_times(result.output) == (
        "Gate 1: 3 configurations, 5 steps, closed, 0.0 s.\n"
        "  within    equal things count once; samples for 1 type\n"
        "  covered   states 3/3 · transitions 4/4 · timers 1/1 · guards both ways 1/1\n"
        "  holds     it is never stuck · nothing fails again and again without a pause ·\n"
        "            a deferred event can be processed later · nothing grows by itself without end\n"
    )
    assert result.exit_code == 0


def test_a_finding_is_told_with_its_path_and_exits_with_1(folder: Path) -> None:
    result = explore(BROKEN)

    assert result.exit_code == 1
    assert "  violated  it is never stuck, after 2 moves:\n              pay · timer shut\n" in result.output
    assert "            jammed: nothing moves it on; guards refuse 'mend'\n" in result.output
    assert "guard 'is_mended' is never true" in result.output
    assert sorted(file.name for file in (folder / "explored").iterdir())[:3] == [
        "brokengate_it_is_never_stuck.story.jsonl",
        "brokengate_it_is_never_stuck.svg",
        "brokengate_transition_jammed_mend_1_is_taken.story.jsonl",
    ]


def test_a_story_of_a_finding_can_be_simulated(folder: Path) -> None:
    explore(BROKEN, "-o", "found")

    result = CliRunner().invoke(
        main, ["simulate", BROKEN, "--events", str(folder / "found" / "brokengate_it_is_never_stuck.story.jsonl")]
    )

    states = [json.loads(line)["leaves"] for line in result.stdout.splitlines()]
    assert states == [["closed"], ["closed"], ["open"], ["jammed"]]


def test_the_picture_of_a_finding_has_its_path_on_it(folder: Path) -> None:
    explore(BROKEN)

    picture = (folder / "explored" / "brokengate_it_is_never_stuck.svg").read_text("utf-8")
    assert picture.count("is-taken") >= 2
    assert "is-active" in picture


def test_a_written_test_fails_as_long_as_the_finding_is_true(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "gate.py").write_text((HERE / "gate.py").read_text("utf-8"), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    explore("gate.py:BrokenGate")
    source = (folder / "explored" / "test_brokengate_it_is_never_stuck.py").read_text("utf-8")

    (test,) = written_in(source)
    with pytest.raises(AssertionError):
        test()
    monkeypatch.delitem(sys.modules, "gate")


def test_a_suite_is_written_for_one_chart(folder: Path) -> None:
    result = explore(GATE, "--suite", "test_gate.py", "--cover", "transitions")

    assert "3 paths cover 4/4 transitions (lengths 2, 1, 1)" in result.output
    assert (folder / "test_gate.py").read_text("utf-8").count("def test_path_") == 3


def test_programs_get_the_same_as_json() -> None:
    (found,) = json.loads(explore(BROKEN, "--json").output)

    assert (found["closed"], found["configurations"]) == (True, 4)
    assert {one["name"]: one["verdict"] for one in found["verdicts"]}["it is never stuck"] == "violated"
    assert found["findings"][0]["story"][-1] == {"timer": "shut"}


def test_a_search_that_is_cut_off_says_so_and_exits_with_1() -> None:
    result = explore(GATE, "--depth", "1")

    assert result.exit_code == 1
    assert "not closed (depth 1)" in result.output


def test_processes_and_other_bounds_are_options() -> None:
    result = explore(GATE, "--processes", "2", "--k", "2", "--seconds", "60", "--timers", "in order")

    assert result.exit_code == 0
    assert "equal things count up to 2 times; timers in order" in result.output


def test_ctrl_c_reports_what_was_seen_and_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = reports.search

    def interrupted(*args: object, **options: object) -> object:
        graph = searched(*args, **options)  # type: ignore[arg-type]
        graph.end = "interrupted"
        return graph

    monkeypatch.setattr(reports, "search", interrupted)

    result = explore(GATE)

    assert result.exit_code == 130
    assert "not closed (interrupted)" in result.output


def written_in(source: str) -> list[Callable[[], None]]:
    names: dict[str, object] = {}
    exec(compile(source, "written tests", "exec"), names)  # noqa: S102 - what we have written ourselves
    return [value for name, value in names.items() if name.startswith("test_") and callable(value)]


PROOFS = "from durable_fsm.explore import always, domain\nfrom tests.explore.gate import Gate\n"

MISTAKES: dict[str, str] = {
    "nothing.py": "",
    "another.py": "chart = 5\n",
    "domains.py": f"{PROOFS}chart = Gate\ndomains = [5]\n",
    "properties.py": f"{PROOFS}chart = Gate\nproperties = 'always'\n",
    "twice.py": f"{PROOFS}chart = Gate\nproperties = [always('it works', bool), always('it works', bool)]\n",
    "view.py": f"{PROOFS}chart = Gate\nview = {{'cents': 'len'}}\n",
    "event.py": f"{PROOFS}chart = Gate\ndomains = [domain('pya', {{'cents': 1}})]\n",
    "misfit.py": f"{PROOFS}chart = Gate\ndomains = [domain(Gate.pay, {{'cents': 'one'}})]\n",
    "computed.py": f"{PROOFS}chart = Gate\ndomains = [domain(Gate.pay, lambda m: {{'cents': m.status}})]\n",
    "create.py": f"{PROOFS}chart = Gate\ndomains = [domain('create', lambda m: {{}})]\n",
    "function.py": f"{PROOFS}chart = Gate\ndomains = [domain(Gate.pay, lambda m: m.nothing)]\n",
    "member.py": f"{PROOFS}chart = Gate\nproperties = [always('it works', lambda m: m.activ)]\n",
    "raises.py": f"{PROOFS}chart = Gate\nproperties = [always('it works', lambda m: 1 / 0)]\n",
    "broken.py": "chart = Nothing\n",
    "data.py": f"{PROOFS.replace('Gate', 'Offer')}chart = Offer\nproperties = [always('it works', lambda m: m.data.att)]\n",
    "back.py": f"{PROOFS.replace('Gate', 'Offer')}from datetime import timedelta\nchart = Offer\nclock = [timedelta(-1)]\n",
    "still.py": f"{PROOFS}from datetime import timedelta\nchart = Gate\nclock = [timedelta(1)]\n",
    "hours.py": f"{PROOFS.replace('Gate', 'Offer')}chart = Offer\nclock = [1]\n",
}


def refusals(folder: Path) -> str:
    """What a person sees after each mistake."""
    parts: list[str] = []
    for name, text in MISTAKES.items():
        (folder / name).write_text(text, encoding="utf-8")
        result = explore(name)
        parts.append(f"$ durable-fsm explore {name}   # exit {result.exit_code}\n{result.output}")
    (folder / "empty.jsonl").write_text("", encoding="utf-8")
    (folder / "code.scxml").write_text(
        '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" name="Door" datamodel="python">'
        '<state id="open"><transition event="shut" cond="__import__(\'os\')" target="shut"/></state>'
        '<final id="shut"/></scxml>',
        encoding="utf-8",
    )
    for args in (
        ["missing.py"],
        [GATE.replace("Gate", "Gaet")],
        [],
        [GATE, "--k", "0"],
        [GATE, BROKEN, "--suite", "x.py"],
        [GATE, BROKEN, "--save", "x.json"],
        [GATE, BROKEN, "--from", "g-1"],
        [GATE, "--from", "nothing.jsonl"],
        [GATE, "--from", "misfit.py"],
        [GATE, "--from", "empty.jsonl"],
        [GATE, "--from", "g-1", "--suite", "x.py"],
        [GATE, "--from", "g-1", "--with-children"],
        [GATE, "--kills"],
        [GATE, "--from", "g-1", "--admin", "http://127.0.0.1:1"],
        ["code.scxml"],
    ):
        result = explore(*args)
        shown = " ".join(args).replace(str(HERE), "tests/explore")
        parts.append(f"$ durable-fsm explore {shown}   # exit {result.exit_code}\n{result.output}")
    return without_times("\n".join(parts)).replace(str(HERE), "tests/explore").replace(str(folder), ".")


def test_every_mistake_is_told_where_it_is_and_what_to_do(folder: Path) -> None:
    told = refusals(folder)

    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        GOLDEN.write_text(told, encoding="utf-8")
    assert told == GOLDEN.read_text("utf-8")


def test_code_that_decides_by_chance_is_found_with_a_test_that_fails(folder: Path) -> None:
    result = explore(f"{HERE / 'gate.py'}:RandomGate")

    assert "  violated  its code decides the same twice, after 1 move:\n              pay\n" in result.output
    source = (folder / "explored" / "test_randomgate_its_code_decides_the_same_twice.py").read_text("utf-8")
    assert "    assert played() == played()\n" in source


def test_code_that_decides_by_the_order_of_a_set_is_found_by_a_second_process() -> None:
    alone = explore(f"{HERE / 'gate.py'}:SetGate")
    compared = explore(f"{HERE / 'gate.py'}:SetGate", "--second-process")

    assert alone.exit_code == 0
    assert compared.exit_code == 1
    assert "  violated  its code decides the same in another process" in compared.output


def test_a_message_that_comes_back_is_a_move() -> None:
    (found,) = json.loads(explore(f"{HERE / 'gate.py'}:Sender", "--json").output)

    assert found["coverage"]["transitions"] == {"seen": 2, "of": 2}
    assert found["findings"] == []


def test_an_application_is_explored_chart_by_chart_and_each_story_names_its_chart(folder: Path) -> None:
    text = (HERE / "gate.py").read_text("utf-8")
    (folder / "an_app.py").write_text(f"{text}\n\nimport durable_fsm\napp = durable_fsm.app(Gate, BrokenGate)\n")

    result = explore("an_app.py:app")

    assert [line.split(":")[0] for line in result.output.splitlines() if "configurations" in line] == [
        "Gate 1",
        "BrokenGate 1",
    ]
    assert "durable-fsm simulate an_app.py:BrokenGate --events" in result.output
    assert "from an_app import BrokenGate" in (folder / "explored" / "test_brokengate_it_is_never_stuck.py").read_text(
        "utf-8"
    )


def test_a_document_is_explored(folder: Path) -> None:
    (folder / "door.scxml").write_text(
        '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" name="Door" initial="open">'
        '<state id="open"><transition event="shut" target="shut"/></state><state id="shut"/></scxml>'
    )

    result = explore("door.scxml")

    assert "  violated  it is never stuck, after 1 move:\n              shut\n" in result.output
    source = (folder / "explored" / "test_door_it_is_never_stuck.py").read_text("utf-8")
    (test,) = written_in(source)
    with pytest.raises(AssertionError):
        test()
