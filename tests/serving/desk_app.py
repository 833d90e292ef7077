"""A chart that counts, works and waits, served in every way there is by `test_serving.py`."""

from __future__ import annotations

import os

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, activity, app, event
from durable_fsm.testing.effects import URL_VARIABLE


class DeskData(BaseModel):
    count: int = 0
    word: str = ""


async def have_effect(name: str, key: str) -> str:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json={"name": name, "key": key})
    answer.raise_for_status()
    return name


async def work(ctx: ActivityContext) -> str:
    return str(await ctx.run("work", have_effect, "work", ctx.key))


async def wait(ctx: ActivityContext) -> str:
    return str(await ctx.callback("word"))


class Desk(StateChart[DeskData]):
    """Counts at once, works for as long as it takes, and waits for a word."""

    idle = State(initial=True)
    working = State(invoke=activity(work))
    waiting = State(invoke=activity(wait, exclusive=True))

    count = event(idle.to.itself(internal=True))
    work = idle.to(working)
    wait = idle.to(waiting)
    done_invoke_working = working.to(idle)
    done_invoke_waiting = waiting.to(idle)
    error_execution = working.to(idle) | waiting.to(idle)

    def on_count(self, data: DeskData) -> int:
        data.count += 1
        return data.count

    def on_done_invoke_working(self, data: DeskData, result: str) -> None:
        data.word = result

    def on_done_invoke_waiting(self, data: DeskData, result: str) -> None:
        data.word = result


desk_app = app(Desk)
