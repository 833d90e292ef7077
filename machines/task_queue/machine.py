"""The task's chart, and its work."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Failure, TerminalError, activity, after, durable

SECONDS = float(os.environ.get("TASK_SECONDS", "3"))
"""How long a task takes."""


class TaskData(BaseModel):
    id: str = Field(default="", min_length=1)
    task: str = ""
    delay_seconds: float = Field(default=0, ge=0)
    result: str = ""


async def work(ctx: ActivityContext, data: TaskData) -> str:
    """Do the task, and write a line into the logbook."""
    return await ctx.run("work", do, data.id, data.task)


async def do(id: str, task: str) -> str:
    if task == "impossible":
        raise TerminalError(f"{id} is impossible")
    await asyncio.sleep(SECONDS)
    if logbook := os.environ.get("TASK_LOGBOOK"):
        with Path(logbook).open("a") as file:  # noqa: ASYNC230 - a line
            file.write(f"{id}\n")
    return f"Finished {id}: {task}"


@durable(name="AsyncTaskWorker", version="1", flow=True)
class Task(StateChart[TaskData]):
    """A task, done once. It runs as a flow: it receives no events, and only its result is kept."""

    queued = State(initial=True)
    running = State(invoke=activity(work))
    done = State(final=True)
    failed = State(final=True)

    begin = after(lambda data: timedelta(seconds=data.delay_seconds), queued.to(running))
    done_invoke_running = running.to(done)
    error_invoke_running = running.to(failed)

    def on_done_invoke_running(self, data: TaskData, result: str) -> None:
        data.result = result

    def on_error_invoke_running(self, data: TaskData, error: Failure) -> None:
        data.result = error.message

    def on_enter_done(self, data: TaskData) -> str:
        return data.result

    def on_enter_failed(self, data: TaskData) -> str:
        return f"Failed: {data.result}"
