"""A configuration of transitions as a chart: its states, transitions, timers and events."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

import pytest

from durable_fsm import Retry, TransitionsConfig, activity, chart_from
from durable_fsm.core.chart import Kind
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import EventRejected, Forbidden, InvalidPayload
from durable_fsm.testing import Rehearsal
from tests.frontends.transitions.definitions import Checkout, Noting, OrderData, charge, config, plain

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


ORDER = TransitionsConfig(
    name="Order",
    doc="An order.",
    version="3",
    states=["cart", "charging", "on_hold", "paid", {"name": "expired", "final": True}],
    initial="cart",
    transitions=[
        {"trigger": "checkout", "source": "cart", "dest": "charging", "before": "keep"},
        {"trigger": "done_invoke_charging", "source": "charging", "dest": "paid", "before": "file"},
        ["error_invoke_charging", "charging", "on_hold"],
        ["expire", "on_hold", "expired"],
        {"trigger": "discount", "source": "*", "dest": None, "conditions": "is_cheap"},
    ],
    model=OrderData,
    activities={"charging": activity(charge, retry=Retry(attempts=5))},
    timers={"on_hold": {"expire": timedelta(minutes=15)}},
    events={"checkout": Checkout},
)


def test_an_order_from_cart_to_paid() -> None:
    order = Rehearsal(ORDER)

    order.send("checkout", {"cents": 500})
    assert order.running == ("charging",)
    order.finish("charging", "receipt-1")

    assert order.configuration == ("paid",)
    assert order.data == OrderData(cents=500, receipt="receipt-1", log=["paid, and paid"])


def test_a_chart_has_everything_that_its_configuration_says() -> None:
    chart = chart_from(ORDER)

    assert (chart.name, chart.version, chart.doc) == ("Order", "3", "An order.")
    assert list(chart.states) == ["", "cart", "charging", "on_hold", "paid", "expired"]
    assert chart.public_events == ("checkout", "discount")
    assert chart.activities["charging"].retry == Retry(attempts=5)
    assert chart.states["expired"].kind is Kind.FINAL
    assert chart.transitions[0].key == "cart--checkout--1"


def test_timers_and_outcomes_are_private_and_payloads_typed() -> None:
    order = Rehearsal(ORDER)

    with pytest.raises(InvalidPayload, match="cents"):
        order.send("checkout", {"cents": "many"})
    with pytest.raises(Forbidden):
        order.send("expire")
    order.send("checkout", {"cents": 5_000})
    order.fail("charging")
    with pytest.raises(EventRejected, match="Guard 'is_cheap' says no"):
        order.send("discount")
    order.advance(timedelta(minutes=15))
    assert (order.configuration, order.status) == (("expired",), Status.DONE)


def test_states_may_be_nested_parallel_and_tagged() -> None:
    nested = config(
        states=[
            {"name": "A", "tags": ["early", "shown"]},
            {"name": "B", "children": ["x", {"name": "y", "children": ["deep"], "initial": "deep"}], "initial": "y"},
            {"name": "C", "parallel": ["left", {"name": "right", "children": ["r1", "r2"], "initial": "r1"}]},
        ],
        transitions=[["b", "A", "B"], ["c", "B", "C"], ["step", "C_right_r1", "C_right_r2"], ["back", "C", "A"]],
    )
    chart = chart_from(nested)
    assert chart.states["A"].tags == {"early", "shown"}
    assert chart.states["C"].kind is Kind.PARALLEL

    machine = Rehearsal(nested)
    assert machine.send("b").configuration == ("B", "B_y", "B_y_deep")
    assert machine.send("c").configuration == ("C", "C_left", "C_right", "C_right_r1")
    assert machine.send("step").configuration == ("C", "C_left", "C_right", "C_right_r2")
    assert machine.send("back").configuration == ("A",)


def test_transitions_may_be_written_inside_a_state() -> None:
    inner = {"name": "B", "children": ["x", "y"], "initial": "x", "transitions": [["step", "x", "y"]]}
    machine = Rehearsal(config(states=["A", inner], transitions=[["go", "A", "B_x"]]))

    machine.send("go")

    assert machine.send("step").configuration == ("B", "B_y")


def test_a_state_with_children_and_no_initial_one_is_active_alone() -> None:
    machine = Rehearsal(
        config(states=["A", {"name": "B", "children": ["x"]}], transitions=[["go", "A", "B"], ["in", "B", "B_x"]])
    )

    assert machine.send("go").configuration == ("B", "B_itself")
    assert machine.send("in").configuration == ("B", "B_x")


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def test_states_may_be_an_enumeration() -> None:
    machine = Rehearsal(config(states=Colour, transitions=[["go", Colour.RED, Colour.GREEN]], initial=Colour.RED))

    assert machine.send("go").configuration == ("GREEN",)


def test_a_timeout_is_a_durable_timer_whose_callbacks_may_be_events() -> None:
    machine = Rehearsal(
        config(
            states=["A", {"name": "B", "timeout": 5, "on_timeout": ["note", "back"]}],
            transitions=[["go", "A", "B"], ["back", "B", "A"]],
            model=Noting,
        )
    )
    machine.send("go")
    assert machine.timers == {"timeout_B": timedelta(seconds=5)}

    machine.advance(timedelta(seconds=5))

    assert machine.configuration == ("A",)
    assert machine.data.log == ["exit A", "enter B: True, False", "note"]


def test_reflexive_leaves_and_enters_internal_does_not() -> None:
    machine = Rehearsal(
        config(
            states=["A"],
            transitions=[["again", "A", "="], {"trigger": "stay", "source": "A", "dest": None, "after": "note"}],
            model=Noting,
        )
    )
    machine.send("again")
    machine.send("stay")

    assert machine.data.log == ["exit A", "note"]


def test_ordered_transitions_and_names_in_lists() -> None:
    machine = Rehearsal(config(states=["A", "B", "C"], options={"ordered_transitions": True}))

    assert [machine.send("next_state").configuration for _ in range(3)] == [("B",), ("C",), ("A",)]


def test_a_machine_that_ignores_invalid_triggers_does_so_here() -> None:
    machine = Rehearsal(
        config(states=["A", "B"], transitions=[["go", "A", "B"]], options={"ignore_invalid_triggers": True})
    )
    machine.send("go")

    assert machine.send("go").outcome == "ignored"


def test_events_may_be_kept_to_the_machine_itself() -> None:
    machine = plain({"trigger": "begin", "source": "A", "dest": "B", "after": "go"}, ["go", "B", "C"], private=("go",))

    with pytest.raises(Forbidden):
        machine.send("go")
    assert machine.send("begin").configuration == ("C",)
