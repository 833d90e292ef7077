"""Code of data and payload types that runs whenever they are read or written: it must give the same each time.

Default factories may differ: their values are drawn once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from durable_fsm.core.values import ValueType
from durable_fsm.frontends.arguments import written
from durable_fsm.frontends.checks.purity import REMEDIES, faults
from durable_fsm.frontends.core_schemas import SchemaNode, classes_in, with_fields
from durable_fsm.frontends.values import Typed


def refuse_unrepeatable(what: str, type_: ValueType | None, problem: Callable[..., None]) -> None:
    """Report validators, serializers and computed fields that read the clock or draw random numbers."""
    if not isinstance(type_, Typed):
        return
    for function in dict.fromkeys((*_functions_in(type_.core_schema, set()), *_methods_of(type_.core_schema))):
        for fault, call in faults(function):
            name = getattr(function, "__qualname__", repr(function))
            problem(f"{what}: {name} {fault}: {call}.", REMEDIES[fault], written(function))


def _functions_in(schema: object, seen: set[int]) -> Iterator[Any]:
    """The author's functions that a core schema names, without default factories."""
    if isinstance(schema, Mapping):
        node = cast("SchemaNode", schema)
        if id(node) in seen:
            return
        seen.add(id(node))
        for name, member in node.items():
            if name == "function" and callable(member):
                yield getattr(member, "__func__", member)
            elif name not in ("metadata", "default_factory"):
                yield from _functions_in(member, seen)
    elif isinstance(schema, list | tuple):
        for member in cast("Sequence[object]", schema):
            yield from _functions_in(member, seen)


def _methods_of(schema: object) -> Iterator[Any]:
    """The getters of computed fields, and what runs after an instance was made."""
    for node in classes_in(schema):
        owner: Any = node["cls"]
        for computed in with_fields(node).get("computed_fields", ()):
            getter = getattr(owner, computed["property_name"], None)
            yield getattr(getter, "fget", None) or getattr(getter, "func", None)
        if node.get("post_init"):
            yield getattr(owner, "__post_init__" if node["type"] == "dataclass" else node["post_init"], None)
