"""Machines of `machines/` that are declared twice, as a class and as a configuration of transitions, do the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from durable_fsm import TerminalError, chart_from
from durable_fsm.errors import DurableFSMError
from durable_fsm.testing import Rehearsal
from machines.greeter import as_transitions as greeter_twin
from machines.greeter.machine import Greeter
from machines.machine_operator import as_transitions as operator_twin
from machines.machine_operator.machine import MachineOperator
from machines.package_tracker import as_transitions as package_twin
from machines.package_tracker.machine import Package

Story = list[tuple[str, Any]]
Answers = dict[str, Callable[[Any], Any]]

NOON = "2026-11-20T12:00:00Z"


def broken(data: object) -> None:
    raise TerminalError("it is broken")


TWINS: dict[str, tuple[Any, Any, list[tuple[str, Any]]]] = {
    "greeter": (
        Greeter,
        greeter_twin.Greeter,
        [
            ("greet", {"greeting": "Hi"}),
            ("greet", {"greeting": ""}),
            ("greet", None),
            ("ungreet", None),
            ("wave", None),
        ],
    ),
    "machine_operator": (
        MachineOperator,
        operator_twin.MachineOperator,
        [("set_up", None), ("tear_down", None), ("paint", None)],
    ),
    "package_tracker": (
        Package,
        package_twin.Package,
        [
            ("register", {"destination": "Oslo"}),
            ("register", {}),
            ("update_location", {"timestamp": NOON, "location": "Malmö"}),
            ("update_location", {"timestamp": NOON, "location": "Oslo"}),
            ("update_location", {"timestamp": "yesterday", "location": "Oslo"}),
        ],
    ),
}


def known(rehearsal: Rehearsal) -> object:
    """The data, as it is stored; a class without data has none."""
    return rehearsal.data.model_dump(mode="json") if isinstance(rehearsal.data, BaseModel) else {}


def told(definition: Any, story: Story, answers: Answers) -> list[object]:
    """What a machine answers to each event, where it is afterwards, and what it knows."""
    rehearsal = Rehearsal(definition, key="twin", answers=answers)
    lines: list[object] = []
    for event, payload in story:
        try:
            receipt = rehearsal.send(event, payload)
            said: object = (receipt.outcome, receipt.reply)
        except DurableFSMError as error:
            said = type(error).__name__
        lines.append((event, said))
        if rehearsal.trace:
            lines.append((rehearsal.configuration, rehearsal.status, known(rehearsal)))
    return lines


@pytest.mark.parametrize("name", TWINS)
@given(choice=st.data())
def test_twins_answer_alike_and_end_alike(name: str, choice: st.DataObject) -> None:
    one, other, alphabet = TWINS[name]
    story = choice.draw(st.lists(st.sampled_from(alphabet), max_size=8))
    works = choice.draw(st.sampled_from([lambda _: None, broken]))
    answers = dict.fromkeys(chart_from(one).activities, works)

    assert told(one, story, answers) == told(other, story, answers)


@pytest.mark.parametrize("name", TWINS)
def test_twins_have_the_same_states_edges_and_handlers(name: str) -> None:
    shapes = []
    for definition in TWINS[name][:2]:
        chart = chart_from(definition)
        edges = {(edge.source, edge.events, edge.targets) for edge in chart.transitions}
        shapes.append((chart.name, list(chart.states), edges, dict(chart.hosting.handlers), set(chart.public_events)))

    assert shapes[0] == shapes[1]
