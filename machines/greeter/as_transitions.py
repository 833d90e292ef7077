"""The same greeter as a configuration of transitions. A test compares the two."""

from __future__ import annotations

from durable_fsm import Effects, TransitionsConfig
from machines.greeter.machine import GreeterData, Greeting, ordinal


class Greeted(GreeterData):
    """The model: data and callbacks."""

    def is_last(self) -> bool:
        return self.count == 1

    def welcome(self, greeting: str, effects: Effects) -> None:
        self.count += 1
        effects.reply(f"{greeting}, for the {ordinal(self.count)} time!")

    def forget(self, effects: Effects) -> None:
        self.count -= 1
        effects.reply(self.count)

    def shrug(self, effects: Effects) -> None:
        effects.reply(0)


Greeter = TransitionsConfig(
    "greeter",
    states=["stranger", "acquaintance"],
    initial="stranger",
    transitions=[
        {"trigger": "greet", "source": "stranger", "dest": "acquaintance", "before": "welcome"},
        {"trigger": "greet", "source": "acquaintance", "dest": None, "before": "welcome"},
        {
            "trigger": "ungreet",
            "source": "acquaintance",
            "dest": "stranger",
            "conditions": "is_last",
            "before": "forget",
        },
        {"trigger": "ungreet", "source": "acquaintance", "dest": None, "before": "forget"},
        {"trigger": "ungreet", "source": "stranger", "dest": None, "before": "shrug"},
    ],
    model=Greeted,
    events={"greet": Greeting},
)
