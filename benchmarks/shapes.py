"""Charts of other shapes than the toggle, and of other sizes, for `speed.py`: each takes `press` in every state.

durable-fsm serve benchmarks.shapes:app
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import TransitionsConfig, activity, after, durable, event

HOUR = timedelta(hours=1)
SIZES = {"states": (2, 20, 200), "data": (1, 10, 100), "timers": (1, 10, 100)}
"""By what the cost of an event could grow: states of the chart, KiB of data, timers that are pending."""


async def nothing() -> None:
    """Work that costs nothing: what remains is what it costs to have any."""


@durable()
class Flat(StateChart):
    off = State(initial=True)
    on = State()
    press = event(off.to(on) | on.to(off))


@durable(history=None)
class Unrecorded(StateChart):
    off = State(initial=True)
    on = State()
    press = event(off.to(on) | on.to(off))


Transitions = TransitionsConfig(
    "Transitions",
    states=["off", "on"],
    initial="off",
    transitions=[["press", "off", "on"], ["press", "on", "off"]],
)


@durable()
class Parallel(StateChart):
    """Three levels deep; every press moves both regions."""

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


@durable()
class Timer(StateChart):
    """Every press arms a timer, and cancels the one before."""

    off = State(initial=True)
    on = State()
    press = event(off.to(on) | on.to(off))
    expire = after(HOUR, on.to(off))
    give_up = after(HOUR, off.to(on))


@durable()
class Background(StateChart):
    """Every other press begins work, whose outcome is an event of its own."""

    off = State(initial=True)
    on = State(invoke=activity(nothing))
    done = State()
    done_invoke_on = on.to(done)
    error_invoke_on = on.to(done)
    press = event(off.to(on) | on.to(off) | done.to(off))


@durable()
class Exclusive(StateChart):
    """Every other press begins work, and is answered when that is over."""

    off = State(initial=True)
    on = State(invoke=activity(nothing, exclusive=True))
    done = State()
    done_invoke_on = on.to(done)
    error_invoke_on = on.to(done)
    press = event(off.to(on) | done.to(off))


SHAPES = {
    "flat, python-statemachine": Flat,
    "flat, transitions": Transitions,
    "flat, without a record": Unrecorded,
    "parallel, three levels": Parallel,
    "a timer with every event": Timer,
    "a background activity with every other event": Background,
    "an exclusive activity with every other event": Exclusive,
}


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def of_states(count: int) -> TransitionsConfig:
    """A ring of states."""
    names = [f"s{number}" for number in range(count)]
    ring = [["press", name, names[(number + 1) % count]] for number, name in enumerate(names)]
    return TransitionsConfig(f"States{count}", states=names, initial=names[0], transitions=ring)


class Padded(BaseModel):
    padding: list[str] = []


def with_data(kib: int) -> type[StateChart]:
    """A toggle with so much data, in strings of 64 characters."""

    class Data(Padded):
        padding: list[str] = [f"{number:064}" for number in range(kib * 1024 // 67)]

    @durable(name=f"Data{kib}")
    class Toggle(StateChart[Data]):
        off = State(initial=True)
        on = State()
        press = event(off.to(on) | on.to(off))

    return Toggle


def with_timers(count: int) -> type[StateChart]:
    """A toggle with so many timers pending, none of which a press touches."""

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
