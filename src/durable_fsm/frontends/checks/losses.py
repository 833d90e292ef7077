"""Members of pydantic types that would be lost between two steps: found in the core schema, when the chart is made.

Data, payloads and inputs are written under their aliases, and read under their aliases or the names of their fields. The
next step must find the data as the last one left it, so a type with a member that would not come back is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from pydantic import Secret, SecretBytes, SecretStr, ValidationError

from durable_fsm.core.values import Misfit, ValueType
from durable_fsm.frontends.core_schemas import (
    CLASSES,
    SchemaNode,
    classes_in,
    fields_of,
    paths_of,
    with_fields,
    written_as,
)
from durable_fsm.frontends.source_locations import place_of
from durable_fsm.frontends.values import Typed

Found: TypeAlias = Iterator[tuple[str, str, type]]
"""The problem, its remedy, and the class that has it."""

SECRETS = (Secret, SecretStr, SecretBytes)


def refuse_losses(what: str, type_: ValueType | None, problem: Callable[..., None], *, is_data: bool) -> None:
    """Report each member of a type that would be lost on the way through JSON.

    Args:
        what: names the type to its author, as `the data`.
        is_data: the type is written by every step; values of other types come from outside as JSON.
    """
    if not isinstance(type_, Typed):
        return
    found = False
    for node in classes_in(type_.core_schema):
        for lost, remedy, owner in (*_lost_in(node), *(_secrets_in(node) if is_data else ())):
            found = True
            problem(f"{what}: {lost}", remedy, place_of(owner))
    if is_data and not found and (loss := _lost_default(type_)) is not None:
        remedy = "Its serializers must write what its validators read. Correct them, or declare another type."
        problem(f"{what}: its defaults would change when they are stored: {loss}.", remedy)


def names_of_fields(type_: ValueType | None) -> Iterator[frozenset[str]]:
    """The names under which each field of a type is read and written, where there are several."""
    for node in classes_in(type_.core_schema) if isinstance(type_, Typed) else ():
        for field, spec in fields_of(node).items():
            steps = (*_read_as(spec), written_as(field, spec))
            names = frozenset({field, *(step for step in steps if isinstance(step, str))})
            if len(names) > 1:
                yield names


def _lost_default(type_: Typed) -> Misfit | None:
    """Why the type's defaults do not come back; None if they do, or there are none."""
    try:
        value = type_.load({})
    except Exception:  # noqa: BLE001 - a validator of the author's may raise anything; then there are no defaults
        return None
    try:
        type_.dump(value)
    except Misfit as loss:  # a default may be out of bounds, which pydantic allows: then `create` must bring a value
        return None if isinstance(loss.__cause__, ValidationError) else loss
    return None


def _lost_in(node: SchemaNode) -> Found:
    owner: type = node["cls"]
    name, fields = owner.__name__, fields_of(node)
    yield from _misread(owner, fields)
    for field, spec in fields.items():
        if spec.get("serialization_exclude"):
            what = f"field '{field}' of {name} is excluded, and would be lost."
            yield what, "Remove exclude=True. To hide it from errors and logs, name it in redact=.", owner
        elif spec.get("init") is False:
            what = f"field '{field}' of {name} has init=False, and would be reset by every event."
            yield what, "Let __init__ take it, or make it a property.", owner
        elif spec.get("init_only") and spec["schema"].get("type") != "default":
            what = f"'{field}' of {name} is an InitVar, which is not stored, and has no default."
            yield what, "Give it a default, or make it a field.", owner
    private: Mapping[str, object] = getattr(owner, "__private_attributes__", None) or {}
    for attribute in private:
        what = f"private attribute '{attribute}' of {name} would be lost."
        yield what, "Make it a field, or a property that is computed when it is read.", owner
    inner = with_fields(node)
    extra = inner.get("extra_behavior") or node.get("config", {}).get("extra_fields_behavior", "ignore")
    for computed in inner.get("computed_fields", ()) if extra != "ignore" else ():
        field = computed["property_name"]
        what = f"computed field '{field}' of {name} is stored with the fields, which does not go with extra='{extra}'."
        yield what, "Make it a plain property.", owner


def _misread(owner: type, fields: Mapping[str, SchemaNode]) -> Found:
    """Fields that are written under a name by which they, or others, are not read."""
    written = {field: written_as(field, spec) for field, spec in fields.items()}
    for field, spec in fields.items():
        names = [field, *_read_as(spec)]
        if written[field] not in names:
            what = f"field '{field}' of {owner.__name__} is written as '{written[field]}', and not read by that name."
            yield what, f"Use alias='{written[field]}', which is for both.", owner
        begun = [*names, *(path[0] for path in paths_of(spec) if isinstance(path[0], str))]
        for other, alias in written.items():
            if other != field and (shared := {other, alias}.intersection(begun)):
                what = f"fields '{field}' and '{other}' of {owner.__name__} share the name '{min(shared)}'."
                yield what, "Rename one of them: a field is read by its name and by its aliases.", owner


def _read_as(spec: SchemaNode) -> list[str | int]:
    return [path[0] for path in paths_of(spec) if len(path) == 1]


def _secrets_in(node: SchemaNode) -> Found:
    for field, spec in fields_of(node).items():
        if _is_secret(spec["schema"]):
            what = f"field '{field}' of {node['cls'].__name__} is a secret type, which is written as asterisks."
            yield what, "Store a str, and name it in redact=; or store a reference to the secret.", node["cls"]


def _is_secret(schema: object) -> bool:
    """Whether a field holds a secret, and no serializer of the author's writes it."""
    if isinstance(schema, list | tuple):
        return any(_is_secret(member) for member in cast("Sequence[object]", schema))
    if not isinstance(schema, Mapping):
        return False
    node = cast("SchemaNode", schema)
    if node.get("type") in CLASSES:
        return False
    writer: object = node.get("serialization", {}).get("function")
    if writer is not None and not getattr(writer, "__module__", "").startswith("pydantic."):
        return False
    held: object = node.get("cls")
    if isinstance(held, type) and issubclass(held, SECRETS):
        return True
    return any(_is_secret(member) for name, member in node.items() if name != "metadata")
