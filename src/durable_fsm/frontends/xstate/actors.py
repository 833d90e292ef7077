"""The actors of an XState configuration: each `src` is an activity, or a machine that the state runs."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from durable_fsm.core.chart import Activity, Chart, Child
from durable_fsm.core.values import Json
from durable_fsm.frontends.arguments import Report
from durable_fsm.frontends.declare import ActivityOf, Input, activity_of
from durable_fsm.frontends.detached import detached_of, made_activity
from durable_fsm.frontends.machines import MachineOf, ReadChart, child_of, machine
from durable_fsm.frontends.xstate.config import XStateConfig
from durable_fsm.frontends.xstate.nodes import StateNode, listed
from durable_fsm.frontends.xstate.vocabulary import invoke_id


class Actors:
    """Reads what states invoke. `declared` has the activities and machines, by id."""

    def __init__(self, config: XStateConfig, problem: Report, read: ReadChart) -> None:
        self.config = config
        self.problem = problem
        self.read = read
        self.declared: dict[str, ActivityOf | MachineOf] = {}
        self._ids: dict[str, str] = {}

    def activities(self, node: StateNode) -> Iterator[Activity]:
        """The outside work of a state."""
        for id, src, one in self._invoked(node):
            if isinstance(one, ActivityOf):
                self._note(id, one, node)
                yield replace(made_activity(one, id, self.problem), name=src)

    def machines(self, node: StateNode) -> Iterator[Child]:
        """The machines that a state runs."""
        for id, _, one in self._invoked(node):
            if isinstance(one, MachineOf):
                self._note(id, one, node)
                child = child_of(one, id, self.problem, self.config.location, read=self.read)
                if child is not None:
                    yield child

    def detached(self) -> tuple[Activity, ...]:
        """The work that callbacks start."""
        return detached_of(self.config.work, self._ids, self.problem)

    def refuse_unused(self) -> None:
        """Report inputs of invocations that there are not."""
        for id in sorted(self.config.inputs.keys() - self.declared.keys()):
            close = difflib.get_close_matches(id, self.declared, n=1)
            remedy = f"Did you mean '{close[0]}'?" if close else "Remove it, or correct the id."
            self.problem(f"invocation '{id}' has an input, and there is none.", remedy, None)

    def _note(self, id: str, one: ActivityOf | MachineOf, node: StateNode) -> None:
        if id in self._ids:
            self.problem(f"two invocations have the id '{id}'.", "Give each its own id.", None)
        self._ids[id] = node.id
        self.declared[id] = one

    def _invoked(self, node: StateNode) -> Iterator[tuple[str, str, ActivityOf | MachineOf]]:
        for place, said in enumerate(listed(node.members.get("invoke"))):
            invoke: Any = {"src": said} if isinstance(said, str) else said
            src = invoke.get("src")
            if src not in self.config.actors:
                where = f"state '{node.id}'" if node.id else "the machine"
                self.problem(f"{where} invokes {src!r}, which is not given.", f"Give actors={{{src!r}: …}}.", None)
                continue
            made = self._made(self.config.actors[src], src)
            if made is not None:
                id = invoke_id(invoke, node, place)
                yield id, src, _with_input(made, self.config.inputs.get(id) or _constant(made, invoke.get("input")))

    def _made(self, actor: Any, src: str) -> ActivityOf | MachineOf | None:
        if isinstance(actor, ActivityOf | MachineOf):
            return actor
        if isinstance(actor, Chart | XStateConfig | type) or not callable(actor):
            try:
                return cast("MachineOf", machine(actor))
            except TypeError:
                what = f"actor '{src}' is neither a function nor a definition: {actor!r}."
                self.problem(what, "Give a function, activity(...), or machine(...).", None)
                return None
        return activity_of(actor)


def _constant(one: ActivityOf | MachineOf, said: Json) -> Input | None:
    """The constant input that the configuration gives an actor, unless the author has given one."""
    if said is None or one.input is not None:
        return None

    def input(data: object) -> object:
        return copy.deepcopy(said)

    return input


def _with_input(one: ActivityOf | MachineOf, input: Input | None) -> ActivityOf | MachineOf:
    if input is None:
        return one
    if isinstance(one, ActivityOf):
        return ActivityOf(one.work, input=input, each=one.each, undoes=one.undoes, priority=one.priority)
    return MachineOf(one.definition, id=one.id, input=input, each=one.each, join=one.join, on_demand=one.on_demand)
