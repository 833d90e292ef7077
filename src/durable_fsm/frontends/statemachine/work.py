"""Read `invoke=`: activities, machines, and the library's timeouts, which become timers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from statemachine import State as LibraryState
from statemachine import StateChart
from statemachine.contrib.timeout import timeout
from statemachine.invoke import InvokeGroup

from durable_fsm.core.chart import Activity, Child, Timer
from durable_fsm.frontends.arguments import Report, written
from durable_fsm.frontends.declare import ActivityOf, activity_of
from durable_fsm.frontends.detached import made_activity
from durable_fsm.frontends.machines import MachineOf, ReadChart, child_of, machine
from durable_fsm.frontends.statemachine.facade import Facade, worker

TIMEOUT = cast("Any", type(timeout(1)))
"""The class of `timeout(…)` objects, which has no public name."""

NAMES = ("data", "model", "machine")
"""The names that a method used as an activity may ask for, beside `ctx`."""


@dataclass(slots=True)
class StateWork:
    """The activities, machines and timers of one state."""

    activities: list[Activity] = field(default_factory=list[Activity])
    machines: list[Child] = field(default_factory=list[Child])
    timers: list[Timer] = field(default_factory=list[Timer])


class InvokeReader:
    """Reads the `invoke=` of every state of one class.

    `ids` maps the ids that `done_invoke_<id>` may name to their states. The id of a state that invokes several things
    is one of them, and means each of these things. `declared` has the activities and machines of states, by id; `wanted`
    the names of methods that the states invoke if there are any.
    """

    def __init__(self, cls: type, facade: type[Facade], problem: Report, read: ReadChart) -> None:
        self.cls = cls
        self.facade = facade
        self.problem = problem
        self.read = read
        self.ids: dict[str, str] = {}
        self.declared: dict[str, ActivityOf | MachineOf] = {}
        self.wanted: set[str] = set()

    def of(self, state: str, library: LibraryState) -> StateWork:
        found = StateWork()
        self.wanted |= {
            str(getattr(spec.func, "__name__", spec.func)) for spec in cast("Iterable[Any]", library.invoke)
        }
        specs = [spec for spec in cast("Iterable[Any]", library.invoke) if self._is_there(spec)]
        unnamed = [spec for spec in specs if not (isinstance(spec.func, ActivityOf | MachineOf) and spec.func.id)]
        if len(unnamed) > 1:
            self.ids[state] = state
        for place, spec in enumerate(unnamed, 1):
            self._read(found, state, spec, state if len(unnamed) == 1 else f"{state}.{_name(spec.func, place)}")
        for spec in specs:
            if spec not in unnamed:
                self._read(found, state, spec, spec.func.id)
        return found

    def _is_there(self, spec: Any) -> bool:
        """False for a convention such as `on_invoke_state` that the class does not define."""
        return not (spec.is_convention and inspect.getattr_static(self.cls, spec.func, None) is None)

    def _read(self, found: StateWork, state: str, spec: Any, id: str) -> None:
        work: Any = spec.func
        handler: Any = getattr(work, "_invoke_handler", None)
        if isinstance(handler, TIMEOUT):
            event = handler.on or f"done.invoke.{id}"
            if handler.on is None:
                self._register(id, state)
            found.timers.append(Timer(str(event), timedelta(seconds=handler.duration)))
        elif (invoked := _machine(work, handler)) is not None:
            self._register(id, state)
            self.declared[id] = invoked
            child = child_of(invoked, id, self.problem, read=self.read)
            found.machines += [] if child is None else [child]
        elif (declared := self._declared(state, spec, handler)) is not None:
            self._register(id, state)
            self.declared[id] = declared
            found.activities.append(made_activity(declared, id, self.problem))

    def _declared(self, state: str, spec: Any, handler: Any) -> ActivityOf | None:
        work: Any = spec.func
        if isinstance(work, ActivityOf):
            return work
        if isinstance(handler, InvokeGroup):
            return activity_of(_together(cast("Any", handler)._callables))
        if handler is not None:
            what = f"state '{state}' invokes {work.__name__}, whose run() needs the library's engine."
            self.problem(what, "Make it a function of the data: activity(f).", None)
            return None
        if isinstance(work, str):
            if work == "on_invoke_state":
                what = "on_invoke_state would do the same outside work for every state."
                self.problem(what, "Name it where it is wanted: State(invoke=activity(...)).", None)
                return None
            method = inspect.getattr_static(self.cls, work, None)
            if not inspect.isfunction(method):
                what = f"state '{state}' invokes '{work}', which is not a method of {self.cls.__name__}."
                self.problem(what, "Define it, or correct the name.", None)
                return None
            return self._method(method)
        if inspect.getattr_static(self.cls, spec.lookup_name, None) is work:
            return self._method(work)
        parameters = inspect.signature(work).parameters
        if any(name in NAMES[1:] or item.kind is item.VAR_KEYWORD for name, item in parameters.items()):
            return self._named(work, [*parameters.values()], takes_self=False)
        return activity_of(work)

    def _method(self, method: Callable[..., Any]) -> ActivityOf | None:
        return self._named(method, list(inspect.signature(method).parameters.values())[1:], takes_self=True)

    def _named(
        self, function: Callable[..., Any], parameters: list[inspect.Parameter], *, takes_self: bool
    ) -> ActivityOf | None:
        """An activity of a function that asks for its arguments by name; its `self` has the data and nothing else."""
        services = [item for item in parameters if item.kind is item.KEYWORD_ONLY]
        wanted = [item.name for item in parameters if item.kind not in (item.VAR_KEYWORD, item.KEYWORD_ONLY)]
        strange = [name for name in wanted if name not in (*NAMES, "ctx")]
        if strange:
            what = f"{function.__qualname__} asks for '{strange[0]}', which outside work does not get."
            self.problem(what, "It may ask for data and ctx: put what it needs into the data.", written(function))
            return None

        def arguments(ctx: object, data: object) -> tuple[list[object], dict[str, object]]:
            machine = worker(self.facade, data)
            given: dict[str, object] = {"data": data, "model": data, "machine": machine, "ctx": ctx}
            return [machine] if takes_self else [], {name: given[name] for name in wanted if name in given}

        run = _runner(function, arguments, with_context="ctx" in wanted)
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = _with_services(run, services)
        declared = activity_of(run)
        declared.source = function
        return declared

    def _register(self, id: str, state: str) -> None:
        if id in self.ids:
            what = f"two activities have the id '{id}', in states '{self.ids[id]}' and '{state}'."
            self.problem(what, "Give one of them activity(..., id=...), or machine(..., id=...).", None)
        self.ids[id] = state


def _machine(work: Any, handler: Any) -> MachineOf | None:
    """The machine, if the state invokes one."""
    if isinstance(work, MachineOf):
        return work
    if isinstance(handler, type) and issubclass(handler, StateChart):
        return cast("MachineOf", machine(cast("object", handler)))
    return None


def _name(work: Any, place: int) -> str:
    """The part of an id that distinguishes one of several entries of a state."""
    name = work if isinstance(work, str) else str(getattr(work, "__name__", place))
    return name if name.isidentifier() else str(place)


def _runner(
    function: Callable[..., Any], arguments: Callable[[object, object], Any], *, with_context: bool
) -> Any:  # Any: a function, to which its name is given
    """The function in the form in which a runner calls it: with the context and the data, or with the data alone."""
    if with_context:

        async def with_steps(ctx: object, data: object, **services: object) -> object:
            positional, named = arguments(ctx, data)
            result = function(*positional, **named, **services)
            return await result if inspect.isawaitable(result) else result

        return with_steps
    if inspect.iscoroutinefunction(function):

        async def waiting(data: object, **services: object) -> object:
            positional, named = arguments(None, data)
            return await function(*positional, **named, **services)

        return waiting

    def blocking(data: object, **services: object) -> object:
        positional, named = arguments(None, data)
        return function(*positional, **named, **services)

    return blocking


def _with_services(run: Callable[..., Any], services: Iterable[inspect.Parameter]) -> inspect.Signature:
    """The signature of a runner that passes these services on."""
    own = [item for item in inspect.signature(run).parameters.values() if item.kind is not item.VAR_KEYWORD]
    return inspect.Signature([*own, *services])


def _together(functions: Iterable[Callable[[], Any]]) -> Callable[..., Any]:
    """Several functions as one activity; its result is the list of their results, in order."""

    async def group() -> list[object]:
        return list(await asyncio.gather(*(asyncio.to_thread(function) for function in functions)))

    return group
