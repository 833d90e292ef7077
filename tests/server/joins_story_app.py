"""A machine whose fan-outs do not need all of their items, for `test_every_step_of_a_fan_out.py`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Failure, TerminalError, activity, app, event
from durable_fsm.testing import effect
from tests.server import dying

dying.install()


class Contest(BaseModel):
    effect: str = ""
    results: list[Any] = []


async def take_part(ctx: ActivityContext, how: str, data: Contest) -> str:
    """Succeed with an effect, be refused, or go on for a day."""
    if how == "refused":
        raise TerminalError("refused")
    if how == "slow":
        await ctx.sleep(timedelta(days=1))

    def write_down() -> str:
        effect(f"{data.effect}-{how}", ctx.stable_id)
        return how

    return await ctx.run("write down", write_down)


def electors(data: Contest) -> list[str]:
    return ["slow", "first", "refused", "second"]


def runners(data: Contest) -> list[str]:
    return ["slow", "refused", "winner"]


def team(data: Contest) -> list[str]:
    return ["slow", "refused", "slow"]


class Joins(StateChart[Contest]):
    """Two of four, one of three, and all of three of which one is refused."""

    idle = State(initial=True)
    electing = State(invoke=activity(take_part, each=electors, join=2))
    racing = State(invoke=activity(take_part, each=runners, join="any"))
    teaming = State(invoke=activity(take_part, each=team, join="all"))
    over = State(final=True)

    begin = event(idle.to(electing), str)
    done_invoke_electing = electing.to(racing, on="keep")
    done_invoke_racing = racing.to(teaming, on="keep")
    error_invoke_teaming = teaming.to(over)
    error_execution = over.from_(electing, racing)

    def on_begin(self, data: Contest, payload: str) -> None:
        data.effect = payload

    def keep(self, data: Contest, result: Any) -> None:
        data.results.append(result)

    def on_enter_over(self, data: Contest, error: Failure) -> None:
        data.results.append(error.metadata)


joins_story_app = app(Joins)
