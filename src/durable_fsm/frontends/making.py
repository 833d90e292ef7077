"""Make an instance of an author's class while a definition is read, and say where that fails."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from durable_fsm.core.author_code import ANYTHING, named, words_of
from durable_fsm.core.values import Misfit
from durable_fsm.frontends.arguments import FoundProblem, written
from durable_fsm.frontends.source_locations import lines_behind
from durable_fsm.frontends.values import data_of, native


class CannotMake(Exception):
    """An author's class cannot be called without arguments; `found` says why, what to do, and where."""

    def __init__(self, found: FoundProblem) -> None:
        super().__init__(found[0])
        self.found = found


def made(cls: type, remedy: str = "Give every argument a default.") -> Any:  # Any: whatever the author's class makes
    """Call a class without arguments.

    Args:
        remedy: what to do if it needs arguments.

    Raises:
        CannotMake: it raises. The place is the author's own line, if the error comes from there.
    """
    try:
        return cls()
    except ANYTHING as error:
        raise CannotMake(why(cls, error, remedy)) from error


def why(thing: Any, error: BaseException, remedy: str = "Give every argument a default.") -> FoundProblem:
    """Why calling a class or a function failed. Arguments are to blame only if the call itself was refused."""
    name = getattr(thing, "__name__", repr(thing))
    only_call = error.__traceback__ is not None and error.__traceback__.tb_next is None
    if only_call and isinstance(error, TypeError):
        return f"{name}() fails: {words_of(error)}.", remedy, written(thing)
    own, _ = lines_behind(error)
    place = own[-1] if own else written(thing)
    return (
        f"{name}() fails: {named(error)}.",
        "Fix that line: it runs for every machine.",
        place,
    )


def unstorable(attributes: Mapping[str, object], services: str) -> Iterator[tuple[str, str]]:
    """The attributes of a plain instance that would not come back, each with a remedy.

    Args:
        services: how to declare one that is not data: `services=('{}',)`.
    """
    for name, value in attributes.items():
        try:
            native(value, f"$.{name}")
        except Misfit as misfit:
            yield f"attribute '{name}' cannot be stored as JSON: {misfit}.", services.format(name)


def why_not_data(cls: type, services: Collection[str], remedy: str) -> list[FoundProblem]:
    """Why instances of a plain class cannot be the data of a chart; empty if that is unknown."""
    try:
        instance = made(cls)
        attributes = data_of(instance, services)
    except CannotMake as failed:
        return [failed.found]
    except TypeError:  # its instances have no attributes of their own
        return []
    return [(what, remedy, written(cls)) for what, remedy in unstorable(attributes, remedy)]
