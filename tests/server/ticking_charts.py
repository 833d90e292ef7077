"""Charts with timers that come again and again, hosted with those of `charts.py`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, cron, every

TICK = timedelta(milliseconds=300)


class Ticks(BaseModel):
    count: int = 0


class Metronome(StateChart[Ticks]):
    """Ticks for as long as it is on."""

    on = State(initial=True)
    off = State(final=True)

    stop = on.to(off)
    tick = every(TICK, on.to.itself(internal=True))

    def on_tick(self, data: Ticks) -> None:
        data.count += 1


class Bell(StateChart[Ticks]):
    """Rings with the minutes of two places."""

    up = State(initial=True)
    down = State(final=True)

    take_down = up.to(down)
    ring = every(cron("* * * * *", tz="Asia/Kolkata"), up.to.itself(internal=True))
    close = every(cron("0 18 * * mon-fri", tz="Europe/Berlin"), up.to(down), missed="skip")


Gong = TransitionsConfig(
    "Gong",
    states=["set", {"name": "off", "final": True}],
    transitions=[["ring", "set", None], ["switch_off", "set", "off"]],
    initial="set",
    every={"set": {"ring": TICK}},
    missed={"ring": "all"},
)

TICKING = (Metronome, Bell, Gong)
