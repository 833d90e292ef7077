"""Methods that are written like callbacks, and that no state, event or guard names: most of them are misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import CodeType, FunctionType

from durable_fsm.frontends.arguments import written
from durable_fsm.frontends.checks.doubts import Doubt

BEGINNINGS = ("on_enter_", "on_exit_", "on_invoke_", "before_", "after_", "on_")
"""Both libraries call a method with such a beginning and the name of a state or an event."""


def unused_methods(
    classes: Iterable[type], prefixes: tuple[str, ...], wanted: Collection[str], used: Iterable[str]
) -> Iterator[Doubt]:
    """The methods of these classes that begin with one of *prefixes*, without a caller.

    A method is certainly misspelt if the library would call one of almost the same name, which the class does not have.

    Args:
        wanted: names by which the library would call a method, whether there is one or not.
        used: names of methods that something calls.
    """
    methods = {name: function for cls in classes for name, function in _methods_of(cls).items()}
    called = {*used, *(name for function in methods.values() for name in _names_in(function.__code__))}
    free = [name for name in wanted if name not in methods]
    for name, function in methods.items():
        if name not in called and name.startswith(prefixes):
            close = _close(name, free)
            remedy = f"Did you mean '{close}'?" if close else "Correct the name, or remove it."
            what = f"nothing calls {function.__qualname__}: no state, event or guard has this name."
            yield Doubt(what, remedy, written(function), certain=close is not None)


def _close(name: str, wanted: Iterable[str]) -> str | None:
    """The wanted name that is most like this one, apart from what both begin with."""
    beginning = next((one for one in BEGINNINGS if name.startswith(one)), name)
    rests = {one.removeprefix(beginning): one for one in wanted if one.startswith(beginning)}
    close = difflib.get_close_matches(name.removeprefix(beginning), rests, n=1, cutoff=0.75)
    return rests[close[0]] if close else None


def _methods_of(cls: type) -> Mapping[str, FunctionType]:
    found: dict[str, FunctionType] = {}
    for name, member in vars(cls).items():
        function: object = getattr(member, "__func__", member)
        if isinstance(function, FunctionType) and not name.startswith("__"):
            found[name] = function
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    """The attributes and texts that a function mentions, in functions inside it, too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
        elif isinstance(constant, str):
            yield constant
