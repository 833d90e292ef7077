"""States inside of states, side by side, and machines inside of states, as transitions has them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from transitions import State
from transitions.extensions import HierarchicalMachine
from transitions.extensions.nesting import NestedState

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal
from tests.frontends.transitions.definitions import REGIONS, config

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


def test_one_configuration_is_one_chart_and_its_lists_stay_as_they_are() -> None:
    states: list[Any] = [{"name": "A"}, {"name": "B", "children": [{"name": "x"}], "initial": "x"}]
    written = config(states=states, transitions=(("go", "A", "B"),))

    assert chart_from(written) is chart_from(written)
    assert states == [{"name": "A"}, {"name": "B", "children": [{"name": "x"}], "initial": "x"}]


def test_state_objects_of_both_kinds_are_states() -> None:
    flat = Rehearsal(config(states=[State("A"), State("on_hold")], transitions=[["go", "A", "on_hold"]]))
    nested = Rehearsal(config(states=[NestedState("A"), "B_x"], transitions=[["go", "A", "B_x"]]))

    assert flat.send("go").configuration == ("on_hold",)
    assert nested.send("go").configuration == ("B", "B_x")


def test_an_enumeration_in_an_enumeration_is_a_nested_state() -> None:
    class Lit(Enum):
        BRIGHT = 1
        DIM = 2

    class Lamp(Enum):
        OFF = 0
        LIT = Lit

    seen: list[object] = []
    lamp = Rehearsal(
        config(
            states=Lamp,
            initial=Lamp.OFF,
            transitions=[
                ["dim", Lamp.OFF, Lit.DIM],
                {"trigger": "look", "source": "LIT", "dest": None, "after": "look"},
            ],
            model=type("Model", (), {"look": lambda self: seen.append(self.state)}),
        )
    )

    assert lamp.send("dim").configuration == ("LIT", "LIT_DIM")
    lamp.send("look")
    assert seen == [Lit.DIM]


def test_with_another_separator_names_may_have_underscores() -> None:
    parcel = Rehearsal(
        config(
            states=["on_shelf", {"name": "on_way", "children": ["by_train", "by_car"], "initial": "by_train"}],
            transitions=[["send_off", "on_shelf", "on_way"], ["unload", "on_way.by_train", "on_way.by_car"]],
            initial="on_shelf",
            separator=".",
        )
    )
    parcel.send("send_off")

    assert parcel.send("unload").configuration == ("on_way", "on_way.by_car")


def test_a_machine_may_begin_in_several_regions() -> None:
    machine = Rehearsal(config(states=["A", REGIONS], transitions=[["go", "A", "P"]], initial=["P_l_2", "P_r_1"]))
    machine.create()

    assert machine.configuration == ("P", "P_l", "P_l_2", "P_r", "P_r_1")


def test_the_machine_of_the_library_s_documentation_rests_in_its_parent() -> None:
    machine = Rehearsal(
        config(
            states=["standing", "walking", {"name": "caffeinated", "children": ["dithering", "running"]}],
            transitions=[
                ["walk", "standing", "walking"],
                ["stop", "walking", "standing"],
                ["drink", "*", "caffeinated"],
                ["walk", ["caffeinated", "caffeinated_dithering"], "caffeinated_running"],
                ["relax", "caffeinated", "standing"],
            ],
            initial="standing",
            options={"ignore_invalid_triggers": True},
        )
    )

    assert [machine.send(event).configuration[-1] for event in ("walk", "stop", "drink", "walk", "stop", "relax")] == [
        "walking", "standing", "caffeinated_itself", "caffeinated_running", "caffeinated_running", "standing",
    ]  # fmt: skip


def test_transitions_inside_of_regions_and_around_them_are_taken_together() -> None:
    states = [
        "A",
        "B",
        {
            "name": "C",
            "parallel": [
                {"name": "1", "children": ["a", "b"], "initial": "a", "transitions": [["go", "a", "b"]]},
                {"name": "2", "children": ["x", "z"], "initial": "z"},
            ],
            "transitions": [["go", "2_z", "2_x"]],
        },
    ]
    machine = Rehearsal(config(states=states, transitions=[["c", "A", "C"], ["reset", "C_1_b", "B"]]))
    machine.send("c")

    assert machine.send("go").configuration == ("C", "C_1", "C_1_b", "C_2", "C_2_x")
    assert machine.send("reset").configuration == ("B",)


def counting(**rest: Any) -> Rehearsal:
    """A machine inside of a machine, as in the library's documentation."""
    counter = HierarchicalMachine(
        states=["1", "2", "done"],
        transitions=[["increase", "1", "2"], ["done", "2", "done"], ["reset", "*", "1"]],
        initial="1",
        auto_transitions=False,
    )
    states = ["waiting", {"name": "counting", "children": counter, **rest}]
    return Rehearsal(config(states=states, transitions=[["count", "waiting", "counting"]], initial="waiting"))


def test_a_machine_may_be_the_inside_of_a_state() -> None:
    machine = counting()
    machine.send("count")
    machine.send("increase")

    assert machine.send("done").configuration == ("counting", "counting_done")
    assert machine.send("reset").configuration == ("counting", "counting_1")


def test_a_state_of_a_nested_machine_may_be_mapped_to_an_outer_state() -> None:
    machine = counting(remap={"done": "waiting"})
    machine.send("count")
    machine.send("increase")

    assert machine.send("done").configuration == ("waiting",)
