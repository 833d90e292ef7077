"""SCXML, the statechart language of the W3C, for interpreters and editors that read it.

https://www.w3.org/TR/scxml/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from xml.etree import ElementTree as ET

from durable_fsm.core.chart import ROOT, Activity, Callback, Chart, Child, Guard, Kind, State, Timer, Transition
from durable_fsm.core.program import index_of
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

NAMESPACE = "http://www.w3.org/2005/07/scxml"
OURS = "urn:x-durable-fsm"
"""The namespace of our attributes `fsm:name` and `fsm:tags`, which other readers ignore."""

TAGS = {
    Kind.PARALLEL: "parallel",
    Kind.FINAL: "final",
    Kind.SHALLOW_HISTORY: "history",
    Kind.DEEP_HISTORY: "history",
}


def to_scxml(chart: Chart) -> Export:
    """Write the chart as an SCXML document that names code but contains none, so that it is safe to read.

    A guard is a condition (`cond="has_items"`) over variables; the document declares them as true, and a host may set
    them. An action is a `<log>` with its name, an activity an `<invoke>` of our own type, a timer a `<send>` on entry
    that the exit cancels.
    """
    return _ScxmlWriter(chart).export()


class _ScxmlWriter:
    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.lost: list[str] = []
        self.questions: dict[str, None] = {}

    def export(self) -> Export:
        chart = self.chart
        root = ET.Element("scxml", {"xmlns": NAMESPACE, "xmlns:fsm": OURS, "version": "1.0", "datamodel": "python"})
        root.set("name", chart.name)
        root.set("initial", self._ids(index_of(chart).initial[ROOT].targets))
        for child in chart.root.children:
            root.append(self._state(chart.states[child]))
        self._say_root(chart.root)
        if self.questions:
            root.insert(0, self._variables())
        self.lost += rejection(chart)
        ET.indent(root)
        text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
        return exported(['<?xml version="1.0" encoding="UTF-8"?>', text], self.lost)

    def _variables(self) -> ET.Element:
        """Declare the variables of the guards; all of them are true, so that the document can run."""
        model = ET.Element("datamodel")
        for name in self.questions:
            ET.SubElement(model, "data", {"id": name, "expr": "1"})
        names = ", ".join(f"'{name}'" for name in self.questions)
        self.lost.append(f"The guards: {names} are always true.")
        return model

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _state(self, state: State) -> ET.Element:
        element = ET.Element(TAGS.get(state.kind, "state"), {"id": _id(state.id)})
        if state.name not in ("", state.id):
            element.set("fsm:name", state.name)
        if state.tags:
            element.set("fsm:tags", " ".join(sorted(state.tags)))
        if state.kind.is_history:
            return self._history(element, state)
        if state.kind is Kind.COMPOUND:
            ET.SubElement(element, "initial").append(self._default(state))
        self._entry_and_exit(element, state)
        for edge in index_of(self.chart).transitions[state.id]:
            element.append(self._transition(edge))
        for activity in state.activities:
            element.append(self._activity(activity))
        for child in state.machines:
            element.append(self._machine(child))
        element.extend(self._state(self.chart.states[child]) for child in state.children)
        return element

    def _history(self, element: ET.Element, state: State) -> ET.Element:
        element.set("type", "deep" if state.kind is Kind.DEEP_HISTORY else "shallow")
        element.append(self._default(state))
        return element

    def _default(self, state: State) -> ET.Element:
        """The transition to where a compound state begins, or a history state leads the first time."""
        initial = index_of(self.chart).initial[state.id]
        element = ET.Element("transition", {"target": self._ids(initial.targets)})
        element.extend(_log("action", action) for action in initial.actions)
        return element

    def _entry_and_exit(self, element: ET.Element, state: State) -> None:
        sends = [(timer, id) for timer, id in zip(state.timers, _send_ids(state), strict=True) if timer.when is None]
        entry = [*(_log("action", action) for action in state.entry), *(_log("done", action) for action in state.done)]
        entry += [_send(timer, id) for timer, id in sends]
        leaving = [*(_log("action", action) for action in state.exit)]
        leaving += [ET.Element("cancel", {"sendid": id}) for _, id in sends]
        for tag, content in (("onentry", entry), ("onexit", leaving)):
            if content:
                ET.SubElement(element, tag).extend(content)
        self._say_timers(state)
        self.lost += deferred(self.chart, state)
        if state.done:
            names = ", ".join(action.name for action in state.done)
            self.lost.append(f"The output of '{state.id}': the result of {names}.")

    def _say_timers(self, state: State) -> None:
        for timer in state.timers:
            if timer.when is not None:
                self.lost.append(f"'{state.id}' raises '{timer.event}' at the time that '{timer.when.name}' computes.")
            if timer.recurring:
                self.lost.append(f"'{state.id}' raises '{timer.event}' again and again.")

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _transition(self, edge: Transition) -> ET.Element:
        element = ET.Element("transition")
        if edge.events:
            element.set("event", " ".join(map(_id, edge.events)))
        if edge.guards:
            element.set("cond", self._condition(edge.guards))
        if edge.targets:
            element.set("target", self._ids(edge.targets))
            if edge.internal:
                element.set("type", "internal")
        for label, actions in (("before", edge.before), ("action", edge.actions), ("after", edge.after)):
            element.extend(_log(label, action) for action in actions)
        self.lost += callbacks_of(edge)
        return element

    def _condition(self, guards: tuple[Guard, ...]) -> str:
        asked = [self._question(guard) for guard in guards]
        return asked[0] if len(asked) == 1 else " and ".join(f"({question})" for question in asked)

    def _question(self, guard: Guard) -> str:
        """The guard as an expression: its name if that is an expression, or else a variable named after it."""
        name = " ".join(guard.name.split())
        try:
            tree = ast.parse(name, mode="eval")
        except (SyntaxError, ValueError):
            variable = re.sub(r"\W", "_", f"_{name}" if name[:1].isdigit() else name)
            self.lost.append(f"The spelling of guard '{guard.name}': it is the variable '{variable}'.")
            tree, name = ast.parse(variable, mode="eval"), variable
        plain = isinstance(tree.body, ast.Name)
        self.questions.update(dict.fromkeys(_variables(tree)))
        if not guard.negated:
            return name
        return f"not {name}" if plain else f"not ({name})"

    # ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _activity(self, activity: Activity) -> ET.Element:
        element = ET.Element("invoke", {"type": f"{OURS}:activity", "id": _id(activity.id)})
        ET.SubElement(element, "param", {"name": "activity", "expr": repr(activity.name)})
        self.lost += details_of(activity, "The work, the retries and the deadline")
        return element

    def _machine(self, child: Child) -> ET.Element:
        element = ET.Element("invoke", {"type": f"{OURS}:machine", "autoforward": str(child.autoforward).lower()})
        ET.SubElement(element, "param", {"name": "machine", "expr": repr(child.name)})
        if child.finalize:
            ET.SubElement(element, "finalize").extend(_log("action", action) for action in child.finalize)
        self.lost += details_of_machine(child)
        return element

    def _say_root(self, root: State) -> None:
        """Say what the root has and `<scxml>` cannot have: actions, transitions, timers and activities."""
        self.lost += deferred(self.chart, root)
        own: Iterable[Callback] = (*root.entry, *root.exit, *index_of(self.chart).initial[ROOT].actions)
        self.lost += [f"The action {callback.name} of {self.chart.name} itself." for callback in own]
        for edge in index_of(self.chart).transitions[ROOT]:
            self.lost.append(f"The transition '{edge.key}', which {self.chart.name} takes in every state.")
        self.lost += [f"{self.chart.name} itself raises '{timer.event}'." for timer in root.timers]
        self.lost += [f"{self.chart.name} itself runs '{activity.id}'." for activity in root.activities]

    @staticmethod
    def _ids(ids: Iterable[str]) -> str:
        return " ".join(map(_id, ids))


# ── pieces of the language ────────────────────────────────────────────────────────────────────────────────────────────


def _id(id: str) -> str:
    """An id without white space, which separates ids in SCXML."""
    return name_of(id) if re.search(r"\s", id) else id


def _log(label: str, callback: Callback) -> ET.Element:
    return ET.Element("log", {"label": label, "expr": repr(callback.name)})


def _send(timer: Timer, id: str) -> ET.Element:
    return ET.Element("send", {"id": id, "event": _id(timer.event), "delay": _delay(timer.after)})


def _send_ids(state: State) -> Iterator[str]:
    for place, timer in enumerate(state.timers, 1):
        yield f"timer.{_id(state.id)}.{place}.{_id(timer.event)}"


def _delay(length: timedelta) -> str:
    """A duration as CSS writes it: whole seconds, or else milliseconds: `900s`, `1500ms`."""
    if length % timedelta(seconds=1) == timedelta(0):
        return f"{length // timedelta(seconds=1)}s"
    return f"{length / timedelta(milliseconds=1):.15g}ms"


def _variables(tree: ast.Expression) -> list[str]:
    """The variables of an expression: not those that SCXML provides, and not the functions that are called."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return [node.id for node in names if not node.id.startswith("_event")]
