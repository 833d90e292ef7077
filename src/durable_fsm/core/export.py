"""Definitions as plain JSON, for digests, documents and other programs: callbacks by name, no code, no places in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from datetime import timedelta
from enum import Enum
from typing import Any, Protocol, cast, runtime_checkable

from durable_fsm.core.values import Json

OMIT_IF_DEFAULT = "exported only if it has not its default"
"""Marks a field that was added later: a chart that does not use it keeps its digest."""


@runtime_checkable
class Exported(Protocol):
    """A part of a definition that is shown by something else than its fields."""

    def exported(self) -> Json: ...


def exported(value: object) -> Json:
    """A part of a definition as JSON; fields that are not compared (code, places) are left out."""
    match value:
        case Enum():
            return str(value.value)
        case None | bool() | int() | float() | str():
            return value
        case timedelta():
            return f"{value.total_seconds():g} s"
        case Mapping():
            members = cast("Mapping[str, object]", value)
            return {name: exported(member) for name, member in members.items()}
        case frozenset():
            return [exported(item) for item in sorted(cast("frozenset[str]", value))]
        case type():
            return value.__qualname__
        case tuple() | list():
            return [exported(item) for item in cast("list[object]", value)]
        case Exported():
            return value.exported()
        case _:
            item = cast("Any", value)  # Any: one of the dataclasses of a chart
            shown = [spec for spec in fields(item) if spec.compare and not _is_unused(item, spec)]
            return {spec.name: exported(getattr(item, spec.name)) for spec in shown}


def _is_unused(item: object, spec: Field[Any]) -> bool:
    return OMIT_IF_DEFAULT in spec.metadata and getattr(item, spec.name) == spec.default
