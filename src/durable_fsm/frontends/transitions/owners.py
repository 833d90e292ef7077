"""Models that make their own machine, as the library's README does: `self.machine = Machine(model=self, …)`."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from transitions import Machine

from durable_fsm.errors import NotDurable, Problem
from durable_fsm.frontends.making import CannotMake, made

REMEDY = "Give every argument a default, or name an object: model = {}(…)."


def owns_a_machine(definition: object) -> bool:
    """True for a model that holds its machine, and for a class whose code makes one. The class is not called."""
    if isinstance(definition, type):
        return definition.__module__.partition(".")[0] != "transitions" and any(map(_makes_one, _functions(definition)))
    return _held_by(definition) is not None


def machine_of(definition: object) -> Any:  # Any: the library leaves its machines untyped
    """The machine of a model; of a class, that of an instance made without arguments.

    Raises:
        NotDurable: the class cannot be called, or its instances hold no machine.
    """
    if not isinstance(definition, type):
        return _held_by(definition)
    try:
        owner = made(definition, REMEDY.format(definition.__name__))
        held = _held_by(owner)
        if held is not None:
            return held
        what = f"an instance of {definition.__name__} holds no machine that drives it."
        problem = Problem(what, "Keep it: self.machine = Machine(model=self, …).", "")
    except CannotMake as failed:
        what, remedy, place = failed.found
        problem = Problem(what, remedy, str(place or ""))
    raise NotDurable(chart=definition.__name__, problems=(problem,))


def _held_by(owner: object) -> Any:
    """The machine in the attributes of an object that drives the object; or the object, if it is one itself."""
    kept = cast("dict[str, Any]", getattr(owner, "__dict__", {}))
    if isinstance(owner, Machine) and "models" in kept:
        return owner
    held = [value for value in kept.values() if isinstance(value, Machine)]
    return next((one for one in held if any(model is owner for model in one.models)), None)


def _functions(cls: type) -> Iterator[FunctionType]:
    for base in cls.__mro__:
        yield from (member for member in vars(base).values() if isinstance(member, FunctionType))


def _makes_one(function: FunctionType) -> bool:
    """True if the code of a function names the library: a class of machines, the module, or an import of it."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    known = [function.__globals__.get(name) for name in names]
    return "transitions" in names or any(map(_is_the_library, known))


def _is_the_library(value: object) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] == "transitions"
    return isinstance(value, type) and issubclass(value, Machine)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
