"""Charts of other shapes and sizes than the toggle, for `speed.py`: each accepts `press` in every state.

    durable-fsm serve benchmarks.shapes:app

One process serves all of them, so they share one configuration of the log.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import History, TransitionsConfig, activity, after, durable, event

HOUR = timedelta(hours=1)
SIZES = {"states": (2, 20, 200), "data": (1, 10, 100), "timers": (1, 10, 100)}
"""Sizes that could increase the cost of an event: states of the chart, KiB of data, pending timers."""


async def nothing() -> None:
    """Work without cost, so that only the cost of an activity remains."""


def flat(name: str, history: History | None) -> type[StateChart]:
    @durable(name=name, history=history)
    class Toggle(StateChart):
        off = State(initial=True)
        on = State()
        press = event(off.to(on) | on.to(off))

    return Toggle


def parallel(name: str, history: History | None) -> type[StateChart]:
    """A chart of three levels; every press changes both regions."""

    @durable(name=name, history=history)
    class Device(StateChart):
        class device(State.Parallel):
            class lamp(State.Compound):
                class power(State.Compound):
                    off = State(initial=True)
                    on = State()
                    press = event(off.to(on) | on.to(off))

            class fan(State.Compound):
                class speed(State.Compound):
                    slow = State(initial=True)
                    fast = State()
                    press = event(slow.to(fast) | fast.to(slow))

    return Device


FlatTransitions = TransitionsConfig(
    "FlatTransitions",
    states=["off", "on"],
    initial="off",
    transitions=[["press", "off", "on"], ["press", "on", "off"]],
)


def region(name: str, level: str, first: str, second: str) -> dict[str, object]:
    inner = {"name": level, "children": [first, second], "initial": first}
    return {"name": name, "children": [inner], "initial": level}


LEVELS = (("device.lamp.power", "off", "on"), ("device.fan.speed", "slow", "fast"))
ParallelTransitions = TransitionsConfig(
    "ParallelTransitions",
    states=[
        {"name": "device", "parallel": [region("lamp", "power", "off", "on"), region("fan", "speed", "slow", "fast")]}
    ],
    initial="device",
    transitions=[
        ["press", f"{level}.{here}", f"{level}.{there}"]
        for level, one, other in LEVELS
        for here, there in ((one, other), (other, one))
    ],
    separator=".",
)


@durable()
class Timer(StateChart):
    """A chart where every press starts a timer and cancels the previous one."""

    off = State(initial=True)
    on = State()
    press = event(off.to(on) | on.to(off))
    expire = after(HOUR, on.to(off))
    give_up = after(HOUR, off.to(on))


@durable()
class Background(StateChart):
    """A chart where every press starts background work, whose outcome is another event."""

    idle = State(initial=True)
    busy = State(invoke=activity(nothing))
    broken = State(final=True)
    press = event(idle.to(busy) | busy.to.itself(internal=True))
    done_invoke_busy = busy.to(idle)
    error_invoke_busy = busy.to(broken)


@durable()
class Exclusive(StateChart):
    """A chart where every press starts exclusive work, and is answered when that has ended."""

    idle = State(initial=True)
    busy = State(invoke=activity(nothing, exclusive=True))
    broken = State(final=True)
    press = event(idle.to(busy))
    done_invoke_busy = busy.to(idle)
    error_invoke_busy = busy.to(broken)


SHAPES = {
    "flat, python-statemachine": flat("Flat", History()),
    "flat, transitions": FlatTransitions,
    "flat, without history": flat("FlatUnrecorded", None),
    "parallel, python-statemachine": parallel("Parallel", History()),
    "parallel, transitions": ParallelTransitions,
    "parallel, without history": parallel("ParallelUnrecorded", None),
    "a timer with every event": Timer,
    "a background activity with every event": Background,
    "an exclusive activity with every event": Exclusive,
}


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def of_states(count: int) -> TransitionsConfig:
    """Build a ring of states."""
    names = [f"s{number}" for number in range(count)]
    ring = [["press", name, names[(number + 1) % count]] for number, name in enumerate(names)]
    return TransitionsConfig(f"States{count}", states=names, initial=names[0], transitions=ring)


class Padded(BaseModel):
    padding: list[str] = []


def with_data(kib: int) -> type[StateChart]:
    """Build a toggle with this much data, in strings of 64 characters."""

    class Data(Padded):
        padding: list[str] = [f"{number:064}" for number in range(kib * 1024 // 67)]

    @durable(name=f"Data{kib}")
    class Toggle(StateChart[Data]):
        off = State(initial=True)
        on = State()
        press = event(off.to(on) | on.to(off))

    return Toggle


def with_timers(count: int) -> type[StateChart]:
    """Build a toggle with this many pending timers, which a press does not change."""

    @durable(name=f"Timers{count}")
    class Toggle(StateChart):
        class both(State.Parallel):
            class lamp(State.Compound):
                off = State(initial=True)
                on = State()
                press = event(off.to(on) | on.to(off))

            class clock(State.Compound):
                ticking = State(initial=True)
                rest = ticking.to.itself(internal=True, event="rest")

        def on_enter_clock(self, effects: durable_fsm.Effects) -> None:
            for number in range(count):
                effects.send("rest", after=HOUR, id=f"timer-{number}")

    return Toggle


MAKE = {"states": of_states, "data": with_data, "timers": with_timers}
GROWN = {what: {size: MAKE[what](size) for size in sizes} for what, sizes in SIZES.items()}

app = durable_fsm.app(*SHAPES.values(), *(chart for charts in GROWN.values() for chart in charts.values()))
