"""`activity(..., input=..., timeout=...)`: how both front-ends read it, and what they refuse."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import Chart, DefinitionError, Retry, TransitionsConfig, activity, chart_from
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore:.*the failure of activity:durable_fsm.errors.DefinitionWarning")


class Line(BaseModel):
    price: int


class Order(BaseModel):
    total_cents: int = 3
    currency: str = Field(default="EUR", alias="cur")
    lines: list[Line] = []

    @property
    def label(self) -> str:
        return f"{self.total_cents} {self.currency}"

    @cached_property
    def words(self) -> str:
        return "three euros"


@dataclass
class Plan:
    total_cents: int = 3
    tags: set[str] = field(default_factory=set)


class Made:
    """A class without declared fields."""

    def __init__(self) -> None:
        self.total_cents = 3


async def work(given: object) -> object:
    return given


def double(data: Order) -> int:
    return data.total_cents * 2


def statemachine(data: Any, **declared: Any) -> Chart:
    class Shop(StateChart[data]):  # type: ignore[valid-type]
        paying = State(initial=True, invoke=activity(work, **declared))
        over = State(final=True)
        done_invoke_paying = paying.to(over)

    return chart_from(Shop)


def transitions(data: Any, **declared: Any) -> Chart:
    return chart_from(
        TransitionsConfig(
            name="Shop",
            states=["paying", {"name": "over", "final": True}],
            initial="paying",
            transitions=[["done_invoke_paying", "paying", "over"]],
            model=data,
            activities={"paying": activity(work, **declared)},
        )
    )


both = pytest.mark.parametrize("read", [statemachine, transitions])


def given(chart: Chart) -> object:
    """What the activity of the initial state receives."""
    seen: list[object] = []
    Rehearsal(chart, answers={"paying": seen.append}).create({})
    return seen[0]


@both
@pytest.mark.parametrize(
    ("input", "name", "made"),
    [
        ("total_cents", "total_cents", 3),
        ("lines", "lines", []),
        ("label", "label", "3 EUR"),
        ("words", "words", "three euros"),
        (("total_cents", "currency"), "total_cents, currency", {"total_cents": 3, "currency": "EUR"}),
        (double, "double", 6),
        (lambda data: Line(price=data.total_cents), "<lambda>", {"price": 3}),
    ],
)
def test_an_activity_receives_what_its_input_says(read: Any, input: Any, name: str, made: object) -> None:
    chart = read(Order, input=input)

    callback = chart.activities["paying"].input
    assert callback is not None
    assert callback.name == name
    assert given(chart) == made


@both
def test_an_activity_without_input_receives_the_data(read: Any) -> None:
    chart = read(Order)

    assert chart.activities["paying"].input is None
    assert given(chart) == Order()


@both
@pytest.mark.parametrize("data", [Plan, Made])
def test_a_field_may_be_that_of_any_data(read: Any, data: type) -> None:
    assert given(read(data, input="total_cents")) == 3


def test_a_field_may_be_a_plain_attribute() -> None:
    class Shop(StateChart):
        paying = State(initial=True, invoke=activity(work, input="total_cents"))
        over = State(final=True)
        done_invoke_paying = paying.to(over)

        def __init__(self) -> None:
            self.total_cents = 3
            super().__init__()

    assert given(chart_from(Shop)) == 3


def test_a_member_of_a_mapping_is_looked_for_when_the_work_starts() -> None:
    class Shop(StateChart[dict[str, int]]):
        paying = State(initial=True, invoke=activity(work, input="total_cents"))
        over = State(final=True)
        done_invoke_paying = paying.to(over)

    seen: list[object] = []
    Rehearsal(Shop, answers={"paying": seen.append}).create({"total_cents": 3})

    assert seen == [3]


class Nested(BaseModel):
    total_cents: int = 3
    children: list[Nested] = []


class Unmakeable:
    """Cannot be made a second time, as far as anybody can know before."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        if type(self).made == 2:
            raise RuntimeError("not now")
        self.total_cents = 3


def test_a_field_of_a_type_that_contains_itself_is_known() -> None:
    assert given(statemachine(Nested, input="total_cents")) == 3
    with pytest.raises(DefinitionError):
        statemachine(Nested, input="total")


def test_a_field_that_cannot_be_known_is_checked_by_the_step() -> None:
    assert given(statemachine(Unmakeable, input="total_cents")) == 3


def test_data_that_cannot_be_stored_is_the_only_problem() -> None:
    with pytest.raises(DefinitionError) as refused:
        statemachine(threading.Thread, input="total_cents")

    assert len(refused.value.problems) == 1


@both
@pytest.mark.parametrize("input", ["total", ("total_cents", "total")])
def test_a_field_that_the_data_does_not_have_is_refused(read: Any, input: Any) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(Plan, input=input)

    (problem,) = refused.value.problems
    assert problem.what == "input of activity 'paying' is 'total', which is not a field of the data."
    assert problem.remedy == "It has: tags, total_cents."


async def look_up(data: Order) -> int:
    return data.total_cents


def draw(data: Order) -> float:
    return random.random()


@both
@pytest.mark.parametrize(
    ("input", "what"),
    [
        (look_up, "input of activity 'paying' is a coroutine: look_up."),
        (draw, "input of activity 'paying' draws random numbers: random.random."),
    ],
)
def test_an_input_that_a_step_cannot_repeat_is_refused_with_its_place(read: Any, input: Any, what: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(Order, input=input)

    (problem,) = refused.value.problems
    assert problem.what == what
    assert problem.place.startswith(f"{__file__}:")


@both
def test_timeouts_and_errors_to_give_up_on_are_part_of_the_chart(read: Any) -> None:
    retry = Retry(attempts=2, give_up_on=(KeyError,))

    found = read(Order, timeout=timedelta(seconds=5), retry=retry).activities["paying"]

    assert (found.timeout, found.retry) == (timedelta(seconds=5), retry)


def test_both_front_ends_read_the_same() -> None:
    declared = {"input": ("total_cents", "lines"), "timeout": timedelta(seconds=5)}

    assert statemachine(Order, **declared).activities == transitions(Order, **declared).activities


def test_a_timeout_must_leave_time() -> None:
    with pytest.raises(ValueError, match="no attempt is over within 0:00:00"):
        activity(work, timeout=timedelta(0))
