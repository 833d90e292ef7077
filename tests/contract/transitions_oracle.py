"""Random configurations of transitions, run by its own engine and by ours.

The generator stays away from what the two mean differently; `test_transitions_differences.py` has a test for each rule.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from transitions import Machine, MachineError
from transitions.extensions import HierarchicalMachine, nesting

from durable_fsm import TransitionsConfig, chart_from
from durable_fsm.core.events import Event
from durable_fsm.core.snapshot import Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import EventRejected, UnknownEvent

EVENTS = ("e0", "e1", "e2", "e3", "inside")
INSIDE = EVENTS[-1]
"""Only transitions that are written inside a state take this one."""

BUDGET = 12


class Watched:
    """What every random model can do; its attributes are the data."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.n = 0

    def is_even(self, **_: Any) -> bool:
        return self.n % 2 == 0

    def is_small(self, **_: Any) -> bool:
        return self.n < 7

    def ready(self, **_: Any) -> None:
        self.log.append("ready")

    def add(self, amount: int = 0, **_: Any) -> None:
        self.n += amount
        self.log.append(f"add {amount}")

    def note(self, **_: Any) -> None:
        self.log.append("note")

    def chain(self, **_: Any) -> None:
        if self.n < BUDGET:
            self.n += 1
            self.e2(amount=2)  # type: ignore[attr-defined]  # given by the library, and by us

    def first(self, **_: Any) -> None:
        self.log.append("prepare event")

    def begin(self, **_: Any) -> None:
        self.log.append("before any")

    def end(self, **_: Any) -> None:
        self.log.append("after any")

    def last(self, **_: Any) -> None:
        self.log.append("finalize")

    def over(self, **_: Any) -> None:
        self.log.append("all is over")


@dataclass
class Drawn:
    """A random configuration, and what is in it."""

    flat: bool
    options: dict[str, Any]
    states: list[Any]
    transitions: list[dict[str, Any]]
    initial: str
    model: type[Watched]
    features: set[str] = field(default_factory=set)


class Draw:
    """Draws one configuration from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"transitions {seed}")
        self.seed = seed
        self.number = 0
        self.features: set[str] = set()
        self.names: list[str] = []
        self.regions: dict[str, tuple[str, int]] = {}
        self.methods: dict[str, Any] = {}
        self.direct: set[str] = set()
        self.final: set[str] = set()
        self.flat = self.random.random() < 0.2

    def config(self) -> Drawn:
        states = [self.state("", depth=1, region=None) for _ in range(self.random.randint(2, 4))]
        top = [state["name"] for state in states]
        transitions = [self.transition() for _ in range(self.random.randint(3, 9))]
        transitions += [
            {"trigger": event, "source": top[0], "dest": None, "conditions": "never"} for event in EVENTS
        ]  # so that every event is known
        self.methods["never"] = lambda _, **__: False
        model = type("Model", (Watched,), self.methods)
        return Drawn(self.flat, self.options(), states, transitions, top[0], model, self.features)

    def options(self) -> dict[str, Any]:
        """Callbacks of the whole machine.

        The library finalizes events that nothing took, and prepares an event anew for every state that is asked.
        """
        found: dict[str, Any] = {"before_state_change": "begin", "after_state_change": "end", "on_final": "over"}
        if "queued" not in self.features:
            found["finalize_event"] = "last"
        if self.flat:
            self.features.add("flat")
            found["prepare_event"] = "first"
        return found

    def state(self, path: str, *, depth: int, region: tuple[str, int] | None) -> dict[str, Any]:
        own = f"s{self.number}"
        self.number += 1
        name = f"{path}_{own}" if path else own
        self.names.append(name)
        if region is not None:
            self.regions[name] = region
            if region[0] == path:
                self.direct.add(name)
        state: dict[str, Any] = {
            "name": own,
            "on_enter": self.logging("enter", name),
            "on_exit": self.logging("exit", name),
        }
        kind = self.random.random()
        if self.flat:
            return state
        state["on_final"] = self.logging("final", name)
        if depth < 3 and kind < 0.4:
            self.features.add("nesting")
            children = [self.state(name, depth=depth + 1, region=region) for _ in range(self.random.randint(1, 3))]
            state["children"] = children
            if self.random.random() < 0.75:
                state["initial"] = children[0]["name"]
            else:
                self.features.add("resting")
            if self.random.random() < 0.4 and (region is None or region[1] == 0):  # else two regions would take it
                state["transitions"] = [self.inside(name, [child["name"] for child in children])]
        elif depth < 3 and kind < 0.55 and region is None:
            self.features.add("parallel")
            state["parallel"] = [self.state(name, depth=depth + 1, region=(name, place)) for place in range(2)]
        elif depth > 1 and kind > 0.8 and (region is None or region[1] == 0):
            self.features.add("final")  # not in all regions: with their ends a machine of ours is at its end
            self.final.add(name)
            state["final"] = True
        return state

    def inside(self, path: str, children: list[str]) -> dict[str, Any]:
        """A transition between children, written inside their parent."""
        self.features.add("written inside")
        alive = [name for name in children if f"{path}_{name}" not in self.final] or [None]
        source, dest = self.random.choice(alive), self.random.choice([*children, None])
        if source is None:
            return {"trigger": INSIDE, "source": children[0], "dest": None, "conditions": "never"}
        return {"trigger": INSIDE, "source": source, "dest": dest, "before": "note"}

    def logging(self, what: str, name: str) -> str:
        method = f"{what}_{name}"
        self.methods[method] = lambda model, **_: model.log.append(f"{what} {name} in {sorted(_flat(model.state))}")
        return method

    def transition(self) -> dict[str, Any]:
        source = self.random.choice([name for name in self.names if name not in self.final])
        region = self.regions.get(source)
        edge: dict[str, Any] = {"trigger": self.event(region), "source": source}
        inside = [name for name in self.names if self.regions.get(name) in (region, None) and self.suits(name, source)]
        chance = self.random.random()
        if chance < 0.15:
            self.features.add("internal")
            edge["dest"] = None
        elif chance < 0.3 and source not in self.direct:
            self.features.add("reflexive")
            edge["dest"] = "="
        else:
            edge["dest"] = self.random.choice(inside) if inside else None
        if not self.regions and chance > 0.8:
            self.features.add("wildcard")
            edge |= {"source": "*", "dest": self.random.choice([name for name in self.names if "_" not in name])}
        if self.random.random() < 0.5:
            self.features.add("conditions on data")
            edge[self.random.choice(["conditions", "unless"])] = self.random.sample(["is_even", "is_small"], 1)
        for slot in ("prepare", "before", "after"):
            if self.random.random() < 0.4:
                edge[slot] = self.random.sample(["add", "note", "ready"], self.random.choice([1, 2]))
        if self.random.random() < 0.2:
            self.features.add("queued")
            edge["after"] = [*edge.get("after", []), "chain"]
        return edge

    def event(self, region: tuple[str, int] | None) -> str:
        """Regions of one parallel state take different events: the library would run them one after the other."""
        free = EVENTS[2:-1] if self.regions else EVENTS[:-1]
        return f"e{region[1]}" if region is not None else self.random.choice(free)

    def suits(self, target: str, source: str) -> bool:
        """Not into a region from outside, nor from one region to another, nor deeper than into a child."""
        if target.startswith(f"{source}_") and "_" in target.removeprefix(f"{source}_"):
            return False
        if target in self.direct or (source in self.direct and not target.startswith(f"{source}_")):
            return target not in self.direct and source not in self.regions
        region = self.regions.get(target)
        return region is None or region == self.regions.get(source)


Seen = tuple[frozenset[str], tuple[str, ...], int]


class InOrder(nesting.NestedTransition):
    """The library's transition, with states entered in document order: region after region, not level by level."""

    def _resolve_transition(self, event_data: Any) -> Any:
        tree, exits, enters = super()._resolve_transition(event_data)
        names = list(event_data.machine.get_nested_state_names())

        def place(enter: Any) -> int:
            scope = enter.args[1] if len(enter.args) > 1 else []
            return names.index("_".join([*scope, enter.func.__self__._name]))

        return tree, exits, sorted(enters, key=place)

    def _final_check(self, event_data: Any, state_tree: Any, enter_partials: Any) -> Any:
        """As the library does, with a state at its end when all of its children are, and not when the last one is."""
        callbacks, is_final = super()._final_check(event_data, state_tree, enter_partials)
        below = [self._final_check_nested(child, event_data, state_tree, enter_partials)[1] for child in state_tree]
        return callbacks, all(below) if below else is_final


class Oracle(HierarchicalMachine):
    transition_cls = InOrder


def reverse_document_order(tree: dict[str, Any]) -> list[list[str]]:
    """Paths of all states of a tree, the last one first."""

    def paths(below: dict[str, Any], path: list[str]) -> Iterator[list[str]]:
        for name, inside in below.items():
            yield [*path, name]
            yield from paths(inside, [*path, name])

    return list(paths(tree, []))[::-1]


def played_by_library(drawn: Drawn, events: list[tuple[str, int]]) -> Iterator[Seen]:
    with mock.patch.object(nesting, "resolve_order", reverse_document_order):
        yield from _played_by_library(drawn, events)


def _played_by_library(drawn: Drawn, events: list[tuple[str, int]]) -> Iterator[Seen]:
    model: Any = drawn.model()
    cls: Any = Machine if drawn.flat else Oracle
    cls(
        model=model,
        states=drawn.states,
        transitions=drawn.transitions,
        initial=drawn.initial,
        auto_transitions=False,
        queued=True,
        **drawn.options,
    )
    yield frozenset(_flat(model.state)), tuple(model.log), model.n
    for name, amount in events:
        before = (model.n, len(model.log))
        with contextlib.suppress(MachineError):  # also for an event of a callback, which ours then drops
            model.trigger(name, amount=amount)
        if "before any" not in model.log[before[1] :]:  # what was prepared for nothing is undone by ours
            model.n = before[0]
            del model.log[before[1] :]
        yield frozenset(_flat(model.state)), tuple(model.log), model.n


def played_by_us(drawn: Drawn, events: list[tuple[str, int]]) -> Iterator[Seen]:
    chart = chart_from(
        TransitionsConfig(
            name="Random",
            states=drawn.states,
            transitions=drawn.transitions,
            initial=drawn.initial,
            model=drawn.model,
            **drawn.options,
        )
    )
    turn = Turn(chart, None, seed="")
    turn.autostart(life="")

    def seen() -> Seen:
        data = turn.machine.data
        assert isinstance(data, dict)
        log, n = data["log"], data["n"]
        assert isinstance(log, list)
        assert isinstance(n, int)
        return frozenset(leaf.removesuffix("_itself") for leaf in turn.machine.configuration), tuple(map(str, log)), n

    yield seen()
    for name, amount in events:
        data: Json = turn.machine.data
        turn = Turn(chart, changed(turn.machine, data=data), seed="")
        assert turn.machine.status is Status.RUNNING
        with contextlib.suppress(EventRejected, UnknownEvent):
            turn.take(Event(name, {"amount": amount}))
        assert turn.next_call() is None
        assert turn.parked == []
        yield seen()


def _flat(state: Any) -> Iterator[str]:
    for one in state if isinstance(state, list) else [state]:
        yield from _flat(one) if isinstance(one, list) else [str(one)]


def sequence(seed: int, length: int = 20) -> list[tuple[str, int]]:
    chance = random.Random(f"events {seed}")
    return [(chance.choice(EVENTS), chance.randint(0, 3)) for _ in range(length)]


def first_difference(seed: int) -> str | None:
    """Where the two engines part on configuration and events number *seed*; None if they agree to the end."""
    drawn = Draw(seed).config()
    events = sequence(seed)
    pairs = zip(played_by_library(drawn, events), played_by_us(drawn, events), strict=True)
    for place, (theirs, ours) in enumerate(pairs):
        if theirs != ours:
            shorter = min(len(theirs[1]), len(ours[1]))
            same = next((n for n in range(shorter) if theirs[1][n] != ours[1][n]), shorter)
            begin = max(0, same - 2)
            tails = f"library {theirs[0]} n={theirs[2]} {theirs[1][begin : same + 4]}"
            tails += f"\n  ours    {ours[0]} n={ours[2]} {ours[1][begin : same + 4]}"
            return f"configuration {seed}, after {events[:place][-1:]} (number {place}):\n  {tails}"
    return None


def population(seeds: range) -> Counter[str]:
    return Counter(feature for seed in seeds for feature in Draw(seed).config().features)
