"""Callbacks that nothing calls, and parameters that nothing provides, are found when the definition is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import new_class
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import DefinitionError, TransitionsConfig, activity, after, chart_from, event
from durable_fsm.errors import DefinitionWarning

HERE = Path(__file__).name
NO_NAME = "no state, event or guard has this name."


class Booking(BaseModel):
    """Data."""

    seats: int = 0


class Reserve(BaseModel):
    """A payload."""

    seats: int
    name: str = ""


def book(data: Booking) -> int:
    """Book."""
    return data.seats


def told(definition: object) -> list[str]:
    """Every problem and every warning, without its place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            chart_from(definition)
            problems: list[str] = []
        except DefinitionError as error:
            problems = [f"problem: {one.what} {one.remedy}" for one in error.problems if HERE in one.place]
    found = [str(one.message).partition(": ")[2].rpartition(" (")[0] for one in caught]
    assert all(issubclass(one.category, DefinitionWarning) for one in caught)
    return [*problems, *(f"warning: {words}" for words in found)]


def flight(**members: Any) -> type:
    """A chart without problems, with these members instead of its own."""
    free, held, gone = State(initial=True), State(), State(final=True)
    body: dict[str, Any] = {
        "enable_self_transition_entries": False,
        "free": free,
        "held": held,
        "gone": gone,
        "reserve": event(free.to(held), Reserve),
        "note": held.to.itself(internal=True),
        "lapse": after(timedelta(minutes=5), held.to(gone)),
        **members,
    }
    for name, member in members.items():
        if hasattr(member, "__qualname__"):
            member.__qualname__ = f"Flight.{name}"
    return new_class("Flight", (StateChart[Booking],), {}, lambda names: names.update(body, __module__=__name__))


# ── methods ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "told_of_it"),
    [
        ("on_resreve", "problem: nothing calls Flight.on_resreve: no state, event or guard has this name. Did you mean 'on_reserve'?"),
        ("before_notes", "problem: nothing calls Flight.before_notes: no state, event or guard has this name. Did you mean 'before_note'?"),
        ("after_laps", "problem: nothing calls Flight.after_laps: no state, event or guard has this name. Did you mean 'after_lapse'?"),
        ("on_enter_heldd", "problem: nothing calls Flight.on_enter_heldd: no state, event or guard has this name. Did you mean 'on_enter_held'?"),
        ("on_exit_fre", "problem: nothing calls Flight.on_exit_fre: no state, event or guard has this name. Did you mean 'on_exit_free'?"),
        ("on_transitions", "problem: nothing calls Flight.on_transitions: no state, event or guard has this name. Did you mean 'on_transition'?"),
        ("on_invoke_heldd", "problem: nothing calls Flight.on_invoke_heldd: no state, event or guard has this name. Did you mean 'on_invoke_held'?"),
        ("on_entr_held", "problem: nothing calls Flight.on_entr_held: no state, event or guard has this name. Did you mean 'on_enter_held'?"),
        ("on_arrival", "warning: nothing calls Flight.on_arrival: no state, event or guard has this name. Correct the name, or remove it."),
        ("cond_seats", "warning: nothing calls Flight.cond_seats: no state, event or guard has this name. Correct the name, or remove it."),
    ],
)  # fmt: skip
def test_a_method_that_is_named_like_a_callback_and_is_none_is_found(name: str, told_of_it: str) -> None:
    def method(self: object) -> None:
        """Do nothing."""

    assert told(flight(**{name: method})) == [told_of_it]


@pytest.mark.parametrize(
    "name",
    [
        "on_reserve", "before_note", "after_lapse", "on_enter_held", "on_exit_free", "on_transition", "on_enter_state",
        "on_exit_state", "after_transition", "before_transition",
    ],
)  # fmt: skip
def test_a_method_that_the_library_calls_is_not(name: str) -> None:
    def method(self: object) -> None:
        """Do nothing."""

    assert told(flight(**{name: method})) == []


def test_a_method_that_another_one_calls_is_not_found() -> None:
    def on_reserve(self: Any) -> None:
        [self.on_every_seat(seat) for seat in range(3)]

    def on_every_seat(self: Any, seat: int) -> None:
        getattr(self, "on_a_seat")(seat)  # noqa: B009 - found as a text

    def on_a_seat(self: Any, seat: int) -> None:
        """Do nothing."""

    assert told(flight(on_reserve=on_reserve, on_every_seat=on_every_seat, on_a_seat=on_a_seat)) == []


class Named(StateChart[Booking]):
    """Names its callbacks where it uses them."""

    def on_any(self) -> None:
        """Named as a function."""

    def cond_many(self, data: Booking) -> bool:
        return data.seats > 3

    def cond_few(self, data: Booking) -> bool:
        return data.seats < 3

    def before_text(self) -> None:
        """Named as a text."""

    def on_time(self) -> timedelta:
        return timedelta(1)

    async def on_work(self) -> None:
        """An activity."""

    a = State(initial=True, invoke=on_work)
    b = State(final=True)
    go = a.to(b, on=on_any, before="before_text", cond="cond_many and not cond_few")
    late = after("on_time", a.to(b))
    error_execution = a.to(b)


def test_a_method_that_is_named_where_it_is_used_is_not_found() -> None:
    assert told(Named) == []


def test_a_method_of_a_chart_above_is_found_there_and_below() -> None:
    above = flight(on_resreve=lambda self: None)
    below = type(above)("Below", (above,), {"__module__": __name__})

    assert [words.partition(" calls ")[0] for words in told(below)] == ["problem: nothing"]


# ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────────


def callbacks() -> Iterator[tuple[str, Any, str]]:
    def seets(self: Any, data: Any, seets: int) -> None: ...

    yield (
        "on_reserve",
        seets,
        "problem: Flight.on_reserve asks for 'seets', and event 'reserve' does not provide it. Did you mean 'seats'?",
    )

    def timer(self: Any, seats: int) -> None: ...

    yield (
        "on_lapse",
        timer,
        "problem: Flight.on_lapse asks for 'seats', and event 'lapse' does not provide it. It is a member of the data: ask for data, and read data.seats.",
    )

    def unknown(self: Any, price: int) -> None: ...

    yield (
        "before_reserve",
        unknown,
        "problem: Flight.before_reserve asks for 'price', and event 'reserve' does not provide it. Correct the name, give it a default, or declare it in the type of the payload.",
    )

    def outcome(self: Any, result: object) -> None: ...

    yield (
        "on_reserve",
        outcome,
        "problem: Flight.on_reserve asks for 'result', and event 'reserve' does not provide it. Correct the name, give it a default, or declare it in the type of the payload.",
    )

    def evnt(self: Any, evnt: object) -> None: ...

    yield (
        "on_note",
        evnt,
        "warning: Flight.on_note asks for 'evnt', which only a payload can provide. Did you mean 'event'?",
    )


@pytest.mark.parametrize(
    ("name", "method", "told_of_it"), [*callbacks()], ids=("seets", "timer", "price", "result", "evnt")
)
def test_a_parameter_that_nothing_provides_is_found(name: str, method: Any, told_of_it: str) -> None:
    assert told(flight(**{name: method})) == [told_of_it]


def provided() -> Iterator[tuple[str, Any]]:
    def fields(self: Any, seats: int, name: str, data: Any, payload: Any, event: Any, state: Any) -> None: ...

    yield "on_reserve", fields

    def untyped(self: Any, whatever: int, events: list[str]) -> None: ...

    yield "on_note", untyped

    def default(self: Any, price: int = 3, *args: object, **others: object) -> None: ...

    yield "on_reserve", default

    def any_event(self: Any, whatever: int) -> None: ...

    yield "on_enter_held", any_event


@pytest.mark.parametrize(("name", "method"), [*provided()], ids=("fields", "untyped", "default", "any event"))
def test_a_parameter_that_something_may_provide_is_not(name: str, method: Any) -> None:
    assert told(flight(**{name: method})) == []


class Texts(StateChart[Booking]):
    """Its payload is a text."""

    a = State(initial=True)
    b = State(final=True)
    go = event(a.to(b), str)

    def on_go(self, text: str) -> None: ...


def test_a_payload_without_members_brings_none() -> None:
    [problem] = told(Texts)

    assert problem.startswith("problem: Texts.on_go asks for 'text', and event 'go' does not provide it.")


class Prepared(StateChart[Booking]):
    """Adds arguments of its own."""

    a = State(initial=True)
    b = State(final=True)
    go = event(a.to(b), Reserve)

    def prepare_event(self) -> dict[str, int]:
        return {"price": 3}

    def on_go(self, price: int) -> None: ...


def test_a_chart_that_prepares_arguments_is_left_alone() -> None:
    assert told(Prepared) == []


class Outcomes(StateChart[Booking]):
    """Takes outcomes."""

    a = State(initial=True, invoke=activity(book))
    b, c = State(final=True), State(final=True)
    done_invoke_a = a.to(b)
    error_invoke_a = a.to(c)

    def on_done_invoke_a(self, result: int, seats: int) -> None: ...

    def on_error_invoke_a(self, error: object, seats: int) -> None: ...


def test_an_outcome_brings_its_result_or_its_error() -> None:
    [problem] = told(Outcomes)

    assert problem.startswith("problem: Outcomes.on_error_invoke_a asks for 'seats', and event 'error.invoke.a' does")


# ── the data ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Untyped(StateChart):
    """Forgets the type of its data."""

    a = State(initial=True)
    b = State(final=True)
    go = a.to(b)

    def on_go(self, data: Booking) -> None: ...


class Plain(StateChart):
    """May mean a member of the payload."""

    a = State(initial=True)
    b = State(final=True)
    go = a.to(b)

    def on_go(self, data: dict[str, int]) -> None: ...


class OfOutcome(StateChart):
    """Means the library's own `data`: what the work returned."""

    a = State(initial=True, invoke=activity(book))
    b = State(final=True)
    done_invoke_a = a.to(b)
    error_invoke_a = a.to(b)

    def on_done_invoke_a(self, data: int) -> None: ...


def test_data_in_a_chart_without_a_type_names_the_line_to_write() -> None:
    what = "asks for 'data', but the chart has no data type. Write class"

    assert told(Untyped) == [f"problem: Untyped.on_go {what} Untyped(StateChart[Booking])."]
    assert told(Plain) == [f"warning: Plain.on_go {what} Plain(StateChart[Data])."]
    assert told(OfOutcome) == []


# ── configurations ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Seat:
    """A model whose methods are callbacks."""

    number: int = 0

    def on_enter_heldd(self) -> None: ...

    def on_exit_nowhere(self) -> None: ...

    def reserve_it(self, seets: int) -> None: ...


def test_the_methods_of_a_model_are_checked_too() -> None:
    rows = [{"trigger": "reserve", "source": "free", "dest": "held", "before": "reserve_it"}]
    config = TransitionsConfig("Seat", ["free", "held"], rows, "free", model=Seat, events={"reserve": Reserve})

    assert told(config) == [
        f"problem: nothing calls Seat.on_enter_heldd: {NO_NAME} Did you mean 'on_enter_held'?",
        "problem: Seat.reserve_it asks for 'seets', and event 'reserve' does not provide it. Did you mean 'seats'?",
    ]
