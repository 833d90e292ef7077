"""Defaults that differ from call to call are drawn once; where they cannot be, the definition or the call is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field, create_model, field_validator
from pydantic import computed_field as computed
from statemachine import State, StateChart

from durable_fsm import DefinitionError, Effects, Ids, chart_from, event
from durable_fsm.core.events import Event
from durable_fsm.core.step import start, step
from durable_fsm.core.values import ValueType
from durable_fsm.errors import ActionError
from durable_fsm.frontends.core_schemas import is_constant
from durable_fsm.frontends.values import Typed


def an_id() -> str:
    return uuid4().hex


class Item(BaseModel):
    id: str = Field(default_factory=an_id)
    amount: int = 0


@dataclass
class Line:
    id: UUID = field(default_factory=uuid4)
    made: datetime = field(default_factory=lambda: datetime.now(UTC))


class Order(BaseModel):
    items: list[Item] = []
    first: Item = Field(default_factory=Item)
    tags: list[str] = Field(default_factory=list)


# ── which defaults are drawn ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("factory", [list, dict, set, list[int], lambda: [1, 2], create_model("Empty")], ids=range(6))
def test_these_defaults_are_the_same_each_time(factory: Any) -> None:
    assert is_constant(factory)


@pytest.mark.parametrize(
    "factory",
    [an_id, uuid4, Item, Line, random.random, date.today, partial(int, "1"), lambda: an_id, object],
    ids=range(9),
)
def test_these_defaults_may_differ(factory: Any) -> None:
    assert not is_constant(factory)


@pytest.mark.parametrize(
    ("declared", "given", "path"),
    [
        (Item, {}, "$.id"),
        (Item, None, "$.id"),
        (Item, {"id": "1"}, None),
        (Line, {"made": "2030-01-01T00:00:00Z"}, "$.id"),
        (Order, {}, "$.first"),
        (Order, {"first": {}}, "$.first.id"),
        (Order, {"first": {"id": "1"}, "items": [{"id": "2"}, {"amount": 3}]}, "$.items[1].id"),
        (Order, {"first": {"id": "1"}, "items": [{"id": "2"}]}, None),
        (dict[str, Item], {"a": {}}, "$.a.id"),
        (Item, {"amount": "x"}, None),
        (list[str], ["x"], None),
    ],
)
def test_a_value_is_completed_if_it_leaves_such_a_default_open(declared: Any, given: Any, path: str | None) -> None:
    type_ = Typed(declared)

    completed = type_.completed(given)

    assert (completed and completed.path) == path
    if completed is not None:
        assert type_.completed(completed.value) is None
        assert type_.dump(type_.load(completed.value)) == completed.value


class Drawing(StateChart):
    here = State(initial=True)
    go = here.to.itself(internal=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.day = datetime.now(UTC).date().isoformat()
        self.count = 0
        super().__init__(*args, **kwargs)


class Still(StateChart):
    here = State(initial=True)
    go = here.to.itself(internal=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.count = 0
        super().__init__(*args, **kwargs)


def test_the_attributes_of_an_untyped_chart_are_drawn_if_its_init_reads_the_clock() -> None:
    drawing, still = chart_from(Drawing).data, chart_from(Still).data

    completed = drawing.completed({"count": 3})

    assert completed is not None
    assert (completed.path, completed.value) == ("$.day", {"count": 3, "day": datetime.now(UTC).date().isoformat()})
    assert drawing.completed({"count": 3, "day": "x"}) is None
    assert still.completed({}) is None
    assert drawing.completed(["not", "an object"]) is None


# ── where they cannot be drawn once ───────────────────────────────────────────────────────────────────────────────────


class Cart(BaseModel):
    items: list[Item] = []
    lines: list[Line] = []


def add_item(data: Cart) -> None:
    data.items.append(Item(amount=1))


def add_line(data: Cart) -> None:
    data.lines.append(Line(uuid4()))


def add_named(data: Cart, ids: Ids) -> None:
    data.items.append(Item(id=str(ids.uuid())))


def chart_with(on_go: Callable[..., object], declared: Any = Cart) -> type[StateChart[Any]]:
    class Shop(StateChart[declared]):
        here = State(initial=True)
        go = here.to.itself(internal=True, on=on_go)

    return Shop


@pytest.mark.parametrize(
    ("on_go", "told"),
    [
        (add_item, "add_item draws random numbers: the default of Item.id."),
        (add_line, "add_line reads the clock: the default of Line.made."),
    ],
)
def test_a_callback_that_draws_such_a_default_is_refused(on_go: Callable[..., object], told: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        chart_from(chart_with(on_go))

    assert told in str(refused.value)


def test_a_callback_that_gives_the_value_itself_is_accepted() -> None:
    chart = chart_from(chart_with(add_named))

    machine = step(chart, start(chart).snapshot, Event("go", seed="s")).snapshot

    assert machine == step(chart, start(chart).snapshot, Event("go", seed="s")).snapshot


class Checked(BaseModel):
    day: date = date(2030, 1, 1)

    @field_validator("day")
    @classmethod
    def in_future(cls, day: date) -> date:
        if day < datetime.now(UTC).date():
            raise ValueError("in the past")
        return day


class Aged(BaseModel):
    born: date = date(2030, 1, 1)

    @computed
    @property
    def days(self) -> int:
        return (datetime.now(UTC).date() - self.born).days


class Begun(BaseModel):
    number: str = ""

    def model_post_init(self, _: Any) -> None:
        self.number = self.number or an_id()


@dataclass
class Started:
    number: str = ""

    def __post_init__(self) -> None:
        self.number = self.number or an_id()


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (Checked, "Checked.in_future reads the clock: datetime.now."),
        (Aged, "Aged.days reads the clock: datetime.now."),
        (Begun, "Begun.model_post_init draws random numbers: uuid4 in an_id."),
        (Started, "Started.__post_init__ draws random numbers: uuid4 in an_id."),
    ],
)
def test_code_of_a_type_that_differs_from_call_to_call_is_refused(declared: Any, told: str) -> None:
    class Shop(StateChart[declared]):
        here = State(initial=True)
        go = event(here.to.itself(internal=True), declared)

    with pytest.raises(DefinitionError) as refused:
        chart_from(Shop)

    assert f"the data: {told}" in str(refused.value)
    assert f"payload of 'go': {told}" in str(refused.value)


def raise_open(effects: Effects) -> None:
    effects.raise_("note", {})


def send_open(effects: Effects) -> None:
    effects.send("note", {"amount": 1})


def send_named(effects: Effects, ids: Ids) -> None:
    effects.send("note", {"id": str(ids.uuid())})


@pytest.mark.parametrize("on_go", [raise_open, send_open])
def test_a_message_that_leaves_such_a_default_open_is_refused(on_go: Callable[..., object]) -> None:
    class Shop(StateChart):
        here = State(initial=True)
        go = here.to.itself(internal=True, on=on_go)
        note = event(here.to.itself(internal=True), Item)

    chart = chart_from(Shop)

    with pytest.raises(ActionError, match=r"the default differs whenever the step runs \(use ids.uuid\(\)\) at \$.id"):
        step(chart, start(chart).snapshot, Event("go"))


def test_a_message_that_brings_the_value_is_sent() -> None:
    class Shop(StateChart):
        here = State(initial=True)
        go = here.to.itself(internal=True, on=send_named)
        note = event(here.to.itself(internal=True), Item)

    chart = chart_from(Shop)

    assert step(chart, start(chart).snapshot, Event("go")).effects != ()


def test_a_type_without_such_defaults_completes_nothing() -> None:
    type_: ValueType = Typed(Cart)

    assert type_.completed({"items": [{"id": "1"}], "lines": []}) is None
