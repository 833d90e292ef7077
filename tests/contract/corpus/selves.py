"""Idioms of python-statemachine: enumerations, and what callbacks ask of `self`."""

from __future__ import annotations

import enum
from typing import Any

from statemachine import State, StateChart, StateMachine
from statemachine.states import States

from tests.contract.corpus.idioms import idiom


class Stage(enum.Enum):
    draft = 1
    printed = 2
    sold = 3


@idiom("states of an enumeration, and events called like them", "printed", "sold")
class Book(StateMachine):
    stages = States.from_enum(Stage, initial=Stage.draft, final=Stage.sold, use_enum_instance=True)
    printed = stages.draft.to(stages.printed)
    sold = stages.printed.to(stages.sold)

    def on_printed(self) -> str:
        return self.current_state_value.name


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@idiom("an enumeration among the data", "scold", "praise")
class Dog(StateMachine):
    alive = State(initial=True)
    asleep = State(final=True)
    scold = alive.to.itself(on="growl")
    praise = alive.to(asleep)

    def __init__(self) -> None:
        self.mood = Mood.GOOD
        super().__init__()

    def growl(self) -> None:
        self.mood = Mood.BAD


@idiom("an explicit __init__ of the base", "go")
class Plain(StateMachine):
    here = State(initial=True)
    there = State(final=True)
    go = here.to(there)

    def __init__(self) -> None:
        self.steps = 1
        StateMachine.__init__(self)
        self.activate_initial_state()

    def on_go(self) -> None:
        self.steps += 1


@idiom("questions about the current state", "next_", "next_")
class Steps(StateMachine):
    one = State(initial=True, value=1)
    two = State(value=2)
    three = State(final=True, value=3)
    next_ = one.to(two) | two.to(three)

    def __init__(self) -> None:
        self.seen: list[Any] = []
        super().__init__()

    def on_next_(self) -> list[Any]:
        events = [event.id for event in self.enabled_events()]
        return [self.current_state_value, self.current_state.id, events, self.is_terminated]

    def after_next_(self) -> None:
        self.seen.append(self.is_terminated)


@idiom("a nested state that is asked on self", "press", "pull", "press")
class Oven(StateChart):
    class oven(State.Parallel):
        class lamp(State.Compound):
            dark = State(initial=True)
            lit = State()
            press = dark.to(lit) | lit.to(dark)

        class door(State.Compound):
            shut = State(initial=True)
            wide = State()
            pull = shut.to(wide)

    gone = State(final=True)
    drop = oven.to(gone)

    def on_press(self) -> list[bool]:
        return [self.shut.is_active, self.dark.is_active, self.oven.is_active]  # type: ignore[attr-defined]


@idiom("events that are listed", "open_", "close")
class Shop(StateChart):
    shut = State(initial=True)
    wide = State()
    sold = State(final=True)
    open_ = shut.to(wide)
    close = wide.to(shut)
    sell = shut.to(sold)

    def on_open_(self) -> list[str]:
        return [event.id for event in self.allowed_events]
