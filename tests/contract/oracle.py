"""Random charts as python-statemachine classes, run by its own engine and by ours.

Where the library deviates from SCXML on purpose or by mistake, the engine is corrected or the generator stays away;
`test_differences.py` has one test for each such rule.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from statemachine import HistoryState, State, StateChart
from statemachine.engines.sync import SyncEngine

from durable_fsm import chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Event
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import EventRejected, UnknownEvent

EVENTS = ("e0", "e1", "e2", "e3")
GUARDS = ("is_even", "not is_even", "is_small", "is_even or is_small", "!is_small ^ is_even", "n > 3")
BUDGET = 15
"""What may happen by itself costs; so every chart comes to rest."""


class DocumentOrderEngine(SyncEngine):
    """The library's engine, with regions asked in document order."""

    def _select_transitions(self, trigger_data: Any, predicate: Any) -> Any:
        active = sorted(self.sm.configuration, key=lambda state: state.document_order)
        found = [
            self._first_transition_that_matches(state, trigger_data, predicate) for state in active if state.is_atomic
        ]
        kept = dict.fromkeys(transition for transition in found if transition is not None)
        return self._filter_conflicting_transitions(kept)  # type: ignore[arg-type]


class Watched(StateChart):
    """What every random chart can do; its plain attributes are its data."""

    validate_disconnected_states = False
    validate_trap_states = False
    validate_final_reachability = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.log: list[str] = []
        self.n = 0
        super().__init__(*args, **kwargs)

    def _get_engine(self) -> SyncEngine:
        return DocumentOrderEngine(self)

    def on_enter_state(self, state: Any, source: Any, target: Any) -> None:
        self.log.append(f"enter {state.id}: {source.id if source else ''} > {target.id}")

    def on_exit_state(self, state: Any, source: Any, target: Any) -> None:
        self.log.append(f"exit {state.id}: {source.id} > {target.id}")

    def before_transition(self, source: Any) -> None:
        self.log.append(f"before {source.id}")

    def after_transition(self, source: Any) -> None:
        self.log.append(f"after {source.id}")

    def before_e0(self) -> None:
        self.log.append("before e0")

    def after_e1(self, event: str) -> None:
        self.log.append(f"after {event}")

    def spend(self) -> None:
        self.n += 1

    def add(self, amount: int = 0) -> None:
        self.n += amount
        self.log.append(f"add {amount}")

    def note(self) -> None:
        self.log.append("note")

    def raise_e1(self) -> None:
        if self.has_budget():
            self.n += 1
            self.raise_("e1")

    def raise_e2(self) -> None:
        if self.has_budget():
            self.n += 1
            self.raise_("e2", amount=2)

    def send_e3(self) -> None:
        if self.has_budget():
            self.n += 1
            self.send("e3", amount=1)

    def has_budget(self) -> bool:
        return self.n < BUDGET

    def never(self) -> bool:
        return False

    def is_even(self) -> bool:
        return self.n % 2 == 0

    def is_small(self) -> bool:
        return self.n < 7


ACTIONS = ("add", "note", "raise_e1", "raise_e2", "send_e3")
SILENT = ACTIONS[1:]
"""Actions that do not look at the payload: an eventless transition sees another one in the library."""


@dataclass
class Drawn:
    """A random chart: the class, and what is in it."""

    cls: type[Watched]
    features: set[str] = field(default_factory=set)


class Draw:
    """Draws one chart from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.number = 0
        self.states: dict[str, State] = {}
        self.parents: dict[str, str] = {}
        self.features: set[str] = set()

    def chart(self) -> Drawn:
        top = dict(self.children(depth=1, parent="", at_least=2, parallels=0.3))
        self.transitions()
        cls = type(StateChart)(f"Random{self.seed}", (Watched,), dict(top))
        _number(list(cls.states), 0)
        return Drawn(cls, self.features)

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def children(self, *, depth: int, parent: str, at_least: int, parallels: float) -> Iterator[tuple[str, State]]:
        count = self.random.randint(at_least, 3)
        for place in range(count):
            id = f"s{self.number}"
            self.number += 1
            self.parents[id] = parent
            final = place > 0 and place == count - 1 and self.random.random() < (0.15 if depth == 1 else 0.5)
            state = State(final=True) if final else self.state(id, depth, parallels)
            state._set_id(id) if not state.id else None
            self.states[id] = state
            yield id, state

    def state(self, id: str, depth: int, parallels: float) -> State:
        if depth >= 4 or self.random.random() > (0.75, 0.5, 0.3)[depth - 1]:
            return State()
        if depth >= 2:
            self.features.add("multi-level")
        if self.random.random() < parallels:
            self.features.add("parallel")
            body = dict(self.children(depth=depth + 1, parent=id, at_least=2, parallels=0.0 if depth == 1 else 0.2))
            body = {key: state for key, state in body.items() if not state.final}
            return _nested(State.Parallel, id, body)
        body = dict(self.children(depth=depth + 1, parent=id, at_least=1, parallels=0.3))
        if self.random.random() < 0.4:
            self.features.add("history")
            memory = HistoryState(type=self.random.choice(["shallow", "deep"]))
            memory._set_id(f"h{id}")
            self.states[f"h{id}"] = memory
            self.parents[f"h{id}"] = id
            default = self.random.choice(list(body.values()))
            memory.to(default, on=self.random.choice([None, "note"]))
            body[f"h{id}"] = memory
        return _nested(State.Compound, id, body)

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def transitions(self) -> None:
        alive = {id: state for id, state in self.states.items() if self.is_there(id)}
        sources = [id for id, state in alive.items() if not state.final and not isinstance(state, HistoryState)]
        alive[sources[0]].to(None, event=" ".join(EVENTS), cond="never")  # type: ignore[arg-type]  # all are known
        for id in sources:
            for _ in range(self.random.randint(1, 3)):
                self.transition(id, sources, list(alive))

    def is_there(self, id: str) -> bool:
        """Final regions of parallel states were taken out."""
        parent = self.parents[id]
        return not parent or (self.is_there(parent) and any(child.id == id for child in _below(self.states[parent])))

    def transition(self, source: str, sources: list[str], alive: list[str]) -> None:
        kind = self.random.random()
        options: dict[str, Any] = {}
        if self.random.random() < 0.45:
            options["cond" if self.random.random() < 0.8 else "unless"] = self.guard(sources)
        outside_deep = [id for id in alive if not self.is_deep_around(id, source)]
        target: Any = self.states[self.random.choice(outside_deep)]
        inside = [id for id in alive if self.lies_in(id, source)]
        if kind < 0.08:
            self.features.add("eventless")
            options |= {"cond": "has_budget", "before": "spend"}
        elif kind < 0.2 and self.states[source].states:
            self.features.add("done")
            options |= {"event": f"done.state.{source}", "cond": "has_budget", "before": "spend"}
        else:
            options["event"] = " ".join(self.random.sample(EVENTS, self.random.choice([1, 1, 1, 2])))
        if kind > 0.92 or (kind > 0.5 and inside):
            if inside and self.states[source].is_compound:
                self.features.add("internal")
                target = self.states[self.random.choice([id for id in inside if id in outside_deep] or inside[:1])]
                options["internal"] = True
            elif kind > 0.92 and "before" not in options:
                target = None
        elif kind > 0.87:
            target = self.fork() or target
        if not isinstance(target, HistoryState) and self.random.random() < 0.5:
            options["on"] = self.random.sample(ACTIONS if "event" in options else SILENT, self.random.choice([1, 2]))
            if any(name.startswith("raise") for name in options["on"]):
                self.features.add("raised")
        self.states[source].to(target, **options)

    def guard(self, sources: list[str]) -> str:
        if self.random.random() < 0.2:
            return f"In('{self.random.choice(sources)}')"
        self.features.add("guards on data")
        return self.random.choice(GUARDS)

    def fork(self) -> list[State] | None:
        """One state of each of two regions of a parallel state."""
        parallels = [state for id, state in self.states.items() if state.parallel and self.is_there(id)]
        if not parallels:
            return None
        regions = [region for region in self.random.choice(parallels).states if region.states]
        if len(regions) < 2:
            return None
        self.features.add("fork")
        return [self.random.choice(region.states) for region in regions[:2]]

    def is_deep_around(self, id: str, source: str) -> bool:
        """Whether *id* is the deep history of a state around *source*, which the library takes for larger."""
        state = self.states[id]
        parent = self.parents[id]
        around = source == parent or self.lies_in(source, parent)
        return isinstance(state, HistoryState) and state.type.is_deep and around

    def lies_in(self, id: str, ancestor: str) -> bool:
        parent = self.parents[id]
        return bool(parent) and (parent == ancestor or self.lies_in(parent, ancestor))


def _nested(base: Any, id: str, body: dict[str, State]) -> State:
    state: State = type(base)(id, (base,), body)
    return state._set_id(id)


def _below(state: State) -> list[State]:
    return [*state.states, *state.history]


def _number(states: list[State], last: int) -> int:
    """Number the states in document order; the library starts anew in every subtree."""
    for state in states:
        last += 1
        state.document_order = last
        last = _number(_below(state), last)
    return last


# ── running ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Seen = tuple[frozenset[str], tuple[str, ...], int, bool]
"""Active states, what the callbacks wrote, the data, and whether the machine has ended."""


def played_by_library(cls: type[Watched], events: list[tuple[str, int]]) -> Iterator[Seen]:
    machine = cls()

    def seen() -> Seen:
        log = tuple(machine.log)
        machine.log.clear()
        return frozenset(state.id for state in machine.configuration), log, machine.n, machine.is_terminated

    yield seen()
    for name, amount in events:
        machine.send(name, amount=amount)
        yield seen()


def played_by_us(
    cls: type[Watched], events: list[tuple[str, int]], *, cut: Callable[[Chart, Snapshot], Snapshot] | None = None
) -> Iterator[Seen]:
    """What we make of the events; *cut* stands for what happens to a snapshot between any two of them."""
    chart = chart_from(cls)
    turn = Turn(chart, None, seed="")
    turn.autostart(life="")
    assert turn.next_call() is None
    assert turn.parked == []

    def seen() -> Seen:
        data = turn.machine.data
        assert isinstance(data, dict)
        log, n = data["log"], data["n"]
        assert isinstance(log, list)
        assert isinstance(n, int)
        ended = turn.machine.status is Status.DONE
        return frozenset(active_in(chart, turn.machine)), tuple(map(str, log)), n, ended

    yield seen()
    for name, amount in events:
        data: Json = {**turn.machine.data, "log": []}  # type: ignore[dict-item]
        snapshot = changed(turn.machine, data=data)
        turn = Turn(chart, cut(chart, snapshot) if cut else snapshot, seed="")
        if turn.machine.status is Status.RUNNING:
            with contextlib.suppress(EventRejected, UnknownEvent):
                turn.take(Event(name, {"amount": amount}))
            assert turn.next_call() is None
            assert turn.parked == []
        yield seen()


def sequence(seed: int, length: int = 20) -> list[tuple[str, int]]:
    chance = random.Random(f"events {seed}")
    return [(chance.choice(EVENTS), chance.randint(0, 3)) for _ in range(length)]


def first_difference(seed: int) -> str | None:
    """Where the two engines part on chart and events number *seed*; None if they agree to the end."""
    drawn = Draw(seed).chart()
    events = sequence(seed)
    pairs = zip(played_by_library(drawn.cls, events), played_by_us(drawn.cls, events), strict=True)
    for place, (theirs, ours) in enumerate(pairs):
        if theirs != ours:
            return f"chart {seed}, after {place} events of {events[:place]}: {_parting(theirs, ours)}"
    return None


def _parting(theirs: Seen, ours: Seen) -> str:
    """The first line on which the two logs part, and where both machines are then."""
    same = 0
    while same < min(len(theirs[1]), len(ours[1])) and theirs[1][same] == ours[1][same]:
        same += 1
    parts = [
        f"\n  {who} in {sorted(seen[0])}, n={seen[2]}, ended={seen[3]}: {list(seen[1][max(0, same - 3) : same + 3])}"
        for who, seen in (("library", theirs), ("ours   ", ours))
    ]
    return "".join(parts)


def population(seeds: range) -> Counter[str]:
    return Counter(feature for seed in seeds for feature in Draw(seed).chart().features)
