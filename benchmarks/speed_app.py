"""Our machine for `speed.py`, which does the work of `floor.py`.

    durable-fsm serve benchmarks.speed_app:app

`BENCH_NAME` is added to its name. `BENCH_BARE` turns off history and the log line of each event, which the hand-written
object does not have. `ways` adds machines where every event runs an exclusive activity.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from benchmarks.floor import NAME, Count, Press
from durable_fsm import ActivityContext, History, activity, durable, event

BARE = bool(os.environ.get("BENCH_BARE"))

if BARE:
    logging.getLogger("durable_fsm").setLevel(logging.WARNING)


@durable(version="1", name=f"Ours{NAME}", history=None if BARE else History())
class Toggle(StateChart[Count]):
    """A lamp with a counter."""

    off = State(initial=True)
    on = State()

    press = event(off.to(on) | on.to(off), Press)

    def on_press(self, data: Count, payload: Press) -> int:
        data.presses += payload.by
        data.last_note = payload.note
        return data.presses


class Nothing(BaseModel):
    """Empty data."""


async def step() -> None:
    """Work without cost, so that only the cost of storing its result remains."""


async def one_step(ctx: ActivityContext, _data: Nothing) -> None:
    await ctx.run("step", step)


async def ten_steps(ctx: ActivityContext, _data: Nothing) -> None:
    for number in range(10):
        await ctx.run(f"step {number}", step)


def working(name: str, work: Callable[[ActivityContext, Nothing], Awaitable[None]]) -> type[StateChart[Nothing]]:
    """A machine that answers every press when its activity has ended."""

    @durable(name=f"{name}{NAME}")
    class Working(StateChart[Nothing]):
        idle = State(initial=True)
        busy = State(invoke=activity(work, exclusive=True))
        broken = State(final=True)
        press = event(idle.to(busy))
        done_invoke_busy = busy.to(idle)
        error_invoke_busy = busy.to(broken)

    return Working


app = durable_fsm.app(Toggle)
ways = durable_fsm.app(Toggle, working("OneStep", one_step), working("TenSteps", ten_steps))
