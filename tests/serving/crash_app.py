"""A chart whose actions and activities end the process, served by `test_crashes.py`."""

from __future__ import annotations

import ctypes
import os

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Retry, activity, app, event


class Count(BaseModel):
    count: int = 0


def crash(data: Count) -> None:
    """Crash as an extension would."""
    ctypes.string_at(0)


class Mine(StateChart[Count]):
    """Counts, unless it steps on something."""

    calm = State(initial=True)
    working = State(invoke=activity(crash, retry=Retry(attempts=1)))

    count = event(calm.to.itself(internal=True) | working.to.itself(internal=True))
    explode = event(calm.to.itself(internal=True))
    work = event(calm.to(working))
    done_invoke_working = working.to(calm)
    error_invoke_working = working.to(calm)

    def on_count(self, data: Count) -> int:
        data.count += 1
        return data.count

    def on_explode(self) -> None:
        os._exit(7)


mine_app = app(Mine)
