"""`durable-fsm diagram --overlay`: what each file shows, and what is said of a file that cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.diagram.overlay import VERDICTS
from durable_fsm.plan.plan_file import PlanHead, PlannedChart, PlannedKind, PlanVerdict, PlanWriter

LAMP = f"{Path(__file__).parent / 'lamp.py'}:Lamp"


def diagram(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diagram", *arguments])


STORY = '{"event": "press"}\n{"timer": "go_out"}\n'


def overlaid(place: Path, kind: str, content: str) -> Result:
    (place / "file.json").write_text(content, encoding="utf-8")
    return diagram(LAMP, "--overlay", f"{kind}={place / 'file.json'}")


def a_plan(place: Path, *kinds: PlannedKind, chart: str = "Lamp") -> str:
    """A plan of one chart, as text."""
    head = PlanHead("2030-01-01T14:06:28+00:00", "service:app", None, (PlannedChart(chart, "3", "d"),))
    with PlanWriter(place / "plan.json", head) as plan:
        plan.finish(list(kinds))
    return (place / "plan.json").read_text("utf-8")


def test_the_way_of_a_story_is_drawn(tmp_path: Path) -> None:
    result = overlaid(tmp_path, "path", STORY)

    assert result.exit_code == 0, result.output
    assert "The story file.json: 2 steps" in result.stdout
    assert "taken in this step" in result.stdout


def test_the_verdicts_of_a_plan_are_drawn_where_machines_will_be(tmp_path: Path) -> None:
    moves = PlannedKind("Lamp", PlanVerdict.MOVES, "2", ("dim",), ("on",), 12, "l-1")
    blocked = PlannedKind("Lamp", PlanVerdict.BLOCKED, "2", ("gone",), (), 3, "l-2", needs_you=True)
    result = overlaid(tmp_path, "plan", a_plan(tmp_path, moves, blocked))

    assert "12 moves" in result.stdout
    assert "Plan of Lamp 3, made 2030-01-01 14:06:28; not on this diagram: 3 in gone" in result.stdout


def test_every_verdict_of_a_plan_has_a_colour_and_a_meaning() -> None:
    assert set(VERDICTS) == {verdict.value for verdict in PlanVerdict}


def test_coverage_of_another_build_is_drawn_with_a_warning(tmp_path: Path) -> None:
    result = overlaid(tmp_path, "coverage", '{"charts": {"Lamp": {"digest": "old", "transitions": {}, "states": {}}}}')

    assert "Lamp has changed since this was written: write it again." in result.stderr
    assert "Taken by tests: 0 of" in result.stdout


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("heat", "", "is not an overlay. Write --overlay population, coverage=FILE, plan=FILE or path=FILE."),
        ("population", "", "is not an overlay."),
        ("coverage", "{", "is not valid JSON"),
        ("coverage", "[]", "does not contain a JSON object."),
        ("coverage", "{}", "does not say which transitions of Lamp were taken."),
        ("coverage", '{"charts": {"Order": {}}}', "does not say which transitions of Lamp were taken. It has: Order."),
        ("coverage", '{"chart": "Order", "transitions": {}}', "is about Order, not about Lamp."),
        ("plan", "{}", "is not a plan"),
        ("path", '{"done": "on"}', "line 1: Lamp/simulated: activity 'on' is not running; running: none"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_told(tmp_path: Path, kind: str, content: str, message: str) -> None:
    result = overlaid(tmp_path, kind, content)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_plan_of_another_chart_is_told(tmp_path: Path) -> None:
    result = overlaid(tmp_path, "plan", a_plan(tmp_path, chart="Order"))

    assert result.exit_code == 2
    assert "is not about Lamp, but about Order." in result.stderr


@pytest.mark.parametrize("kind", ["coverage", "plan", "path"])
def test_a_file_that_is_not_there_is_told(kind: str) -> None:
    result = diagram(LAMP, "--overlay", f"{kind}=nowhere.json")

    assert result.exit_code == 2
    assert "nowhere.json'" in result.stderr


def test_an_overlay_needs_a_picture() -> None:
    result = diagram(LAMP, "--overlay", "coverage=x.json", "--format", "mermaid")

    assert "An overlay is drawn on a picture: mermaid has none. Use .svg or .png." in result.stderr


def test_the_population_cannot_be_checked() -> None:
    result = diagram(LAMP, "--overlay", "population", "--check", "-o", "x.svg")

    assert "The population changes all the time: leave out --check." in result.stderr


def test_the_population_needs_a_server() -> None:
    result = diagram(LAMP, "--overlay", "population", "--admin", "http://127.0.0.1:1")

    assert result.exit_code == 7
