"""The functions behind the names of an XState configuration: guards and actions, called with what they ask for."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from durable_fsm.core.chart import Callback, Guard
from durable_fsm.core.scope import Scope
from durable_fsm.frontends.arguments import (
    ALWAYS,
    ByName,
    Call,
    Report,
    TakenEvent,
    error_of,
    result_of,
    written,
)
from durable_fsm.frontends.xstate.nodes import listed

COMBINED = ("not", "and", "or")
"""Guards of XState that are made of others: `{"type": "not", "params": {"guard": …}}`, `"params": {"guards": […]}`."""


class NamedFunctions:
    """Looks up what the configuration names; a name without a function is a problem."""

    def __init__(self, guards: Mapping[str, Any], actions: Mapping[str, Any], problem: Report) -> None:
        self.problem = problem
        self._known = {"guard": guards, "action": actions}
        self._used: dict[str, set[str]] = {"guard": set(), "action": set()}
        self._callers: list[ByName] = []

    def actions(self, said: Any) -> tuple[Callback, ...]:
        """The actions of one slot: a name, an object with its parameters, or a list of them."""
        return tuple(found for one in listed(said) for found in self._action(one))

    def guards(self, said: Any) -> tuple[Guard, ...]:
        """The guards of a transition, all of which must hold."""
        if said is None:
            return ()
        type_, params = self._type_of("guard", said)
        if type_ == "and" and type_ not in self._known["guard"]:
            return tuple(guard for one in listed(params.get("guards")) for guard in self.guards(one))
        found = self._guard(said)
        return () if found is None else (found,)

    def computed(self, function: Any) -> Callback:
        """A function that computes a delay or an output."""
        return Callback(getattr(function, "__name__", "computed"), self._call(function, {}), written(function))

    def refuse_unused(self) -> None:
        """Report functions that the configuration does not name: the name may be misspelt."""
        for kind, known in self._known.items():
            for name in sorted(known.keys() - self._used[kind]):
                close = difflib.get_close_matches(name, self._missing(kind), n=1)
                remedy = f"Did you mean '{close[0]}'?" if close else "Remove it, or correct the name."
                self.problem(f"{kind} '{name}' is not named by the configuration.", remedy, None)

    def refuse_unknown_work(self, chart: str, work: Iterable[str]) -> None:
        """Report work that a function starts and the chart does not declare."""
        known = tuple(work)
        for caller in self._callers:
            caller.refuse_unknown(chart, known)

    # ── one of them ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _action(self, said: Any) -> Iterable[Callback]:
        type_, params = self._type_of("action", said)
        function = self._function("action", type_)
        if function is not None:
            yield Callback(_shown(type_, params), self._call(function, params), written(function))

    def _guard(self, said: Any) -> Guard | None:
        type_, params = self._type_of("guard", said)
        if type_ in COMBINED and type_ not in self._known["guard"]:
            return self._combined(type_, params)
        function = self._function("guard", type_)
        if function is None:
            return None
        return Guard(_shown(type_, params), self._call(function, params), written(function))

    def _combined(self, type_: str, params: Mapping[str, Any]) -> Guard | None:
        inner = [guard for one in listed(params.get("guards", params.get("guard"))) for guard in self.guards(one)]
        if not inner:
            self.problem(f"guard '{type_}' has no guard inside.", "Name one in its params.", None)
            return None
        if type_ == "not" and len(inner) == 1:
            only = inner[0]
            return Guard(only.name, only.call, only.location, negated=not only.negated)
        every = any if type_ == "or" else all
        name = f" {'or' if type_ == 'or' else 'and'} ".join(guard.label for guard in inner)

        def ask(scope: Scope) -> bool:
            return every(bool(guard.call(scope)) is not guard.negated for guard in inner)

        return Guard(name, ask, inner[0].location, negated=type_ == "not")

    def _type_of(self, kind: str, said: Any) -> tuple[str, Mapping[str, Any]]:
        if isinstance(said, str):
            return said, {}
        if isinstance(said, Mapping):
            members = cast("Mapping[str, Any]", said)
            params: Any = members.get("params") or {}
            if isinstance(members.get("type"), str) and isinstance(params, Mapping):
                return members["type"], cast("Mapping[str, Any]", params)
        self.problem(f"{kind} {said!r} is neither a name nor an object with a type.", "Name a function.", None)
        return "", {}

    def _function(self, kind: str, name: str) -> Callable[..., object] | None:
        known = self._known[kind]
        self._used[kind].add(name)
        if name and name not in known:
            self.problem(f"{kind} '{name}' has no function.", f"Give it one: {kind}s={{'{name}': …}}.", None)
        function = known.get(name)
        if function is not None and not callable(function):
            self.problem(f"{kind} '{name}' is not a function: {function!r}.", "Give a function.", None)
            return None
        return function

    def _missing(self, kind: str) -> list[str]:
        return sorted(self._used[kind] - self._known[kind].keys())

    def _call(self, function: Callable[..., object], params: Mapping[str, Any]) -> Call:
        provided: dict[str, Call] = {
            "data": lambda scope: scope.data,
            "model": lambda scope: scope.data,
            "payload": lambda scope: scope.event.payload,
            "event": TakenEvent.of,
            "effects": lambda scope: scope.effects,
            "ids": lambda scope: scope.ids,
            "result": result_of,
            "error": error_of,
            "params": lambda _: dict(params),
        }
        always = tuple(name for name in ALWAYS if name in provided)
        caller = ByName(provided, self.problem, always=always)
        self._callers.append(caller)
        arguments = caller.arguments_of(function, skip=0)

        def call(scope: Scope) -> object:
            positional, named = arguments(scope) if arguments else ((), {})
            return function(*positional, **named)

        return call


def _shown(type_: str, params: Mapping[str, Any]) -> str:
    """The name of a function, with the parameters that it is called with: they are part of the definition."""
    return f"{type_}({json.dumps(params, sort_keys=True)})" if params else type_
