"""The members of XState's nodes: which there are, and how the names of its events are spelled in a chart."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from durable_fsm.core.chart import ROOT
from durable_fsm.core.xstate_events import FAMILIES, PREFIXES
from durable_fsm.frontends.arguments import Report
from durable_fsm.frontends.xstate.nodes import Members, StateNode, StateTree, listed

STATE = frozenset(
    {"id", "type", "initial", "states", "on", "after", "always", "onDone", "invoke", "entry", "exit", "tags"}
    | {"history", "target", "output", "description", "meta", "key", "order"}
)
MACHINE = STATE | {"context", "version", "types", "schemas", "$schema"}
TRANSITION = frozenset({"target", "guard", "actions", "reenter", "description", "meta"})
INVOKE = frozenset({"id", "src", "input", "onDone", "onError", "systemId"})

FORMER = {
    "cond": "XState 5 calls it guard",
    "in": "XState 5 calls it guard: stateIn(…); give a guard function",
    "internal": "XState 5 has reenter instead",
    "activities": "XState 5 has invoke instead",
    "onEntry": "XState 5 calls it entry",
    "onExit": "XState 5 calls it exit",
    "onSnapshot": "a machine sends to its parent by effects.send(…)",
    "route": "it is not supported",
}
"""Members that are not read, and what to write instead."""

OURS = {theirs: ours for ours, theirs in FAMILIES.items()}
"""XState's descriptors of the events that come from the machine itself, and ours."""


class Vocabulary:
    """Reads the members of nodes, and reports those that it does not know."""

    def __init__(self, tree: StateTree, problem: Report) -> None:
        self.tree = tree
        self.problem = problem

    def check(self, node: StateNode) -> None:
        """Report members that XState 5 does not have, where it does not have them."""
        where = f"state '{node.id}'" if node.id != ROOT else "the machine"
        self._know(node.members, MACHINE if node.parent is None else STATE, where)
        for one in listed(node.members.get("invoke")):
            self._know(self._object(one, f"invoke of {where}"), INVOKE, f"invoke of {where}")
        for _, said in self.transitions(node):
            self._know(said, TRANSITION, f"a transition of {where}")

    def transitions(self, node: StateNode) -> Iterator[tuple[str, Members]]:
        """The transitions of a node by the event that a chart knows; '' for those without one.

        XState tries the most precise descriptor first, whatever the order of the members; a chart tries the first.
        """
        on = cast("Members", node.members.get("on") or {})
        for name in sorted(on, key=_imprecision):
            for said in self._alternatives(on[name], node):
                yield self.event(name), said
        for place, one in enumerate(listed(node.members.get("invoke"))):
            invoke = self._object(one, "invoke")
            id = invoke_id(invoke, node, place)
            for member, family in (("onDone", "done.invoke"), ("onError", "error.invoke")):
                for said in self._alternatives(invoke[member], node) if member in invoke else ():
                    yield f"{family}.{id}", said
        for delay, alternatives in self.after(node).items():
            for said in self._alternatives(alternatives, node):
                yield self.timer_event(node, delay), said
        if "onDone" in node.members:
            for said in self._alternatives(node.members["onDone"], node):
                yield f"done.state.{node.id}", said
        for said in self._alternatives(node.members.get("always") or [], node):
            yield "", said

    def after(self, node: StateNode) -> Members:
        """The delayed transitions of a node, by delay: milliseconds or a name."""
        return {str(delay): said for delay, said in cast("Members", node.members.get("after") or {}).items()}

    def timer_event(self, node: StateNode, delay: str) -> str:
        """The event that a delay raises."""
        return "_".join(filter(None, ("after", delay, node.id.replace(".", "_"))))

    def event(self, name: str) -> str:
        """The name of an event as the chart spells it."""
        if name in OURS:
            return OURS[name]
        for ours, theirs in PREFIXES.items():
            if name.startswith(theirs):
                rest = name.removeprefix(theirs)
                if ours != "done.state.":
                    return ours + self._invocation(rest)
                node = self.tree.by_path(rest)
                return ours + (node.id if node is not None else rest)
        return name

    def _invocation(self, id: str) -> str:
        """Our id of an invocation. XState calls one without an id by its place and its state: `0.payment.charging`."""
        place, _, path = id.partition(".")
        node = self.tree.by_path(path) if place.isdecimal() else None
        invokes = listed(node.members.get("invoke")) if node is not None else []
        if node is None or int(place) >= len(invokes):
            return id
        return invoke_id(self._object(invokes[int(place)], "invoke"), node, int(place))

    def _alternatives(self, said: Any, node: StateNode) -> list[Members]:
        """One transition or several: a target or an object each. An empty object only stops the event here."""
        items: list[Any] = listed(said) or ([] if isinstance(said, list) else [said])
        if items and all(isinstance(item, str) for item in items):
            return [{"target": item} for item in items]
        return [self._object(item, f"a transition of '{node.id or self.tree.machine}'") for item in items]

    def _object(self, said: Any, what: str) -> Members:
        if isinstance(said, str):
            return {"target": said} if what.startswith("a transition") else {"src": said}
        if isinstance(said, Mapping):
            return cast("Members", said)
        self.problem(f"{what} is {said!r}, which is not an object.", "Write it as XState does.", None)
        return {}

    def _know(self, members: Members, known: Collection[str], where: str) -> None:
        for name in members:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                remedy = FORMER.get(name) or (f"did you mean '{close[0]}'" if close else "remove it")
                what = f"{where} has a member '{name}', which is not read."
                self.problem(
                    what, f"{remedy[0].upper()}{remedy[1:]}{'?' if name not in FORMER and close else '.'}", None
                )


def invoke_id(invoke: Members, node: StateNode, place: int) -> str:
    """The id of an invocation: its own, or else that of its state, with a number from the second on."""
    return str(invoke.get("id") or (f"{node.id}_{place + 1}" if place else node.id or "machine"))


def _imprecision(descriptor: str) -> tuple[bool, int]:
    """Names come before wildcards, and longer wildcards before shorter ones."""
    return "*" in descriptor, -len(descriptor) if "*" in descriptor else 0
