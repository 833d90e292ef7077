"""`activity(..., limit=, priority=)` and `granted_invoke_…`: how both front-ends read them, and what they refuse."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Chart, DefinitionError, Limit, TransitionsConfig, activity, app, chart_from, durable
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore:.*the failure of activity:durable_fsm.errors.DefinitionWarning")

Read = Callable[..., Chart]
BANK = Limit("bank", 3)


class Order(BaseModel):
    urgency: int = 4
    lines: list[int] = []


async def charge(data: Order) -> str:
    return "charged"


def doubled(data: Order) -> int:
    return data.urgency * 2


def drawn(data: Order) -> int:
    return random.randrange(data.urgency)


async def asked(data: Order) -> int:
    return data.urgency


def of_class(work: Any, *events: str, **options: Any) -> Chart:
    class Till(StateChart[Order]):
        idle = State(initial=True)
        charging = State(invoke=work)
        paid = State(final=True)
        begin = idle.to(charging)
        done_invoke_charging = charging.to(paid)
        if "granted" in events:
            granted_invoke_charging = charging.to.itself(internal=True)
        if "other" in events:
            granted_invoke_billing = charging.to.itself(internal=True)

    return chart_from(durable(**options)(Till) if options else Till)


def of_config(work: Any, *events: str, **options: Any) -> Chart:
    named = {"granted": "granted_invoke_charging", "other": "granted_invoke_billing"}
    transitions = [
        {"trigger": "begin", "source": "idle", "dest": "charging"},
        {"trigger": "done_invoke_charging", "source": "charging", "dest": "paid"},
        *({"trigger": named[event], "source": "charging", "dest": None} for event in events),
    ]
    states = ["idle", "charging", {"name": "paid", "final": True}]
    return chart_from(
        TransitionsConfig(
            "Till", states, transitions, initial="idle", model=Order, activities={"charging": work}, **options
        )
    )


@pytest.fixture(params=[of_class, of_config], ids=["class", "config"])
def read(request: pytest.FixtureRequest) -> Read:
    found: Read = request.param
    return found


# ── priorities ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("said", "found"), [(7, 7), ("urgency", 4), (doubled, 8), (lambda data: -data.urgency, -4)])
def test_a_priority_is_a_number_a_field_or_a_function_of_the_data(read: Read, said: Any, found: int) -> None:
    machine = Rehearsal(read(activity(charge, limit=BANK, priority=said)))

    machine.send("begin")

    [start] = [effect for effect in machine.effects if hasattr(effect, "priority")]
    assert start.priority == found


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            "hurry",
            "priority of activity 'charging' is 'hurry', which is not a field of the data. It has: lines, urgency.",
        ),
        (drawn, "activity 'charging' draws random numbers to find its priority: random.randrange"),
        (asked, "activity 'charging' computes its priority in a coroutine; it must be computed at once, in the step."),
    ],
    ids=["unknown", "random", "coroutine"],
)
def test_a_priority_that_cannot_be_computed_is_refused(read: Read, said: Any, problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(activity(charge, limit=BANK, priority=said))

    assert problem.partition(". It")[0] in str(refused.value)


def test_a_priority_needs_a_limit() -> None:
    with pytest.raises(ValueError, match="priority= decides which run waits for a limit=: give one"):
        activity(charge, priority=1)


@pytest.mark.parametrize("said", [2**60, 1.5])
def test_a_priority_is_a_whole_number_that_json_keeps(said: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="priority"):
        activity(charge, limit=3, priority=said)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_may_be_shared_by_name(read: Read) -> None:
    assert read(activity(charge, limit=BANK)).activities["charging"].limit == Limit("bank", 3)


def test_a_limit_is_the_same_wherever_it_is_named() -> None:
    class Twice(StateChart[Order]):
        one = State(initial=True, invoke=activity(charge, limit=Limit("bank", 3)))
        two = State(invoke=activity(charge, limit=Limit("bank", 4)))
        done_invoke_one = one.to(two)
        done_invoke_two = two.to(one)

    with pytest.raises(DefinitionError, match="limit 'bank' has 3 slots in one place and 4 in another"):
        chart_from(Twice)


def test_charts_of_one_application_agree_on_a_limit() -> None:
    one = of_class(activity(charge, limit=BANK))
    other = of_class(activity(charge, limit=Limit("bank", 4)), name="Other")

    with pytest.raises(ValueError, match="limit 'bank' has 3 slots in one chart and 4 in another; declare it once"):
        app(one, other)


# ── slots ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_chart_may_be_told_that_its_activity_has_a_slot(read: Read) -> None:
    chart = read(activity(charge, limit=BANK), "granted")

    assert not chart.events["granted.invoke.charging"].public
    assert any(edge.events == ("granted.invoke.charging",) for edge in chart.transitions)


@pytest.mark.parametrize(
    ("work", "problem"),
    [
        (activity(charge), "activity 'charging' has no limit"),
        (activity(charge, limit=3, exclusive=True), "activity 'charging' is exclusive, and the machine gets no event"),
        (activity(charge, limit=3, each="lines"), "each item of activity 'charging' has a separate slot"),
    ],
    ids=["unlimited", "exclusive", "many"],
)
def test_a_slot_of_which_nothing_tells_is_refused(read: Read, work: Any, problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(work, "granted")

    assert f"'granted.invoke.charging' never happens: {problem}" in str(refused.value)


def test_a_flow_and_detached_work_are_not_told(read: Read) -> None:
    with pytest.raises(DefinitionError, match=r"never happens: a flow gets only the outcomes of its activities"):
        read(activity(charge, limit=3), "granted", flow=True)

    class Shop(StateChart[Order]):
        open = State(initial=True)
        granted_invoke_mail = open.to.itself(internal=True)

    with pytest.raises(DefinitionError, match=r"never happens: no state waits for work 'mail'"):
        chart_from(durable(work=[activity(charge, id="mail", limit=3)])(Shop))


def test_a_slot_of_an_unknown_activity_is_refused(read: Read) -> None:
    with pytest.raises(
        DefinitionError, match=r"granted_invoke_billing' waits for activity 'billing', and there is none"
    ):
        read(activity(charge, limit=3), "other")
