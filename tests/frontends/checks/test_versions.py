"""Versions as authors declare them, in both libraries: what is refused when they are read, and how a machine migrates."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    OldMachine,
    TransitionsConfig,
    activity,
    after,
    chart_from,
    durable,
    event,
    free,
    gone,
    keep,
    migration,
)
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.retention import AfterEnd
from durable_fsm.errors import DefinitionError, MigrationError
from durable_fsm.testing import Rehearsal


async def charge(data: Any) -> str: ...


class Old(BaseModel):
    name: str = "Ada Lovelace"


class New(BaseModel):
    first: str
    last: str


def split(old: OldMachine) -> None:
    first, _, last = old.data.pop("name").partition(" ")
    old.data.update(first=first, last=last)


@durable(version="1", name="Order")
class OrderBefore(StateChart[Old]):
    cart = State(initial=True)
    charging = State(invoke=activity(charge))
    paid = State(final=True)

    checkout = event(cart.to(charging))
    done_invoke_charging = charging.to(paid)
    error_invoke_charging = charging.to(cart)


@durable(version="3", migrations=[migration("1", to="2", states={"charging": "paying"}), migration("2", split, to="3")])
class Order(StateChart[New]):
    cart = State(initial=True)
    paying = State(invoke=activity(charge))
    paid = State(final=True)

    checkout = event(cart.to(paying))
    done_invoke_paying = paying.to(paid)
    error_invoke_paying = paying.to(cart)
    give_up = after(timedelta(hours=1), paying.to(cart))


CONFIGURED = TransitionsConfig(
    "Order",
    states=["cart", "paying", {"name": "paid", "final": True}],
    transitions=[
        ["checkout", "cart", "paying"],
        ["done_invoke_paying", "paying", "paid"],
        ["error_invoke_paying", "paying", "cart"],
        ["give_up", "paying", "cart"],
    ],
    initial="cart",
    model=New,
    activities={"paying": activity(charge)},
    timers={"paying": {"give_up": timedelta(hours=1)}},
    version="3",
    migrations=(migration("1", to="2", states={"charging": "paying"}), migration("2", split, to="3")),
)


@pytest.mark.parametrize("definition", [Order, CONFIGURED], ids=["python-statemachine", "transitions"])
def test_a_rehearsal_begins_where_an_older_version_has_stopped(definition: Any) -> None:
    before = Rehearsal(OrderBefore)
    before.send("checkout")

    order = Rehearsal(definition, snapshot=snapshot_to_json(before.snapshot))

    assert order.configuration == ("paying",)
    assert order.data == New(first="Ada", last="Lovelace")
    assert (order.running, order.timers) == (("paying",), {"give_up": timedelta(hours=1)})
    assert order.stable_id("paying") == before.stable_id("charging").replace("charging", "paying")
    order.finish("paying")
    assert order.configuration == ("paid",)


def test_a_rehearsal_of_a_machine_that_cannot_be_migrated_raises_what_the_host_answers() -> None:
    def forget(old: OldMachine) -> None:
        old.configuration = []

    @durable(version="2", name="Order", migrations=[migration("1", forget, to="2")])
    class Later(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    before = Rehearsal(OrderBefore)
    before.create()

    with pytest.raises(MigrationError, match="no state at all is active"):
        Rehearsal(Later, snapshot=snapshot_to_json(before.snapshot))


def test_a_kept_chart_has_the_name_of_the_one_that_keeps_it() -> None:
    @durable(version="2")
    class Later(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    @durable(version="3", versions=[Later], name="Order")
    class Latest(StateChart[Old]):
        cart = State(initial=True)
        settled = State(final=True)
        pay = event(cart.to(settled))

    config = TransitionsConfig(
        "Order", states=["a"], transitions=[["go", "a", "a"]], initial="a", version="4", versions=(Latest,)
    )

    assert [(one.name, one.version) for one in chart_from(Latest).served] == [("Order", "3"), ("Order", "2")]
    assert [one.version for one in chart_from(config).served] == ["4", "3", "2"]


async def wait(old: OldMachine) -> None: ...


def throw_dice(old: OldMachine) -> None:
    old.data["lucky"] = random.random() < 0.5


@pytest.mark.parametrize(
    ("migrations", "problem"),
    [
        ([migration("1", to="2"), migration("1", to="3")], "2 migrations lead from version '1'. Keep one."),
        (
            [migration("1", to="2")],
            "the migration from '1' to '2' does not lead to version '3'. Add migrations from '2'.",
        ),
        (
            [migration("1", to="2"), migration("2", to="1")],
            "the migration from '2' to '1' does not lead to version '3'. Add migrations from '1'.",
        ),
        (
            [migration("3", to="4")],
            "the migration from '3' to '4' leads away from the chart's own version. Give the chart a new version.",
        ),
        ([migration("0", to="3")], "the migration from '0' to '3' is for a version that versions= keeps."),
        (
            [migration("1", to="3", states={"a": "payd"})],
            "the migration from '1' maps one of the states to 'payd', which the chart does not have. There is 'cart', 'paid'.",
        ),
        (
            [migration("1", to="2", states={"a": "b"}), migration("2", to="3", states={"b": "c"})],
            "the migration from '2' maps one of the states to 'c', which the chart does not have.",
        ),
        (
            [migration("1", to="3", activities={"a": "b"})],
            "one of the activities to 'b', which the chart does not have. The chart has no activities.",
        ),
        (
            [migration("1", to="3", events={"a": "b"})],
            "the migration from '1' maps one of the events to 'b', which the chart does not have. There is 'pay'.",
        ),
        ([migration("1", wait, to="3")], "migration wait is a coroutine. Make it a plain function of the old machine."),
        (
            [migration("1", throw_dice, to="3")],
            "migration throw_dice draws random numbers: random.random. Use ids.random",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "migrations",
)
def test_an_impossible_version_is_refused_when_the_definition_is_read(migrations: Any, problem: str) -> None:
    @durable(version="0")
    class Kept(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    @durable(version="3", migrations=migrations, versions=[Kept], name="Order")
    class Wrong(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    config = TransitionsConfig(
        "Order",
        states=["cart", {"name": "paid", "final": True}],
        transitions=[["pay", "cart", "paid"]],
        initial="cart",
        version="3",
        migrations=tuple(migrations),
        versions=(Kept,),
    )

    for definition in (Wrong, config):
        with pytest.raises(DefinitionError) as caught:
            chart_from(definition)
        found = [str(problem) for problem in caught.value.problems]
        assert any(problem in one for one in found), found
        assert all("test_versions.py:" in one for one in found)


def test_renames_before_code_may_be_of_any_kind() -> None:
    def back(old: OldMachine) -> None:
        old.configuration = ["cart"]

    @durable(version="3", migrations=[migration("1", to="2", states={"a": "b"}), migration("2", back, to="3")])
    class Fine(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    assert [one.source for one in chart_from(Fine).hosting.migrations] == ["1", "2"]


def test_two_charts_of_one_version_are_refused() -> None:
    @durable(versions=[OrderBefore])
    class Twice(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    with pytest.raises(DefinitionError, match=r"version '1' is declared 2 times\. Give each chart in versions="):
        chart_from(Twice)


def test_both_libraries_declare_how_long_an_ended_machine_is_kept() -> None:
    @durable(after_end=gone(timedelta(days=1)), create_first=True)
    class Brief(StateChart[Old]):
        cart = State(initial=True)
        paid = State(final=True)
        pay = event(cart.to(paid))

    config = TransitionsConfig(
        "Brief",
        states=["cart", {"name": "paid", "final": True}],
        transitions=[["pay", "cart", "paid"]],
        initial="cart",
        after_end=free(timedelta(0)),
        create_first=True,
    )

    assert chart_from(Brief).hosting.after_end == AfterEnd(timedelta(days=1), free=False)
    assert chart_from(config).hosting.after_end == AfterEnd(timedelta(0), free=True)
    assert chart_from(Order).hosting.after_end is keep()  # type: ignore[func-returns-value]
    assert chart_from(Brief).hosting.create_first
    assert chart_from(config).hosting.create_first
    for wrong in (free, gone):
        with pytest.raises(ValueError, match="nothing can be deleted -1 day, 0:00:00 after its end"):
            wrong(timedelta(days=-1))
