"""New names for what a chart does not have any more: proposed with a score and its reasons, for a person to judge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from durable_fsm.core.chart import Activity, Chart, Kind, State
from durable_fsm.core.program import index_of

ENOUGH = 0.6
"""The least score of a proposal."""


class Rename(NamedTuple):
    """A new name for an old one; `score` is at most 1, and `why` says what the two have in common."""

    old: str
    new: str
    score: float
    why: str


def renamed_states(old: Chart | None, new: Chart, missing: Iterable[str]) -> list[Rename]:
    """Proposals for states that are missing, the surest first; each new name is proposed once."""
    found: list[Rename] = []
    candidates = [state for state in new.states.values() if state.id and (old is None or state.id not in old.states)]
    for id in missing:
        if id in new.states:
            found.append(_inside(new, id))
        elif old is not None and id in old.states:
            parent = old.states[id].parent
            if parent is not None and parent in new.states and new.states[parent].kind is Kind.ATOMIC:
                found.append(Rename(id, parent, 1.0, "it is a leaf now, and was around it"))
            found += [_compared(old, new, old.states[id], state) for state in candidates if state.kind.is_leaf]
    return _best(found)


def renamed_activities(old: Chart | None, new: Chart, missing: Iterable[tuple[str, str]]) -> list[Rename]:
    """Proposals for running activities, by state and id, that their state does not declare any more."""
    found: list[Rename] = []
    for state, id in missing:
        before = old.activities.get(id) if old is not None else None
        declared = [one for one in new.states[state].activities if old is None or one.id not in old.activities]
        for one in declared:
            same = before is not None and before.name == one.name
            score = 0.9 if same else 0.5 + 0.3 * _alike(id, one.id)
            if before is None or _kind_of(before) == _kind_of(one):
                found.append(Rename(id, one.id, round(score, 2), "same work" if same else "the state's only new work"))
    return _best(found)


def _kind_of(activity: Activity) -> tuple[object, ...]:
    return activity.exclusive, activity.each is None, activity.undoes is None


def _best(found: list[Rename]) -> list[Rename]:
    taken: set[str] = set()
    named: set[str] = set()
    best: list[Rename] = []
    for one in sorted(found, key=lambda one: (-one.score, one.old, one.new)):
        if one.score >= ENOUGH and one.old not in named and one.new not in taken:
            named.add(one.old)
            taken.add(one.new)
            best.append(one)
    return best


def _inside(new: Chart, id: str) -> Rename:
    """A leaf that contains others now: a machine is in the one with which it begins."""
    index = index_of(new)
    leaf = id
    while new.states[leaf].kind is Kind.COMPOUND:
        leaf = index.initial[leaf].targets[0]
    score = 1.0 if new.states[leaf].kind.is_leaf else 0.0
    return Rename(id, leaf, score, "it contains others now, and begins with this one")


def _compared(old: Chart, new: Chart, before: State, now: State) -> Rename:
    """How much two states have in common: their kind and place, the ways in and out, the work and callbacks, the name."""
    parts = {
        "same work": (3.0, _share([_work(one) for one in before.activities], [_work(one) for one in now.activities])),
        "same timers": (1.0, _share([one.event for one in before.timers], [one.event for one in now.timers])),
        "same way out": (2.0, _share(_out(old, before), _out(new, now))),
        "same way in": (2.0, _share(_in(old, before), _in(new, now))),
        "same callbacks": (1.0, _share(_callbacks(before), _callbacks(now))),
    }
    known = {name: part for name, part in parts.items() if part[1] is not None}
    weight = sum(weight for weight, _ in known.values()) + 1.0
    score = sum(weight * (share or 0.0) for weight, share in known.values()) + _alike(before.id, now.id)
    same = before.kind is now.kind and (before.parent == now.parent or before.parent not in new.states)
    why = ", ".join(name for name, (_, share) in known.items() if share == 1.0) or "a similar name"
    return Rename(before.id, now.id, round(score / weight, 2) if same else 0.0, why)


def _share(before: Iterable[str], now: Iterable[str]) -> float | None:
    """How many of both are in both; None if there are none."""
    one, other = set(before), set(now)
    return len(one & other) / len(one | other) if one or other else None


def _work(activity: Activity) -> str:
    return activity.name


def _out(chart: Chart, state: State) -> set[str]:
    edges = index_of(chart).transitions[state.id]
    return {
        f"{_event(name, state)} → {_target(target, state)}"
        for edge in edges
        for name in edge.events
        for target in edge.targets
    }


def _in(chart: Chart, state: State) -> set[str]:
    edges = (edge for edge in chart.transitions if state.id in edge.targets)
    return {f"{edge.source if edge.source != state.id else ''} {' '.join(edge.events)}" for edge in edges}


def _event(name: str, state: State) -> str:
    """Outcomes of its own work by their place: their names follow from that of the state."""
    for place, activity in enumerate(state.activities):
        for how in ("done.invoke", "error.invoke"):
            if name == f"{how}.{activity.id}":
                return f"{how} {place}"
    return name


def _target(id: str, state: State) -> str:
    return "" if id == state.id else id


def _callbacks(state: State) -> list[str]:
    return [callback.name.replace(state.id, "*") for callback in (*state.entry, *state.exit)]


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
