"""SCXML, W3C's language of statecharts: for interpreters and editors that know it.

https://www.w3.org/TR/scxml/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from xml.etree import ElementTree as ET

from durable_fsm.core.chart import (
    ROOT,
    Activity,
    Callback,
    Chart,
    Child,
    Guard,
    Kind,
    State,
    Timer,
    Transition,
    Unexpected,
)
from durable_fsm.diagram.exports.export import Export, deferred, name_of, undone

NAMESPACE = "http://www.w3.org/2005/07/scxml"
OURS = "urn:x-durable-fsm"
"""The namespace of what SCXML has no attribute for, which other readers pass over: `fsm:name` and `fsm:tags`."""

TAGS = {
    Kind.PARALLEL: "parallel",
    Kind.FINAL: "final",
    Kind.SHALLOW_HISTORY: "history",
    Kind.DEEP_HISTORY: "history",
}


def to_scxml(chart: Chart) -> Export:
    """The chart as an SCXML document that safe readers take: it names code, and holds none.

    A guard is a condition (`cond="has_items"`) over variables that the document declares and that hold until a host
    says otherwise. An action is a `<log>` with its name, an activity an `<invoke>` of our own type, a timer a `<send>`
    on entry that the exit cancels.
    """
    return _Writer(chart).export()


class _Writer:
    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.lost: list[str] = []
        self.questions: dict[str, None] = {}

    def export(self) -> Export:
        chart = self.chart
        root = ET.Element("scxml", {"xmlns": NAMESPACE, "xmlns:fsm": OURS, "version": "1.0", "datamodel": "python"})
        root.set("name", chart.name)
        root.set("initial", self._ids(chart.index.initial[ROOT].targets))
        for child in chart.root.children:
            root.append(self._state(chart.states[child]))
        self._tell_of_the_root(chart.root)
        if self.questions:
            root.insert(0, self._variables())
        self._tell_of_policies()
        ET.indent(root)
        text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
        return Export(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', tuple(dict.fromkeys(self.lost)))

    def _variables(self) -> ET.Element:
        """The variables that guards ask for: all of them hold, so that the document runs as it is."""
        model = ET.Element("datamodel")
        for name in self.questions:
            ET.SubElement(model, "data", {"id": name, "expr": "1"})
        names = ", ".join(f"'{name}'" for name in self.questions)
        self.lost.append(f"What guards ask: {names} always hold.")
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
        for edge in self.chart.index.transitions[state.id]:
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
        """Where a compound state begins, and a history state the first time."""
        initial = self.chart.index.initial[state.id]
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
        self._tell_of_timers(state)
        self.lost += deferred(self.chart, state)
        if state.done:
            names = ", ".join(action.name for action in state.done)
            self.lost.append(f"What '{state.id}' leaves behind: the result of {names}.")

    def _tell_of_timers(self, state: State) -> None:
        for timer in state.timers:
            if timer.when is not None:
                self.lost.append(f"That '{state.id}' raises '{timer.event}' when '{timer.when.name}' says.")
            if timer.recurring:
                self.lost.append(f"That '{state.id}' raises '{timer.event}' again and again.")

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
        self._tell_of(edge)
        return element

    def _tell_of(self, edge: Transition) -> None:
        for validator in edge.validators:
            self.lost.append(f"That '{validator.name}' may reject '{' '.join(edge.events)}' in '{edge.source}'.")
        for when, actions in (("before states are left", edge.before), ("after states are entered", edge.after)):
            self.lost += [f"That '{action.name}' runs {when}." for action in actions if edge.targets]

    def _condition(self, guards: tuple[Guard, ...]) -> str:
        asked = [self._question(guard) for guard in guards]
        return asked[0] if len(asked) == 1 else " and ".join(f"({question})" for question in asked)

    def _question(self, guard: Guard) -> str:
        """The guard as an expression: its name, if that is one, or a variable made of it."""
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
        if activity.exclusive:
            self.lost.append(f"That activity '{activity.id}' holds the machine until it is over.")
        self.lost.append(f"What activity '{activity.id}' does, how often it is tried, and when it is given up.")
        self.lost += undone(activity)
        return element

    def _machine(self, child: Child) -> ET.Element:
        element = ET.Element("invoke", {"type": f"{OURS}:machine", "autoforward": str(child.autoforward).lower()})
        ET.SubElement(element, "param", {"name": "machine", "expr": repr(child.name)})
        if child.finalize:
            ET.SubElement(element, "finalize").extend(_log("action", action) for action in child.finalize)
        self.lost.append(f"Which machine '{child.name}' begins: the chart decides that while it runs.")
        return element

    # ── what there is no place for ────────────────────────────────────────────────────────────────────────────────────

    def _tell_of_the_root(self, root: State) -> None:
        """`<scxml>` has neither actions nor transitions."""
        self.lost += deferred(self.chart, root)
        own: Iterable[Callback] = (*root.entry, *root.exit, *self.chart.index.initial[ROOT].actions)
        self.lost += [f"What {self.chart.name} itself does: {callback.name}." for callback in own]
        for edge in self.chart.index.transitions[ROOT]:
            self.lost.append(f"The transition '{edge.key}', which {self.chart.name} takes wherever it is.")
        self.lost += [f"That {self.chart.name} itself raises '{timer.event}'." for timer in root.timers]
        self.lost += [f"That {self.chart.name} itself runs '{activity.id}'." for activity in root.activities]

    def _tell_of_policies(self) -> None:
        if self.chart.policies.unexpected is Unexpected.REJECT:
            self.lost.append("That events are rejected where nothing takes them: they are dropped.")

    @staticmethod
    def _ids(ids: Iterable[str]) -> str:
        return " ".join(map(_id, ids))


# ── pieces of the language ────────────────────────────────────────────────────────────────────────────────────────────


def _id(id: str) -> str:
    """An id without white space, which separates ids here."""
    return name_of(id) if re.search(r"\s", id) else id


def _log(label: str, callback: Callback) -> ET.Element:
    return ET.Element("log", {"label": label, "expr": repr(callback.name)})


def _send(timer: Timer, id: str) -> ET.Element:
    return ET.Element("send", {"id": id, "event": _id(timer.event), "delay": _delay(timer.after)})


def _send_ids(state: State) -> Iterator[str]:
    for place, timer in enumerate(state.timers, 1):
        yield f"timer.{_id(state.id)}.{place}.{_id(timer.event)}"


def _delay(length: timedelta) -> str:
    """As CSS writes times, in the largest unit of the two that needs no fraction if there is one: `900s`, `1500ms`."""
    if length % timedelta(seconds=1) == timedelta(0):
        return f"{length // timedelta(seconds=1)}s"
    return f"{length / timedelta(milliseconds=1):.15g}ms"


def _variables(tree: ast.Expression) -> list[str]:
    """The names that an expression asks for, without those that SCXML brings or that are called."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return [node.id for node in names if not node.id.startswith("_event")]
