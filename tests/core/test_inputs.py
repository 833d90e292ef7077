"""What an activity receives instead of the data, when it is made, and what becomes of one that cannot be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Activity, Callback, Retry
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Running
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError
from tests.building import Driven, Members, action, chart, edge

SHOP = """
    cart
    paying
    over final
"""


def work() -> None: ...


def total(scope: Scope) -> object:
    return scope.data["total"]


def nothing(scope: Scope) -> None:
    return None


def unspeakable(scope: Scope) -> object:
    return object()


def shop(call: object, **rest: object) -> Driven:
    pay = Activity("pay", "work", work, deadline=None, input=Callback("total", call))  # type: ignore[arg-type]
    given = {"activities": {"paying": [pay]}, "data": Members(log=[], total=5), **rest}
    return Driven(chart(SHOP, edge("cart", "pay", "paying", actions=[action(add)]), **given), {})  # type: ignore[arg-type]


def add(scope: Scope) -> None:
    scope.data["total"] += 1


def test_an_input_is_made_of_the_data_as_the_step_leaves_it() -> None:
    machine = shop(total)

    assert machine.take("pay").effects == (StartActivity("life.2.1", "pay", 2, exclusive=False, input=6),)


@pytest.mark.parametrize(("call", "made"), [(nothing, None), (lambda s: {"of": {2, 1}}, {"of": [1, 2]})])
def test_an_input_is_plain_json_and_may_be_nothing(call: object, made: Json) -> None:
    machine = shop(call)

    (start,) = machine.take("pay").effects

    assert isinstance(start, StartActivity)
    assert start.input == made
    assert machine.snapshot.activities == (Running("life.2.1", "pay", "paying", 2),)


@pytest.mark.parametrize(("call", "type"), [(lambda s: 1 // 0, "ZeroDivisionError"), (unspeakable, "TypeError")])
def test_an_input_that_fails_is_an_error_of_the_chart_and_begins_nothing(call: object, type: str) -> None:
    begun = shop(call)
    listening = replace(begun.chart, transitions=(*begun.chart.transitions, edge("paying", "error.execution", "over")))
    machine = Driven(listening, {})

    step = machine.take("pay")

    assert machine.leaves == ("over",)
    assert (step.effects, machine.snapshot.activities) == ((), ())
    with pytest.raises(ActionError, match=f"total failed while processing 'pay': {type}"):
        begun.take("pay")


def test_an_input_knows_the_state_it_is_made_for() -> None:
    seen: list[str] = []

    def look(scope: Scope) -> None:
        assert scope.state is not None
        seen.append(scope.state.id)

    shop(look).take("pay")

    assert seen == ["paying"]


def test_an_exclusive_activity_is_called_with_its_input() -> None:
    pay = Activity("pay", "work", work, exclusive=True, input=Callback("total", total))
    made = chart(SHOP, edge("cart", "pay", "paying"), activities={"paying": [pay]}, data=Members(log=[], total=5))
    turn = Turn(made, Driven(made, {}).snapshot, seed="seed")

    turn.take(Event("pay"))

    assert turn.next_call() == StartActivity("life.2.1", "pay", 2, exclusive=True, input=5)


class Declined(Exception): ...


@pytest.mark.parametrize(
    ("error", "final"), [(Declined(), True), (TimeoutError(), True), (ValueError(), False), (OSError(), False)]
)
def test_errors_of_some_types_are_not_tried_again(error: Exception, *, final: bool) -> None:
    assert Retry(give_up_on=(Declined, TimeoutError)).gives_up(error) is final
    assert not Retry().gives_up(error)


def test_what_an_activity_declares_shows_in_the_export() -> None:
    retry = Retry(give_up_on=(Declined,))
    pay = Activity("pay", "work", work, retry=retry, input=Callback("total", total), timeout=timedelta(seconds=2))

    made = chart("a", activities={"a": [pay]})

    exported = made.to_json()["states"][1]["activities"][0]  # type: ignore[call-overload,index]
    assert exported["input"] == "total"  # type: ignore[index,call-overload]
    assert exported["timeout"] == "2 s"  # type: ignore[index,call-overload]
    assert exported["retry"]["give_up_on"] == ["Declined"]  # type: ignore[index,call-overload]
    assert made.digest != chart("a", activities={"a": [replace(pay, timeout=None)]}).digest
