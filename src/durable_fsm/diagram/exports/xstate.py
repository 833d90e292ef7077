"""XState's JSON, the configuration for `createMachine` of version 5.

https://stately.ai/docs/machines
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

from durable_fsm.core.chart import ROOT, Chart, Guard, Kind, State, Transition
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Json
from durable_fsm.core.xstate_events import FAMILIES, PREFIXES
from durable_fsm.diagram.exports.export import (
    Export,
    callbacks_of,
    deferred,
    details_of,
    details_of_machine,
    exported,
    name_of,
    rejection,
)
from durable_fsm.diagram.words import actions_of

TYPES = {
    Kind.PARALLEL: "parallel",
    Kind.FINAL: "final",
    Kind.SHALLOW_HISTORY: "history",
    Kind.DEEP_HISTORY: "history",
}
PLATFORM = ("done.", "error.")

SPECIAL = frozenset(".#\\")
"""Characters that a key cannot contain: XState splits paths at dots, and `#` begins an id."""

Node = dict[str, Json]


def to_xstate(chart: Chart) -> Export:
    """Write the chart as JSON for `createMachine(config)` or `setup({guards, actions, actors}).createMachine(config)`.

    Guards, actions and activities are names; you implement them in XState. A negated guard is
    `{"type": "not", "params": {"guard": "has_items"}}`, several are `{"type": "and", "params": {"guards": […]}}`; you
    implement `not` and `and` like any other guard. The names of states become their descriptions.
    """
    return _XStateWriter(chart).export()


class _XStateWriter:
    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.lost: list[str] = []
        self.root = _key(chart.name)

    def export(self) -> Export:
        config: Node = {"id": self.root}
        if self.chart.doc.strip():
            config["description"] = self.chart.doc.strip()
        config.update(self._node(self.chart.root))
        self.lost += rejection(self.chart)
        return exported([json.dumps(config, indent=2, ensure_ascii=False)], self.lost)

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _node(self, state: State) -> Node:
        node: Node = {}
        if state.id != ROOT and state.name not in ("", state.id):
            node["description"] = state.name
        if state.kind in TYPES:
            node["type"] = TYPES[state.kind]
        if state.kind.is_history:
            return {**node, **self._history(state)}
        if state.kind is Kind.COMPOUND:
            node["initial"] = self._initial(state)
        if state.tags:
            node["tags"] = [*sorted(state.tags)]
        for word, callbacks in (("entry", (*state.entry, *state.done)), ("exit", state.exit)):
            if callbacks:
                node[word] = [callback.name for callback in callbacks]
        node.update(self._behaviour(state))
        if state.children:
            node["states"] = {self._own_key(id): self._node(self.chart.states[id]) for id in state.children}
        self._say_details(state)
        return node

    def _history(self, state: State) -> Node:
        initial = index_of(self.chart).initial[state.id]
        if initial.actions:
            names = ", ".join(action.name for action in initial.actions)
            self.lost.append(f"The actions on the way to the default of '{state.id}': {names}.")
        kind = "deep" if state.kind is Kind.DEEP_HISTORY else "shallow"
        return {"history": kind, "target": self._targets(initial.targets)}

    def _initial(self, state: State) -> Json:
        """The child that a compound state begins in; XState cannot begin in a deeper state."""
        initial = index_of(self.chart).initial[state.id]
        inner = [child for child in state.children if self._lies_in(initial.targets[0], child)]
        if initial.targets != (inner[0],):
            where = ", ".join(initial.targets)
            self.lost.append(f"'{state.id or self.chart.name}' begins in {where}; there it begins in '{inner[0]}'.")
        key = self._own_key(inner[0])
        return {"target": key, "actions": [*actions]} if (actions := actions_of(initial)) else key

    def _lies_in(self, id: str, ancestor: str) -> bool:
        return id == ancestor or index_of(self.chart).is_descendant(id, ancestor)

    def _say_details(self, state: State) -> None:
        self.lost += [f"The output of '{state.id}': the result of {action.name}." for action in state.done]
        self.lost += deferred(self.chart, state)
        for activity in state.activities:
            self.lost += details_of(activity, "The retries and the deadline")
        for child in state.machines:
            self.lost += details_of_machine(child)

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _behaviour(self, state: State) -> Node:
        """The members `invoke`, `on`, `after`, `always` and `onDone` of a state, each in document order."""
        on: dict[str, list[Json]] = {}
        after: dict[str, list[Json]] = {}
        always: list[Json] = []
        done: list[Json] = []
        for edge in index_of(self.chart).transitions[state.id]:
            written = self._transition(edge)
            if not edge.events:
                always.append(written)
            for event in edge.events:
                fixed = [timer for timer in state.timers if timer.event == event and timer.when is None]
                delays = [_milliseconds(timer.after) for timer in fixed]
                for delay in dict.fromkeys(delays):
                    after.setdefault(delay, []).append(written)
                if event == f"done.state.{state.id}":
                    done.append(written)
                elif not delays or self._is_public(event):
                    for name in self._events(event, edge):
                        on.setdefault(name, []).append(written)
        self._say_order(state, [*on])
        self._say_timers(state)
        members: dict[str, Json] = {"invoke": self._invoke(state, on)}
        members |= {"on": {name: _one(edges) for name, edges in on.items()}}
        members |= {"after": {delay: _one(edges) for delay, edges in after.items()}}
        members |= {"always": [*always], "onDone": _one(done) if done else None}
        return {name: member for name, member in members.items() if member}

    def _invoke(self, state: State, on: dict[str, list[Json]]) -> Json:
        """The activities with the transitions for their outcomes, which are removed from `on`."""
        found: list[Json] = []
        for activity in state.activities:
            invoke: Node = {"id": activity.id, "src": activity.name}
            for word, outcome in (("onDone", "done.invoke."), ("onError", "error.invoke.")):
                edges = on.pop(f"{PREFIXES[outcome]}{activity.id}", None)
                if edges:
                    invoke[word] = _one(edges)
            found.append(invoke)
        return found

    def _transition(self, edge: Transition) -> Json:
        written: Node = {}
        if edge.targets:
            written["target"] = self._targets(edge.targets)
        guard = self._guard(edge.guards)
        if guard is not None:
            written["guard"] = guard
        if actions := actions_of(edge):
            written["actions"] = [*actions]
        if self._reenters(edge):
            written["reenter"] = True
        self._say_regions(edge)
        self.lost += callbacks_of(edge)
        return written

    def _reenters(self, edge: Transition) -> bool:
        """Whether a transition to its own state, or into it, leaves that state first."""
        if not edge.targets or edge.source == ROOT:
            return False
        if not all(self._may_stay(edge.source, target) for target in edge.targets):
            return False
        return not self._stays_inside(edge)

    def _stays_inside(self, edge: Transition) -> bool:
        """Whether the source of an internal transition stays active, as SCXML defines it."""
        inside = all(index_of(self.chart).is_descendant(target, edge.source) for target in edge.targets)
        return edge.internal and inside and self.chart.states[edge.source].kind is Kind.COMPOUND

    def _may_stay(self, source: str, target: str) -> bool:
        """Whether the target is the source or inside it, or a history state around it that may lead there."""
        state = self.chart.states[target]
        return self._lies_in(target, source) or (state.kind.is_history and self._lies_in(source, state.parent or ROOT))

    def _say_regions(self, edge: Transition) -> None:
        """Say that SCXML leaves the parallel state around a transition between its regions, and XState does not."""
        states = self.chart.states
        if not edge.targets or edge.source == ROOT:
            return
        around = [
            above
            for above in index_of(self.chart).ancestors[edge.source]
            if all(index_of(self.chart).is_descendant(target, above) for target in edge.targets)
        ]
        if states[around[0]].kind is Kind.PARALLEL and not self._stays_inside(edge):
            where = ", ".join(edge.targets)
            self.lost.append(
                f"The transition from '{edge.source}' to {where} leaves '{around[0]}'; there it stays active."
            )

    @staticmethod
    def _guard(guards: tuple[Guard, ...]) -> Json:
        asked: list[Json] = [
            {"type": "not", "params": {"guard": guard.name}} if guard.negated else guard.name for guard in guards
        ]
        if len(asked) > 1:
            return {"type": "and", "params": {"guards": asked}}
        return asked[0] if asked else None

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _events(self, descriptor: str, edge: Transition) -> Iterator[str]:
        """The descriptors that XState uses for one of ours: several, or none if it has no such event."""
        plain = descriptor if descriptor == "*" else descriptor.removesuffix("*").removesuffix(".")
        prefix = next((prefix for prefix in PREFIXES if plain.startswith(prefix)), None)
        if plain in FAMILIES:
            yield FAMILIES[plain]
        if prefix is not None:
            what = plain.removeprefix(prefix)
            known = prefix == "done.state." and what in self.chart.states
            yield f"{PREFIXES[prefix]}{self._path(what) if known else what}"
        elif plain.startswith("error."):
            where = ", ".join(edge.targets) or "stay"
            self.lost.append(f"The transition from '{edge.source}' on '{plain}' to {where}.")
        elif plain not in FAMILIES or self._is_public(plain):
            longer = any(name.startswith(f"{plain}.") for name in self.chart.events if not name.startswith(PLATFORM))
            yield f"{plain}.*" if longer else plain

    def _is_public(self, event: str) -> bool:
        return event in self.chart.public_events

    def _say_order(self, state: State, names: list[str]) -> None:
        """Say where the order matters: XState tries the most precise descriptor first, SCXML the first."""
        for place, name in enumerate(names):
            later = [other for other in names[place + 1 :] if _covers(name, other)]
            self.lost += [f"'{state.id}' tries '{name}' before '{other}'." for other in later]

    def _say_timers(self, state: State) -> None:
        taken = {event for edge in index_of(self.chart).transitions[state.id] for event in edge.events}
        for timer in state.timers:
            what = f"'{state.id or self.chart.name}' raises '{timer.event}'"
            if timer.when is not None:
                self.lost.append(f"{what} at the time that '{timer.when.name}' computes.")
            elif timer.event not in taken:
                self.lost.append(f"{what} after {_milliseconds(timer.after)} ms, for transitions of other states.")
            if timer.recurring:
                self.lost.append(f"{what} again and again.")

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _targets(self, targets: tuple[str, ...]) -> Json:
        written: list[Json] = [f"#{self._path(target)}" for target in targets]
        return written[0] if len(written) == 1 else written

    def _path(self, id: str) -> str:
        """The id that XState gives a state: `Order.payment.charging`."""
        inside = [above for above in reversed(index_of(self.chart).ancestors[id]) if above != ROOT]
        return ".".join([self.root, *map(self._own_key, (*inside, id))])

    def _own_key(self, id: str) -> str:
        parent = self.chart.states[id].parent or ROOT
        return _key(id.removeprefix(f"{parent}."))


def _key(name: str) -> str:
    return name_of(name) if SPECIAL.intersection(name) else name


def _covers(general: str, precise: str) -> bool:
    """Whether one descriptor matches every event that another matches, and more."""
    if general == precise or not general.endswith("*"):
        return False
    return f"{precise}.".startswith(general.removesuffix("*"))


def _one(edges: list[Json]) -> Json:
    """A single transition without its array."""
    return edges[0] if len(edges) == 1 else edges


def _milliseconds(length: timedelta) -> str:
    return f"{length / timedelta(milliseconds=1):.15g}"
