"""Machines that the library made already: they are read, and never driven."""

from __future__ import annotations

from typing import Any

import pytest
from transitions import Machine, State
from transitions.extensions import HierarchicalMachine, LockedHierarchicalMachine, LockedMachine

from durable_fsm import chart_from
from durable_fsm.errors import DefinitionWarning
from durable_fsm.testing import Rehearsal
from tests.frontends.transitions.definitions import Given, Noting, Plain

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


def test_a_live_machine_is_read_and_never_driven() -> None:
    model = Plain()
    machine = Machine(model, states=["A", State("B")], initial="A", auto_transitions=False, name="lamp")
    machine.add_transition("go", "A", "B", after="count")

    rehearsed = Rehearsal(machine)
    rehearsed.send("go", {"by": 2})

    assert rehearsed.chart.name == "lamp"
    assert (rehearsed.configuration, rehearsed.data.n) == (("B",), 2)
    assert (model.state, model.n) == ("A", 0)  # type: ignore[attr-defined]


def test_automatic_transitions_are_kept_as_private_events_with_a_warning() -> None:
    machine = HierarchicalMachine(Plain(), states=["A", {"name": "B", "children": ["x"]}], initial="A", name="auto")

    with pytest.warns(DefinitionWarning, match="kept as a private event"):
        chart = chart_from(machine)

    assert chart.public_events == ()
    assert "to_B_x" in chart.events


class Matter(Machine):
    """Machine and model in one, as the library's documentation has it."""

    def __init__(self, degrees: int) -> None:
        self.degrees = degrees
        super().__init__(states=["solid", "liquid"], initial="solid", auto_transitions=False)
        self.add_transition("melt", "solid", "liquid", conditions=self.is_hot, after="cool")

    def is_hot(self) -> bool:
        return self.degrees > 0

    def cool(self) -> None:
        self.degrees -= 1


def test_a_machine_may_be_its_own_model() -> None:
    matter = Matter(5)
    rehearsed = Rehearsal(matter)

    rehearsed.send("melt")

    assert rehearsed.chart.name == "Matter"
    assert (rehearsed.configuration, rehearsed.snapshot.data) == (("liquid",), {"degrees": 4})
    assert (matter.state, matter.degrees) == ("solid", 5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", [Machine, HierarchicalMachine, LockedMachine, LockedHierarchicalMachine])
def test_machines_begin_with_the_attributes_of_a_live_model_which_stays_as_it_is(cls: Any) -> None:
    model = Given(7)
    machine = cls(model, states=["A", "B"], initial="A", auto_transitions=False)
    machine.add_transition("go", "A", "B", after=model.count)

    rehearsed = Rehearsal(machine)
    rehearsed.send("go")

    assert rehearsed.chart.name == "Given"
    assert (rehearsed.snapshot.data, model.n) == ({"n": 8}, 7)


def test_a_live_model_may_be_a_dataclass_with_a_field_of_its_own() -> None:
    machine = Machine(
        Noting(n=3), states=["A", "B"], initial="A", auto_transitions=False, transitions=[["go", "A", "B"]]
    )

    assert Rehearsal(machine).send("go").configuration == ("B",)


def test_a_live_machine_may_have_no_model() -> None:
    machine = Machine(
        model=None, states=["A", "B"], initial="A", transitions=[["go", "A", "B"]], auto_transitions=False
    )

    assert Rehearsal(machine).send("go").configuration == ("B",)


def test_a_machine_without_anything_of_its_own_is_a_machine_without_a_model() -> None:
    machine = Machine(
        states=["A", "B"], initial="A", auto_transitions=False, transitions=[["go", "A", "B"]], name="bare"
    )

    assert Rehearsal(machine).send("go").chart == "bare"
