"""Models that make their own machine, as the library's README does: `self.machine = Machine(model=self, …)`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from transitions import Machine

from durable_fsm.errors import NotDurable, Problem
from durable_fsm.frontends.making import CannotMake, made

REMEDY = "Give every argument a default, or name an object: model = {}(…)."


def owns_a_machine(definition: object) -> bool:
    """True for a model that holds its machine, and for a class whose code makes one. The class is not called."""
    if not isinstance(definition, type):
        return bool(_machines_of(definition))
    if definition.__module__.partition(".")[0] == "transitions":
        return False
    shared = any(isinstance(member, Machine) for base in definition.__mro__ for member in vars(base).values())
    return shared or any(map(_makes_one, _functions(definition)))


def machine_of(definition: object) -> Any:  # Any: the library leaves its machines untyped
    """The machine of a model; of a class, that of an instance made without arguments.

    Raises:
        NotDurable: the class cannot be called, or its instances hold no machine.
    """
    cls = definition if isinstance(definition, type) else type(definition)
    try:
        owner: object = made(cls, REMEDY.format(cls.__name__)) if cls is definition else definition
        found = _machines_of(owner)
        if len(found) == 1:
            return found[0]
        what = f"{len(found) or 'no'} machines drive an instance of {cls.__name__}."
        remedy = "A chart is one machine: make the others regions of it, or give each a separate model."
        problem = Problem(what, remedy if found else "Let one: Machine(model=self, …).", "")
    except CannotMake as failed:
        what, remedy, place = failed.found
        problem = Problem(what, remedy, str(place or ""))
    raise NotDurable(chart=cls.__name__, problems=(problem,))


def _machines_of(owner: object) -> list[Any]:
    """The machines that drive an object: its own attributes, those of its class, or those behind its triggers."""
    kept = cast("dict[str, Any]", getattr(owner, "__dict__", {}))
    if isinstance(owner, Machine) and "models" in kept:
        return [owner]
    triggers = (value.func for value in kept.values() if isinstance(value, partial))
    behind = [getattr(function, "__self__", None) for function in triggers]  # a machine, or an event of one
    held = [*kept.values(), *vars(type(owner)).values(), *(getattr(one, "machine", one) for one in behind)]
    machines = {
        id(one): one for one in held if isinstance(one, Machine) and any(model is owner for model in one.models)
    }
    return list(machines.values())


def _functions(cls: type) -> Iterator[FunctionType]:
    """The functions that run when an instance is made: constructors, and the methods that they name, and so on."""
    pending, seen = ["__new__", "__init__", "__post_init__"], set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        for member in (vars(base).get(name) for base in cls.__mro__):
            if isinstance(member, FunctionType):
                yield member
                pending += _names_in(member)


def _names_in(function: FunctionType) -> set[str]:
    return {name for code in _codes(function.__code__) for name in code.co_names}


def _makes_one(function: FunctionType) -> bool:
    """True if the code of a function names the library: a class of machines, the module, or an import of it."""
    names = _names_in(function)
    known = [function.__globals__.get(name) for name in names]
    return "transitions" in names or any(map(_is_the_library, known))


def _is_the_library(value: object) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] == "transitions"
    return isinstance(value, type) and any(base.__module__.partition(".")[0] == "transitions" for base in value.__mro__)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
