"""Idioms of transitions: what makes a model with its machine, and the triggers that it gets."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from transitions import EventData, Machine, State
from transitions.extensions import HierarchicalMachine
from transitions.extensions.states import Tags, add_state_features

Sent = str | tuple[str, list[Any] | dict[str, Any]]


@dataclass
class Idiom:
    """`make` makes the model that the library drives; `definition` of it is what we read, by default itself."""

    make: Callable[[], Any]
    events: list[Sent]
    definition: Callable[[Any], Any] = lambda made: made


MACHINES: dict[str, Idiom] = {}
FLAT: dict[str, Any] = {"auto_transitions": False}


def idiom(name: str, *events: Sent, definition: Callable[[Any], Any] | None = None) -> Any:
    def keep(made: Any) -> Any:
        MACHINES[name] = Idiom(made, list(events), *([definition] if definition else []))
        return made

    return keep


class Logged:
    """A model that writes down what happens to it."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def note(self) -> None:
        self.log.append("note")


@idiom("the README's hero", "wake_up", "work_out", "eat", "nap")
class Hero:
    states = ("asleep", "hanging out", "hungry", "sweaty")

    def __init__(self) -> None:
        self.kittens_rescued = 0
        self.machine = Machine(model=self, states=list(Hero.states), initial="asleep")
        self.machine.add_transition(trigger="wake_up", source="asleep", dest="hanging out")
        self.machine.add_transition("work_out", "hanging out", "hungry", after="rescue")
        self.machine.add_transition("eat", "hungry", "hanging out")
        self.machine.add_transition("nap", "*", "asleep")

    def rescue(self) -> None:
        self.kittens_rescued += 1


@idiom("transitions as lists", "melt", "boil", "cool", "cool")
class Matter:
    def __init__(self) -> None:
        ways = [
            ["melt", "solid", "liquid"],
            ["boil", "liquid", "gas"],
            ["cool", "gas", "liquid"],
            ["cool", "liquid", "solid"],
        ]
        self.machine = Machine(self, states=["solid", "liquid", "gas"], transitions=ways, initial="solid", **FLAT)


@idiom("transitions as dictionaries with several sources", "pause", "go", "stop", "go")
class Player:
    def __init__(self) -> None:
        ways = [
            {"trigger": "go", "source": ["stopped", "paused"], "dest": "playing"},
            {"trigger": "pause", "source": "playing", "dest": "paused"},
            {"trigger": "stop", "source": ["playing", "paused"], "dest": "stopped"},
        ]
        self.machine = Machine(self, ["stopped", "playing", "paused"], "stopped", ways, **FLAT)


@idiom("a reflexive transition", "touch", "touch", "go", "touch")
class Screen(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, [{"name": "on", "on_enter": "note"}, "off"], initial="on", **FLAT)
        self.machine.add_transition("touch", "*", "=")
        self.machine.add_transition("go", "on", "off")


@idiom("an internal transition", "tick", "tick", "stop")
class Clock(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, ["running", "still"], initial="running", **FLAT)
        self.machine.add_transition("tick", "running", None, after="note")
        self.machine.add_transition("stop", "running", "still")


@idiom("conditions that permit and forbid", "go", ("fill", {"liters": 4}), "go", ("fill", {"liters": 4}), "go")
class Tank:
    def __init__(self) -> None:
        self.liters = 0
        self._leaks = False
        self.machine = Machine(self, ["parked", "gone"], initial="parked", **FLAT)
        self.machine.add_transition("fill", "parked", None, before="add")
        self.machine.add_transition("go", "parked", "gone", conditions=["is_full"], unless="leaks")

    def add(self, liters: int) -> None:
        self.liters += liters

    def is_full(self) -> bool:
        return self.liters > 5

    def leaks(self) -> bool:
        return self._leaks


@idiom("callbacks of every slot", "go", "back")
class Slots:
    def __init__(self) -> None:
        self.log: list[str] = []
        states = [
            {"name": "a", "on_exit": ["leave_a"]},
            {"name": "b", "on_enter": ["enter_b"]},
        ]
        self.machine = Machine(
            self, states, initial="a", prepare_event="prepare_all", before_state_change="before_all",
            after_state_change="after_all", finalize_event="finalize_all", **FLAT,
        )  # fmt: skip
        self.machine.add_transition(
            "go", "a", "b", prepare="prepare", conditions="allowed", before="before", after="after"
        )
        self.machine.add_transition("back", "b", "a")

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("prepare", "before", "after", "finalize", "leave", "enter")):
            return lambda: self.log.append(name)
        raise AttributeError(name)

    def allowed(self) -> bool:
        self.log.append("asked")
        return True


del MACHINES["callbacks of every slot"]  # its methods do not exist before they are asked for: see the next one


def _logging(name: str) -> Any:
    def call(self: Any) -> None:
        self.log.append(name)

    return call


NAMES = ("prepare_all", "before_all", "after_all", "finalize_all", "prepare", "before", "after", "leave_a", "enter_b")
idiom("callbacks of every slot", "go", "back")(
    type("Slots", (Slots,), {**{name: _logging(name) for name in NAMES}, "__getattr__": object.__getattribute__})
)


@idiom("callbacks that get one object", ("pay", {"cents": 3}), ("pay", ["x"]))
class Cashier:
    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.machine = Machine(self, ["open", "shut"], initial="open", send_event=True, **FLAT)
        self.machine.add_transition("pay", "open", None, before="look")

    def look(self, event: EventData) -> None:
        self.seen.append([event.event.name, event.state.name, list(event.args), dict(event.kwargs)])


@idiom("states in a row", "next_state", "next_state", "next_state")
class Row:
    def __init__(self) -> None:
        self.machine = Machine(self, ["one", "two", "three"], initial="one", **FLAT)
        self.machine.add_ordered_transitions()


@idiom("a trigger inside a callback", "start")
class Chain(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, ["a", "b", "c"], initial="a", queued=True, **FLAT)
        self.machine.add_transition("start", "a", "b", after="hurry")
        self.machine.add_transition("go_on", "b", "c", after="note")

    def hurry(self) -> None:
        self.go_on()  # type: ignore[attr-defined]
        self.log.append("asked")


@idiom("a machine that is its own model", "flip", "flip")
class Coin(Machine):
    def __init__(self) -> None:
        self.flips = 0
        self._thrower = "Ada"
        super().__init__(states=["heads", "tails"], initial="heads", **FLAT)
        self.add_transition("flip", "heads", "tails", after="count")
        self.add_transition("flip", "tails", "heads", after="count")

    def count(self) -> None:
        self.flips += 1


def _late() -> Logged:
    model = Logged()
    machine = Machine(states=["a", "b"], initial="a", **FLAT)
    machine.add_transition("go", "a", "b", before="note")
    machine.add_model(model)
    LATE.append(machine)
    return model


LATE: list[Machine] = []
idiom("a model that is added to a machine", "go", definition=lambda _: LATE[-1])(_late)


class Light(enum.Enum):
    RED = 1
    GREEN = 2


@idiom("states of an enumeration", "go", "stop")
class Lamp(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, states=Light, initial=Light.RED, **FLAT)
        self.machine.add_transition("go", Light.RED, Light.GREEN, after="look")
        self.machine.add_transition("stop", Light.GREEN, Light.RED)

    def look(self) -> None:
        self.log.append(self.state.name)  # type: ignore[attr-defined]


@idiom("nested states", "press", "brighter", "press", "press")
class Bulb(Logged):
    def __init__(self) -> None:
        super().__init__()
        states = ["off", {"name": "on", "children": ["dim", {"name": "bright", "on_enter": "note"}], "initial": "dim"}]
        ways = [["press", "off", "on"], ["brighter", "on_dim", "on_bright"], ["press", "on", "off"]]
        self.machine = HierarchicalMachine(self, states=states, transitions=ways, initial="off", **FLAT)

    def on_exit_on(self) -> None:
        self.log.append("out")


@idiom("parallel states", "go", "load", "track", "arrive")
class Parcel(Logged):
    def __init__(self) -> None:
        super().__init__()
        carried = {"name": "carried", "children": ["empty", "loaded"], "initial": "empty"}
        traced = {"name": "traced", "children": ["unknown", "known"], "initial": "unknown"}
        ways = [
            ["go", "shelf", "way"],
            ["load", "way_carried_empty", "way_carried_loaded"],
            ["track", "way_traced_unknown", "way_traced_known"],
            ["arrive", "way", "door"],
        ]
        states = ["shelf", {"name": "way", "parallel": [carried, traced]}, {"name": "door", "on_enter": "note"}]
        self.machine = HierarchicalMachine(self, states=states, transitions=ways, initial="shelf", **FLAT)


@idiom("another attribute for the state", "go")
class Status(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, ["new", "old"], initial="new", model_attribute="status", **FLAT)
        self.machine.add_transition("go", "new", "old", after="look")

    def look(self) -> None:
        self.log += [self.status, self.is_status_old()]  # type: ignore[attr-defined]


@idiom("invalid triggers that are ignored", "back", "go", "go")
class Calm:
    def __init__(self) -> None:
        self.machine = Machine(self, ["a", "b"], initial="a", ignore_invalid_triggers=True, **FLAT)
        self.machine.add_transition("go", "a", "b")
        self.machine.add_transition("back", "b", "a")


@add_state_features(Tags)
class Tagging(Machine):
    """A machine whose states have tags."""


@idiom("states with tags", "go")
class Tagged:
    def __init__(self) -> None:
        self.machine = Tagging(self, [{"name": "a", "tags": ["open"]}, "b"], initial="a", **FLAT)
        self.machine.add_transition("go", "a", "b")


@idiom("a state that is final", "go")
class Ending(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(
            self, ["a", State("b", final=True, on_enter="note")], initial="a", on_final="end", **FLAT
        )
        self.machine.add_transition("go", "a", "b")

    def end(self) -> None:
        self.log.append("end")


@idiom("arguments called like ours", ("go", ["alarm", 3]), ("go", {"event": "x", "data": 1, "error": 2}))
class Siren:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.machine = Machine(self, ["on"], initial="on", **FLAT)
        self.machine.add_transition("go", "on", None, before="hear")

    def hear(self, event: Any, data: Any, error: Any = None) -> None:
        self.told.append([event, data, error])


@idiom("questions about states and triggers", "look", "go", "look")
class Curious(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, ["a", "b"], initial="a", **FLAT)
        self.machine.add_transition("go", "a", "b", conditions="ready")
        self.machine.add_transition("look", "*", None, after="ask")

    def ready(self) -> bool:
        return len(self.log) > 0

    def ask(self) -> None:
        self.log.append([self.is_a(), self.may_go(), self.state])  # type: ignore[attr-defined]


def _count(log: list[int], by: int) -> None:
    log.append(by)


@idiom("callbacks that are functions", "go", "go")
class Functions:
    def __init__(self) -> None:
        self.n = 0
        self.machine = Machine(self, ["a", "b"], initial="a", **FLAT)
        self.machine.add_transition("go", "a", "b", conditions=lambda: True, before=partial(_count, [], 1))
        self.machine.add_transition("go", "b", "a", after=self.add)

    def add(self) -> None:
        self.n += 1


@idiom("a machine inside a state", "go", "count", "finish")
class Nesting:
    def __init__(self) -> None:
        counter = HierarchicalMachine(
            states=["one", "two"], transitions=[["count", "one", "two"]], initial="one", model=None, **FLAT
        )
        states = ["idle", {"name": "busy", "children": counter}, "done"]
        self.machine = HierarchicalMachine(self, states=states, initial="idle", **FLAT)
        self.machine.add_transition("go", "idle", "busy")
        self.machine.add_transition("finish", "busy", "done")


@idiom("states that are moved to directly from a callback", "start")
class Direct(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, ["a", "b", "c"], initial="a", queued=True)
        self.machine.add_transition("start", "a", "b", after="skip")

    def skip(self) -> None:
        self.to_c()  # type: ignore[attr-defined]


@idiom("a trigger that a callback names", "start")
class Named(Logged):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(self, ["a", "b", "c"], initial="a", queued=True, **FLAT)
        self.machine.add_transition("start", "a", "b", after="go_on")
        self.machine.add_transition("onwards", "b", "c")

    def go_on(self) -> None:
        self.trigger("onwards")  # type: ignore[attr-defined]
