"""Charts whose machines run others inside: they answer each other, fail, are stopped, and hold each other up."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, after, event, machine

MINUTE = timedelta(minutes=1)


class Seen(BaseModel):
    said: list[str] = []


async def work() -> None: ...


class Cook(StateChart[Seen]):
    """It cooks, says when it is half done, and may be told to hurry."""

    waiting = State(initial=True)
    cooking = State(invoke=activity(work))
    plating = State(invoke=activity(work, exclusive=True))
    served = State(final=True)
    burnt = State(final=True)
    begin = after(MINUTE, waiting.to(cooking))
    hurry = event(waiting.to(cooking) | plating.to.itself(internal=True))
    done_invoke_cooking = cooking.to(plating)
    error_invoke_cooking = cooking.to(burnt)
    done_invoke_plating = plating.to(served)
    error_invoke_plating = plating.to(burnt)

    def on_exit_cooking(self, effects: Effects) -> None:
        effects.send("half_done", to="#_parent")

    def on_enter_burnt(self) -> Failure:
        return Failure("Burnt", "it is burnt")


class Kitchen(StateChart[Seen]):
    """Two cooks inside each other's room; the guest may leave."""

    closed = State(initial=True)
    busy = State(invoke=machine(Cook, id="cook"))
    done = State(final=True)
    lost = State(final=True)
    left = State(final=True)
    order = closed.to(busy)
    ask = busy.to.itself(internal=True)
    half_done = event(busy.to.itself(internal=True))
    done_invoke_cook = busy.to(done)
    error_invoke_cook = busy.to(lost)
    leave = busy.to(left)

    def on_ask(self, effects: Effects) -> None:
        effects.send("hurry", to="#_cook")

    def on_half_done(self, data: Seen) -> None:
        data.said = ["half done"]


class House(StateChart[Seen]):
    """A kitchen that runs inside another machine."""

    open = State(initial=True, invoke=machine(Kitchen, id="kitchen"))
    over = State(final=True)
    done_invoke_kitchen = open.to(over)
    error_invoke_kitchen = open.to(over)
    shut = open.to(over)
