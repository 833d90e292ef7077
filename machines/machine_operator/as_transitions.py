"""The same operator as a configuration of transitions. A test compares the two."""

from __future__ import annotations

from pydantic import BaseModel

from durable_fsm import Effects, Failure, TransitionsConfig, activity
from machines.machine_operator.activities import bring_up, take_down


class Operated(BaseModel):
    """The model: callbacks, and no data."""

    def say_already_up(self, effects: Effects) -> None:
        effects.reply("already up")

    def say_not_up(self, effects: Effects) -> None:
        effects.reply("not up, cannot be torn down")

    def say_up(self, effects: Effects) -> None:
        effects.reply("now up")

    def say_still_down(self, error: Failure, effects: Effects) -> None:
        effects.reply(f"still down: {error.message}")

    def say_down(self, effects: Effects) -> None:
        effects.reply("now down")

    def say_still_up(self, error: Failure, effects: Effects) -> None:
        effects.reply(f"still up: {error.message}")


MachineOperator = TransitionsConfig(
    "machineOperator",
    states=["down", "bringing_up", "up", "tearing_down"],
    initial="down",
    transitions=[
        ["set_up", "down", "bringing_up"],
        {"trigger": "set_up", "source": "up", "dest": None, "before": "say_already_up"},
        {"trigger": "done_invoke_bringing_up", "source": "bringing_up", "dest": "up", "before": "say_up"},
        {"trigger": "error_invoke_bringing_up", "source": "bringing_up", "dest": "down", "before": "say_still_down"},
        ["tear_down", "up", "tearing_down"],
        {"trigger": "tear_down", "source": "down", "dest": None, "before": "say_not_up"},
        {"trigger": "done_invoke_tearing_down", "source": "tearing_down", "dest": "down", "before": "say_down"},
        {"trigger": "error_invoke_tearing_down", "source": "tearing_down", "dest": "up", "before": "say_still_up"},
    ],
    model=Operated,
    activities={
        "bringing_up": activity(bring_up, exclusive=True),
        "tearing_down": activity(take_down, exclusive=True),
    },
    handlers={"setUp": "set_up", "tearDown": "tear_down"},
    separator="/",
)
