"""The greeter's chart. It has no outside work."""

from __future__ import annotations

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import durable, event


class Greeting(BaseModel):
    greeting: str = Field(min_length=1)


class GreeterData(BaseModel):
    count: int = 0


@durable(name="greeter", version="1")
class Greeter(StateChart[GreeterData]):
    """Greets one person and counts the greetings; a greeting can be taken back."""

    stranger = State(initial=True)
    acquaintance = State()

    greet = event(stranger.to(acquaintance) | acquaintance.to.itself(internal=True), Greeting)
    ungreet = (
        acquaintance.to(stranger, cond="is_last", on="forget")
        | acquaintance.to.itself(internal=True, on="forget")
        | stranger.to.itself(internal=True, on="shrug")
    )

    def is_last(self, data: GreeterData) -> bool:
        return data.count == 1

    def on_greet(self, data: GreeterData, greeting: str) -> str:
        data.count += 1
        return f"{greeting}, for the {ordinal(data.count)} time!"

    def forget(self, data: GreeterData) -> int:
        data.count -= 1
        return data.count

    def shrug(self) -> int:
        return 0


def ordinal(number: int) -> str:
    """Write a number as 1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
