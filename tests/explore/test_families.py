"""Machines inside machines: the explorer's moves are those of rehearsals, and its findings can be followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from durable_fsm import chart_from
from durable_fsm.cli import main
from durable_fsm.cli.simulate import begun_session
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, snapshot_to_json
from durable_fsm.explore import domain, never
from durable_fsm.explore.domains import Domains
from durable_fsm.explore.family import FamilyPlayer
from durable_fsm.explore.player import Position
from durable_fsm.explore.proofs import Proofs
from durable_fsm.explore.report import explore
from durable_fsm.explore.search import Bounds, StateSpace, search
from durable_fsm.explore.stories import lines_of
from durable_fsm.explore.story_lines import in_words
from durable_fsm.testing import Rehearsal
from machines.food.delivery import Delivery
from machines.food.machine import Order
from tests.explore.families import House, Kitchen

HERE = Path(__file__).parent
BOUNDS = Bounds(with_children=True, most=300)
DELIVERED = [domain(Delivery.find_driver, "driver-digital-twin/d-1")]


def space(definition: object, domains: list[Any] | None = None) -> StateSpace:
    chart = chart_from(definition)
    return search(chart, Domains(chart, domains or []), bounds=BOUNDS)


def machines_of(at: Position) -> dict[str, str]:
    inside = {member.path: member.at.snapshot for member in at.members if member.at.turns}
    return {path: canonical(snapshot_to_json(one)) for path, one in {"": at.snapshot, **inside}.items()}


def rehearsed(machine: Rehearsal, path: str = "") -> dict[str, str]:
    found = {path: machine.stored or ""}
    for id, inner in machine.machines.items():
        if inner.stored is not None and inner.status == "running":
            found.update(rehearsed(inner, f"{path}/{id}" if path else id))
    return found


def followed(chart: Chart, graph: StateSpace, number: int) -> Rehearsal:
    """A rehearsal after the story of a configuration."""
    first, *others = lines_of(graph.path(number))
    session = begun_session(chart, first, lambda _: None)
    for line in others:
        state = session.follow(line)
        assert "error" not in state, (in_words(line), state["error"])
    return session.machine


@pytest.mark.parametrize(
    ("definition", "domains"),
    [(Kitchen, []), (House, []), (Order, DELIVERED)],
    ids=["kitchen", "house", "food"],
)
def test_machines_inside_move_as_in_a_rehearsal(definition: object, domains: list[Any]) -> None:
    chart, graph = chart_from(definition), space(definition, domains)

    odd: list[str] = []
    for number, node in enumerate(graph.nodes):
        machine = followed(chart, graph, number)
        if rehearsed(machine) != machines_of(node.position):
            told = " · ".join(move.words for move in graph.path(number))
            odd.append(f"{told}: {rehearsed(machine)} is not {machines_of(node.position)}")

    assert odd[:1] == []
    assert len(graph.nodes) >= 8


def test_every_transition_that_only_a_child_can_cause_is_taken() -> None:
    with_children, alone = space(Kitchen), search(chart_from(Kitchen), Domains(chart_from(Kitchen)))

    assert {"busy--half_done--1"} <= with_children.taken.keys()
    assert with_children.is_closed
    assert "cook: timer begin" in {move.words for node in with_children.nodes for move, _ in node.out or ()}
    assert "done cook" in {move.words for node in alone.nodes for move, _ in node.out or ()}


def test_an_exclusive_activity_of_a_child_holds_what_is_sent_to_it() -> None:
    graph = space(Kitchen)

    waiting = [node.position for node in graph.nodes if node.position.post]
    assert {position.post[0].news.event for position in waiting if position.post} == {"hurry"}  # type: ignore[union-attr]
    assert all(any(member.at.held for member in position.members) for position in waiting)


def test_a_property_sees_the_machines_inside_and_its_story_names_them() -> None:
    one = never(
        "the cook is done before the order", lambda m: "cook" in m.machines and "plating" in m.machines["cook"].active
    )

    report = explore(Proofs(chart_from(Kitchen), properties=[one]), BOUNDS)

    (found,) = [finding for finding in report.findings if finding.name == one.name]
    assert [move.words for move in found.path[1:]] == ["order", "ask", "cook: done cooking"]
    assert [line.get("in") for line in lines_of(found.path)[1:]] == [None, None, "cook"]
    assert one.holds(followed(chart_from(Kitchen), report.graph, 0))
    machine = Rehearsal(Kitchen)
    machine.create()
    machine.send("order")
    machine.machines["cook"].send("hurry")
    machine.machines["cook"].finish("cooking")
    assert not one.holds(machine)


def test_the_command_explores_children_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["explore", f"{HERE / 'families.py'}:Kitchen", "--with-children", "--json"])

    (found,) = json.loads(result.output)
    assert found["bounds"]["within"][1] == "children take part, and messages between them arrive at once"
    assert found["unreached"] == []


def test_the_charts_inside_are_known_beforehand() -> None:
    assert FamilyPlayer(chart_from(House)).player_of("Cook").chart.name == "Cook"
