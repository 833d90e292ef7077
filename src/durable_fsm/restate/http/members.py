"""Members of JSON objects that appear twice: readers of JSON differ in which of them they take, so they are refused."""

from __future__ import annotations

from typing import Any, cast

from durable_fsm.core.values import Json


class ObjectMembers(dict[str, Any]):  # Any: JSON
    """The members of an object, and the name of one that it has twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = (
            next((name for name in names if names.count(name) > 1), None) if len(names) > len(self) else None
        )


def number_of_members(value: Json) -> int:
    """How many members all its objects have. There are as many colons, if no text has one and no member is repeated."""
    if isinstance(value, dict):
        return len(value) + sum(map(number_of_members, value.values()))
    return sum(map(number_of_members, value)) if isinstance(value, list) else 0


def refuse_repeated(value: object, path: str = "$") -> None:
    """Refuse an object that has a member twice: readers differ in which of them they take.

    Raises:
        ValueError: it does.
    """
    if isinstance(value, ObjectMembers):
        if value.repeated is not None:
            raise ValueError(f"member {value.repeated!r} appears twice at {path}")
        for name, member in value.items():
            refuse_repeated(member, f"{path}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(cast("list[object]", value)):
            refuse_repeated(item, f"{path}[{place}]")
