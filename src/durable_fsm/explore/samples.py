"""Sample values of a JSON schema: few of them, and those at which behaviour is likely to change.

Booleans, enumerations and literals give all their values, a number gives its bounds, 0 and 1, a text the shortest and
another one, a list none, one or two items. An object begins with its first values and varies one member at a time, so
that ten members give some twenty values, and not a thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from durable_fsm.core.codec import canonical
from durable_fsm.core.values import Json

Schema: TypeAlias = Mapping[str, Any]  # Any: a JSON schema, whose members differ from type to type

DEEPEST = 4
"""Named types inside each other, so that one that contains itself has an end."""

GUESSES = (
    *("a", "abc", "A", "ABC", "A-1", "AB-12", "a1", "a-b", "a_b", "a.b", "ada@example.com", "https://example.com/"),
    *("1" * length for length in range(1, 20)),
    *(
        "+4930123456",
        "2000-01-01",
        "00:00",
        "1.0",
        "1.00",
        "0x1",
        "#a1b2c3",
        "a" * 8,
        "a" * 16,
        "a" * 32,
        "a" * 40,
        "a" * 64,
    ),
    "00000000-0000-4000-8000-000000000001",
)
"""Texts that may match a pattern."""

FORMATS: Mapping[str, tuple[str, ...]] = {
    "date-time": ("2000-01-01T00:00:00Z",),
    "date": ("2000-01-01",),
    "time": ("00:00:00",),
    "duration": ("PT1S",),
    "uuid": ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"),
    "email": ("ada@example.com",),
    "uri": ("https://example.com/",),
}


class Samples:
    """Samples of types, and the texts that were made up for them.

    Attributes:
        made: texts that mean nothing by themselves: only whether two of them are equal can matter to a chart.
    """

    def __init__(self) -> None:
        self.made: set[str] = set()
        self._full = False

    def of(self, schema: Schema | None, name: str) -> list[Json]:
        """Samples of a schema; texts in it are called *name*, or like the member that they belong to."""
        if schema is None:
            return [None]
        return self._of(schema, name, schema.get("$defs", {}), 0)

    def full(self, schema: Schema | None, name: str) -> list[Json]:
        """Samples in which no member of an object is left out."""
        self._full = True
        try:
            return self.of(schema, name)
        finally:
            self._full = False

    def _of(self, schema: Schema, name: str, definitions: Schema, depth: int) -> list[Json]:
        if depth > DEEPEST:
            return []
        if "$ref" in schema:
            target = str(schema["$ref"]).rpartition("/")[2]
            return self._of(definitions.get(target, {}), name, definitions, depth + 1)
        if "const" in schema:
            return [schema["const"]]
        if "enum" in schema:
            return list(schema["enum"])
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return distinct(one for part in schema[choice] for one in self._of(part, name, definitions, depth))
        if "allOf" in schema:
            merged = {member: value for part in schema["allOf"] for member, value in part.items()}
            return self._of(merged, name, definitions, depth)
        match schema.get("type"):
            case "boolean":
                return [False, True]
            case "integer" | "number":
                return _numbers(schema)
            case "string":
                return self._texts(schema, name)
            case "array":
                return self._lists(schema, name, definitions, depth)
            case "object":
                return self._objects(schema, definitions, depth)
            case _:
                return [None]

    def _texts(self, schema: Schema, name: str) -> list[Json]:
        if "format" in schema:
            return list(FORMATS.get(schema["format"], ()))
        if "pattern" in schema:
            return guessed(str(schema["pattern"]))
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
        texts = [f"{name} {number}".ljust(shortest, "-")[-longest if longest else None :] for number in (1, 2)]
        self.made.update(texts)
        return distinct(["", texts[0]] if shortest == 0 else texts)

    def _lists(self, schema: Schema, name: str, definitions: Schema, depth: int) -> list[Json]:
        if "prefixItems" in schema:
            columns = [self._of(part, name, definitions, depth) for part in schema["prefixItems"]]
            return [list(found) for found in _varied(columns)]
        items = self._of(schema.get("items", {}), name, definitions, depth)
        fewest, most = schema.get("minItems", 0), schema.get("maxItems", 2)
        if not items:
            return [[]]
        second = items[1] if len(items) > 1 else items[0]
        lists: list[list[Json]] = [[], [items[0]], [items[0], second]]
        if fewest > 2:
            lists.append([items[0]] * fewest)
        unique = bool(schema.get("uniqueItems"))
        return [one for one in lists if fewest <= len(one) <= max(most, fewest) and not (unique and _repeats(one))]

    def _objects(self, schema: Schema, definitions: Schema, depth: int) -> list[Json]:
        members: Schema = schema.get("properties", {})
        required = set(schema.get("required", ()))
        if not members:
            inner = schema.get("additionalProperties")
            if not isinstance(inner, Mapping):
                return [{}]
            inside = self._of(cast("Schema", inner), "value", definitions, depth)
            return [{}, *({"key": one} for one in inside[:1])]
        missing: Any = object()  # Any: it is in no value, and in no type
        columns: list[list[Any]] = []  # Any: a value, or the mark of a missing member
        for member, part in members.items():
            values: list[Any] = self._of(part, member, definitions, depth)
            if member not in required:
                default = canonical(part["default"]) if "default" in part else None
                others = [one for one in values if canonical(one) != default]
                values = others if self._full and others else [missing, *others]
            if not values:
                return []
            columns.append(values)
        names = list(members)
        return [
            {member: one for member, one in zip(names, row, strict=True) if one is not missing}
            for row in _varied(columns)
        ]


def guessed(pattern: str) -> list[Json]:
    """The first two guesses that match a pattern, if any does."""
    try:
        found: list[Json] = [guess for guess in GUESSES if re.search(pattern, guess)]
        return found[:2]
    except re.error:  # a pattern of another language than Python's
        return []


def distinct(values: Iterable[Json]) -> list[Json]:
    """The values, each once."""
    return list({canonical(one): one for one in values}.values())


def _varied(columns: list[list[Any]]) -> list[list[Any]]:  # Any: as above
    """The first of each column, and then each other one in its place."""
    if not all(columns):
        return []
    first = [column[0] for column in columns]
    others = [[*first[:place], one, *first[place + 1 :]] for place, column in enumerate(columns) for one in column[1:]]
    return [first, *others]


def _repeats(values: list[Json]) -> bool:
    return len({canonical(one) for one in values}) < len(values)


def _numbers(schema: Schema) -> list[Json]:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf", 1)
    bounds = [bound for bound in (least, most, above, below) if bound is not None]
    candidates = {0, 1, *(bound + change for bound in bounds for change in (-step, 0, step))}
    return [
        one
        for one in sorted(candidates)
        if (least is None or one >= least)
        and (most is None or one <= most)
        and (above is None or one > above)
        and (below is None or one < below)
    ]
