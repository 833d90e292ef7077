"""A chart in two builds: the second one renames a state and adds a member, and cannot migrate every machine.

`MOVING_NAME` names the chart, `MOVING_BUILD` is `first` or `second`.
"""

from __future__ import annotations

import os

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import OldMachine, app, durable, migration

NAME = os.environ.get("MOVING_NAME", "Moving")


class Old(BaseModel):
    name: str = ""


class New(BaseModel):
    name: str = ""
    size: int


@durable(version="1", name=NAME)
class One(StateChart[Old]):
    waiting = State(initial=True)
    over = State(final=True)
    poke = waiting.to.itself()
    finish = waiting.to(over)


def measure(old: OldMachine) -> None:
    if old.data["name"].startswith("bad"):
        raise ValueError("nobody has measured it")
    old.data["size"] = len(old.data["name"])


@durable(version="2", name=NAME, migrations=[migration("1", measure, to="2", states={"waiting": "queued"})])
class Two(StateChart[New]):
    queued = State(initial=True)
    over = State(final=True)
    poke = queued.to.itself()
    finish = queued.to(over)


application = app(One if os.environ.get("MOVING_BUILD", "first") == "first" else Two)
