"""One machine that does a bit of everything, for `test_every_step.py`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Effects, History, Retry, activity, after, app, defer, durable, event
from durable_fsm.testing import effect
from tests.server import dying

dying.install()


class Tale(BaseModel):
    effect: str = ""
    rounds: int = 0
    notes: list[int] = []
    results: list[str] = []


class Begin(BaseModel):
    effect: str


def write_down(name: str, key: str) -> str:
    effect(name, key)
    return name


async def in_steps(ctx: ActivityContext, data: Tale) -> str:
    """Two effects, with a rest in between."""
    await ctx.run("first", write_down, f"{data.effect}-first", ctx.stable_id)
    await ctx.sleep(timedelta(milliseconds=50))
    return await ctx.run("second", write_down, f"{data.effect}-second", ctx.stable_id)


async def alone(ctx: ActivityContext, data: Tale) -> str:
    return await ctx.run("alone", write_down, f"{data.effect}-alone", ctx.stable_id)


async def part(ctx: ActivityContext, item: int, data: Tale) -> str:
    """One of several, of which two may be under way at once."""
    return await ctx.run("part", write_down, f"{data.effect}-part", ctx.stable_id)


async def mail(ctx: ActivityContext, letter: dict[str, str]) -> str:
    """Detached work."""
    return await ctx.run("mail", write_down, f"{letter['effect']}-mail", ctx.stable_id)


@durable(history=History(entries=100), work=[activity(mail)])
class Story(StateChart[Tale]):
    """Work in the background, work that holds the machine, a timer, a fan-out, and notes that wait for the end."""

    idle = State(initial=True)
    working = State(invoke=activity(in_steps, retry=Retry(attempts=3)))
    holding = State(invoke=activity(alone, exclusive=True))
    resting = State()
    crowding = State(invoke=activity(part, each=lambda data: [1, 2, 3], limit=2))
    rested = State()

    defer(working, "note")
    defer(resting, "note")
    defer(crowding, "note")

    begin = event(idle.to(working), Begin)
    done_invoke_working = working.to(holding)
    error_invoke_working = working.to(rested)
    done_invoke_holding = holding.to(resting)
    error_invoke_holding = holding.to(rested)
    rest = after(timedelta(milliseconds=100), resting.to(crowding))
    done_invoke_crowding = crowding.to(rested)
    error_invoke_crowding = crowding.to(rested)
    note = event(rested.to.itself(internal=True) | holding.to.itself(internal=True), int)

    def on_begin(self, data: Tale, payload: Begin, effects: Effects) -> None:
        data.effect = payload.effect
        data.rounds += 1
        effects.start("mail", {"effect": payload.effect})

    def on_done_invoke_working(self, data: Tale, result: str) -> None:
        data.results.append(result)

    def on_done_invoke_holding(self, data: Tale, result: str) -> None:
        data.results.append(result)

    def on_done_invoke_crowding(self, data: Tale, result: list[str]) -> None:
        data.results += result

    def on_note(self, data: Tale, payload: int) -> int:
        data.notes.append(payload)
        return len(data.notes)


story_app = app(Story)
