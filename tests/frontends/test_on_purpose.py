"""Charts that mean what is usually a mistake: dead ends, and children that live longer than one state."""

from __future__ import annotations

from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, chart_from, machine
from durable_fsm.errors import DefinitionError, DefinitionWarning
from durable_fsm.testing import Rehearsal


def parcel(**options: Any) -> TransitionsConfig:
    states = ["on_way", "lost", {"name": "delivered", "final": True}]
    ways = [["lose", "on_way", "lost"], ["deliver", "on_way", "delivered"]]
    return TransitionsConfig("Parcel", states=states, transitions=ways, initial="on_way", **options)


def test_a_dead_end_of_a_configuration_is_warned_of_unless_it_is_meant() -> None:
    with pytest.warns(DefinitionWarning, match="nothing leaves state 'lost', and it is not final"):
        chart_from(parcel())

    assert chart_from(parcel(dead_ends=("lost",))).states["lost"]  # warnings are errors here


@pytest.mark.parametrize("name", ["on_way", "delivered", "lots"])
def test_a_dead_end_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(
        DefinitionError, match=f"'{name}' is not a state that nothing leaves. Remove it from dead_ends="
    ):
        chart_from(parcel(dead_ends=("lost", name)))


def test_a_dead_end_of_a_class_is_declared_as_in_the_library() -> None:
    class Parcel(StateChart):
        validate_trap_states = False
        validate_final_reachability = False
        on_way = State(initial=True)
        lost = State()
        delivered = State(final=True)
        lose = on_way.to(lost)
        deliver = on_way.to(delivered)

    assert Rehearsal(Parcel).send("lose").configuration == ("lost",)


class Courier(StateChart):
    away = State(initial=True)
    home = State(final=True)
    arrive = away.to(home)


class Order(StateChart):
    cart = State(initial=True)

    class handling(State.Compound, invoke=machine(Courier, id="courier")):
        packing = State(initial=True)
        sending = State()
        send_off = packing.to(sending)

    done = State(final=True)
    checkout = cart.to(handling)
    done_invoke_courier = error_invoke_courier = handling.to(done)


CONFIGURED = TransitionsConfig(
    "Order",
    states=[
        "cart",
        {"name": "handling", "children": ["packing", "sending"], "initial": "packing"},
        {"name": "done", "final": True},
    ],
    transitions=[
        ["checkout", "cart", "handling"],
        ["send_off", "handling_packing", "handling_sending"],
        ["done_invoke_courier", "handling", "done"],
        ["error_invoke_courier", "handling", "done"],
    ],
    initial="cart",
    machines={"handling": machine(Courier, id="courier")},
)


@pytest.mark.parametrize("definition", [Order, CONFIGURED], ids=["class", "configuration"])
def test_a_child_of_a_state_around_others_outlives_each_of_them(definition: Any) -> None:
    order = Rehearsal(definition)
    order.send("checkout")
    courier = order.machines["courier"]

    order.send("send_off")
    assert order.machines["courier"].status == courier.status == "running"
    courier.send("arrive")

    assert order.configuration == ("done",)
