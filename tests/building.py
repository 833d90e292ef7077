"""Build charts for tests of the core from a tree of states and a list of edges.

    chart(
        '''
        idle
        busy
            reading
            writing
        over final
        ''',
        edge("idle", "go", "busy"),
    )

A word after an id is its kind: `parallel`, `final`, `history`, `deep`. Every chart keeps a log in its data; with
`watched`, all its callbacks write into it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from durable_fsm.core.chart import (
    ROOT,
    Activity,
    Callback,
    Chart,
    Child,
    EventType,
    Guard,
    Hosting,
    Kind,
    Policies,
    State,
    Timer,
    Transition,
)
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import Step
from durable_fsm.core.events import Event
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import start, step
from durable_fsm.core.values import Json, Misfit, ValueType, changed

WORDS = {
    "parallel": Kind.PARALLEL,
    "final": Kind.FINAL,
    "history": Kind.SHALLOW_HISTORY,
    "deep": Kind.DEEP_HISTORY,
}


class Members:
    """A `ValueType` of JSON objects with the members given, each of one type."""

    def __init__(self, *, name: str = "Members", **members: type | object) -> None:
        self.name = name
        self.members = members

    def load(self, stored: Json) -> object:
        if not isinstance(stored, dict):
            raise Misfit(f"expected an object, got {plain(stored)!r}")
        value = {
            name: copy.deepcopy(default) for name, default in self.members.items() if not isinstance(default, type)
        }
        value.update(copy.deepcopy(stored))
        self._check(value)
        return value

    def dump(self, value: object) -> Json:
        stored = plain(value)
        assert isinstance(stored, dict)
        self._check(stored)
        return stored

    def completed(self, given: Json) -> None: ...

    def schema(self) -> dict[str, Json]:
        return {"type": "object"}

    def _check(self, value: Mapping[str, object]) -> None:
        for name, declared in self.members.items():
            type_ = declared if isinstance(declared, type) else type(declared)
            if not isinstance(value.get(name), type_):
                raise Misfit(f"expected {type_.__name__}, got {type(value.get(name)).__name__}", f"$.{name}")


Do = Callable[[Any], object]  # Any: the data, for callbacks that use nothing else


def action(do: Callable[[Scope], object], name: str | None = None) -> Callback:
    return Callback(name or do.__name__, do)


def guard(ask: Callable[[Scope], object], name: str | None = None, *, negated: bool = False) -> Guard:
    return Guard(name or ask.__name__, ask, negated=negated)


def note(text: str) -> Callback:
    """Write *text* into the log."""
    return Callback(text, lambda scope: scope.data["log"].append(text))


def fails(name: str = "stumble", error: Exception | None = None) -> Callback:
    def stumble(scope: Scope) -> None:
        raise error or ValueError("no way")

    return Callback(name, stumble)


def raises(event: str, payload: object = None) -> Callback:
    return Callback(f"raise {event}", lambda scope: scope.effects.raise_(event, payload))


def edge(source: str, events: str, *targets: str, key: str = "", **rest: Any) -> Transition:
    """Build an edge; *events* are separated by blanks, and without any it is eventless."""
    rest = {name: tuple(value) if isinstance(value, list) else value for name, value in rest.items()}
    words = tuple(events.split())
    return Transition(key or f"{source}--{events or 'always'}", source, targets, words, **rest)


def tree(text: str) -> dict[str, State]:
    """Read the states of an indented list, root first."""
    lines = [(len(line) - len(line.lstrip()), line.split()) for line in text.splitlines() if line.strip()]
    states = {ROOT: State(ROOT, Kind.COMPOUND, None)}
    above: list[tuple[int, str]] = [(-1, ROOT)]
    for indent, (id, *words) in lines:
        while above[-1][0] >= indent:
            above.pop()
        parent = above[-1][1]
        kind = WORDS[words[0]] if words else Kind.ATOMIC
        if states[parent].kind is Kind.ATOMIC:
            states[parent] = replace(states[parent], kind=Kind.COMPOUND)
        states[parent] = replace(states[parent], children=(*states[parent].children, id))
        states[id] = State(id, kind, parent)
        above.append((indent, id))
    return states


def chart(
    states: str,
    *edges: Transition,
    initial: Mapping[str, Transition] | None = None,
    entry: Mapping[str, Iterable[Callback]] | None = None,
    exit: Mapping[str, Iterable[Callback]] | None = None,
    done: Mapping[str, Iterable[Callback]] | None = None,
    timers: Mapping[str, Iterable[Timer]] | None = None,
    activities: Mapping[str, Iterable[Activity]] | None = None,
    machines: Mapping[str, Iterable[Child]] | None = None,
    defers: Mapping[str, Iterable[str]] | None = None,
    ignores: Mapping[str, Iterable[str]] | None = None,
    events: Iterable[EventType] = (),
    data: ValueType | None = None,
    policies: Policies | None = None,
    hosting: Hosting | None = None,
    name: str = "Order",
    version: str = "1",
) -> Chart:
    found = tree(states)
    for field, wanted in (
        ("entry", entry),
        ("exit", exit),
        ("done", done),
        ("timers", timers),
        ("activities", activities),
        ("machines", machines),
        ("defers", defers),
        ("ignores", ignores),
    ):
        for id, items in (wanted or {}).items():
            found[id] = replace(found[id], **{field: tuple(items)})
    for id, transition in (initial or {}).items():
        found[id] = replace(found[id], initial=transition)
    declared = {event.name: event for event in events}
    for transition in edges:
        for event in transition.events:
            if "*" not in event:
                declared.setdefault(event, EventType(event, public="." not in event))
    return Chart(
        name=name,
        states=found,
        transitions=edges,
        events=declared,
        data=data or Members(log=[]),
        version=version,
        policies=policies or Policies(),
        hosting=hosting or Hosting(),
    )


def hosted(made: Chart, **options: Any) -> Chart:
    """Return the chart with other hosting options."""
    return replace(made, hosting=replace(made.hosting, **options))


def watched(states: str, *edges: Transition, **rest: Any) -> Chart:
    """Return the chart with callbacks that write their names into the log."""
    seen = tuple(
        replace(
            transition,
            before=(*transition.before, note(f"before {transition.key}")),
            actions=(*transition.actions, note(f"on {transition.key}")),
            after=(*transition.after, note(f"after {transition.key}")),
        )
        for transition in edges
    )
    made = chart(states, *seen, **rest)
    noted = {
        id: replace(
            state,
            entry=(*state.entry, note(f"enter {id}")),
            exit=(*state.exit, note(f"exit {id}")),
        )
        for id, state in made.states.items()
    }
    return replace(made, states=noted)


class Driven:
    """A machine that processes events one after the other, without a host."""

    def __init__(self, chart: Chart, data: Json = None) -> None:
        self.chart = chart
        self.last: Step = start(chart, data=data, life="life", seed="seed")

    @property
    def snapshot(self) -> Snapshot:
        return self.last.snapshot

    def take(self, event: str | Event, payload: object = None) -> Step:
        """Process an event, with an empty log."""
        taken = Event(event, payload) if isinstance(event, str) else event
        self.last = step(self.chart, self.emptied, taken)
        return self.last

    @property
    def emptied(self) -> Snapshot:
        data = self.snapshot.data
        assert isinstance(data, dict)
        return changed(self.snapshot, data={**data, "log": []})

    @property
    def log(self) -> list[Json]:
        assert isinstance(self.snapshot.data, dict)
        found = self.snapshot.data["log"]
        assert isinstance(found, list)
        return found

    @property
    def leaves(self) -> tuple[str, ...]:
        return self.snapshot.configuration
