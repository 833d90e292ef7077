"""Reading pydantic's core schemas: the classes in a type, their fields, aliases and default factories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from decimal import Decimal
from types import FunctionType
from typing import Any, TypeAlias, cast, get_origin

from pydantic import BaseModel, TypeAdapter

SchemaNode: TypeAlias = Mapping[str, Any]  # Any: a node of a core schema, whose members differ from type to type

CLASSES = ("model", "dataclass", "typed-dict")
WITH_FIELDS = ("model-fields", "dataclass-args", "typed-dict")
CONSTANT = (list, dict, set, frozenset, tuple, str, bytes, int, float, bool, Decimal)


def classes_in(schema: object, seen: set[int] | None = None) -> Iterator[SchemaNode]:
    """The nodes of models, dataclasses and typed dictionaries, at any depth."""
    seen = set() if seen is None else seen
    if isinstance(schema, Mapping):
        node = cast("SchemaNode", schema)
        if id(node) in seen:
            return
        seen.add(id(node))
        if node.get("type") in CLASSES:
            yield node
        for name, member in node.items():
            if name != "metadata":
                yield from classes_in(member, seen)
    elif isinstance(schema, list | tuple):
        for member in cast("Sequence[object]", schema):
            yield from classes_in(member, seen)


def with_fields(node: SchemaNode) -> SchemaNode:
    """The node with the fields of a class, whatever validators are around it; empty for a root model."""
    while node["type"] not in WITH_FIELDS:
        if not isinstance(node.get("schema"), Mapping):
            return {}
        node = node["schema"]
    return node


def fields_of(node: SchemaNode) -> dict[str, SchemaNode]:
    """The fields of a class by name."""
    fields: Any = with_fields(node).get("fields", {})
    return cast("dict[str, SchemaNode]", fields if isinstance(fields, dict) else {one["name"]: one for one in fields})


def written_as(field: str, spec: SchemaNode) -> str:
    """The name under which a field is written."""
    return cast("str", spec.get("serialization_alias", field))


def paths_of(spec: SchemaNode) -> list[list[str | int]]:
    """The aliases by which a field is read, each as a path."""
    alias: Any = spec.get("validation_alias")
    if alias is None:
        return []
    if isinstance(alias, str):
        return [[alias]]
    return alias if isinstance(alias[0], list) else [alias]


# ── defaults that differ from call to call ────────────────────────────────────────────────────────────────────────────


def drawn_names(schema: object) -> frozenset[str]:
    """The names under which fields are written whose default may differ from call to call."""
    return frozenset(
        written_as(field, spec)
        for node in classes_in(schema)
        for field, spec in fields_of(node).items()
        if (factory := factory_of(spec["schema"])) is not None and not is_constant(factory)
    )


def factory_of(node: SchemaNode) -> Any:  # Any: the author's function
    """The default factory of a field; None if it has none."""
    while True:
        if "default_factory" in node:
            return node["default_factory"]
        if not isinstance(node.get("schema"), Mapping) or node.get("type") in CLASSES:
            return None
        node = node["schema"]


def is_constant(factory: Any) -> bool:  # Any: the author's function
    """Whether a default factory certainly gives the same each time: a plain type, or a function that calls nothing."""
    kind = get_origin(factory) or factory
    if isinstance(kind, type):
        cls: type[Any] = kind
        if issubclass(cls, BaseModel) or is_dataclass(cls):
            return not drawn_names(TypeAdapter(cls).core_schema)
        return cls in CONSTANT
    if isinstance(factory, FunctionType):
        return not factory.__code__.co_names and not factory.__code__.co_freevars
    return False


def open_default(given: object, completed: object, drawn: frozenset[str], path: str = "$") -> str | None:
    """The path of the first member that only *completed* has, and whose default was drawn; None if there is none."""
    if isinstance(completed, Mapping):
        known: Mapping[str, object] = cast("Mapping[str, object]", given) if isinstance(given, Mapping) else {}
        for name, member in cast("Mapping[str, object]", completed).items():
            at = f"{path}.{name}"
            if name in drawn and name not in known:
                return at
            if (found := open_default(known.get(name), member, drawn, at)) is not None:
                return found
    elif isinstance(completed, list):
        known_items = cast("list[object]", given) if isinstance(given, list) else []
        for place, item in enumerate(cast("list[object]", completed)):
            known_item = known_items[place] if place < len(known_items) else None
            if (found := open_default(known_item, item, drawn, f"{path}[{place}]")) is not None:
                return found
    return None
