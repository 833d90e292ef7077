"""Forms from JSON schemas: a field for each member of a payload, and the payload from the fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from durable_fsm.core.values import Json

MOST_FIELDS = 40

WHOLE = "payload"
"""The field of a payload that is not an object of simple members: JSON."""

PREFIX = "f."


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form.

    Attributes:
        kind: `text`, `number`, `tick`, `choice` or `json`.
        value: as it was given, or its default.
    """

    name: str
    label: str
    kind: str
    required: bool = False
    hint: str = ""
    choices: tuple[str, ...] = ()
    value: str = ""
    problem: str = ""

    @property
    def input(self) -> str:
        return WHOLE if self.name == WHOLE else f"{PREFIX}{self.name}"


Schema = Mapping[str, Any]  # Any: JSON


def fields_of(schema: Json) -> tuple[FormField, ...]:
    """The fields for a payload of this schema; one for JSON if it is not an object of known members; none for no payload."""
    if schema is None:
        return ()
    found = _resolved(schema, schema)
    properties: dict[str, dict[str, Any]] = found.get("properties") or {}
    if found.get("type") != "object" or not 0 < len(properties) <= MOST_FIELDS:
        return (_field(WHOLE, str(found.get("title") or "Payload"), found, schema, required=True),)
    required: list[str] = found.get("required", [])
    return tuple(
        _field(name, str(member.get("title") or name), member, schema, required=name in required)
        for name, member in properties.items()
    )


def _resolved(schema: Any, root: Any) -> dict[str, Any]:  # Any: JSON
    """A schema without a reference, and without the null that an optional member may be."""
    for _ in range(10):
        if not isinstance(schema, dict):
            return {}
        known = cast("dict[str, Any]", schema)
        options = [one for one in known.get("anyOf", ()) if one != {"type": "null"}]
        if "$ref" in known:
            place: Any = root
            for step in str(known["$ref"]).removeprefix("#/").split("/"):
                place = cast("dict[str, Any]", place).get(step, {}) if isinstance(place, dict) else {}
            found: dict[str, Any] = place
            schema = {**found, **{name: member for name, member in known.items() if name != "$ref"}}
        elif len(options) == 1:
            schema = {**{name: member for name, member in known.items() if name != "anyOf"}, **options[0]}
        else:
            return known
    return {}


def _field(name: str, label: str, member: Any, root: Any, *, required: bool) -> FormField:  # Any: JSON
    schema = _resolved(member, root)
    kind, choices = "json", ()
    if isinstance(schema.get("enum"), list) and all(isinstance(one, str) for one in schema["enum"]):
        kind, choices = "choice", tuple(schema["enum"])
    elif schema.get("type") == "boolean":
        kind = "tick"
    elif schema.get("type") in ("integer", "number"):
        kind = "number"
    elif schema.get("type") == "string":
        kind = "text"
    default = schema.get("default")
    value = "" if default is None else default if isinstance(default, str) and kind != "json" else json.dumps(default)
    return FormField(name, label, kind, required, _hint(schema), choices, value)


def _hint(schema: Schema) -> str:
    words = [str(schema["description"])] if schema.get("description") else []
    limits = (
        ("exclusiveMinimum", ">"),
        ("minimum", "≥"),
        ("exclusiveMaximum", "<"),
        ("maximum", "≤"),
        ("minLength", "at least"),
        ("maxLength", "at most"),
        ("format", ""),
    )
    words += [f"{word} {schema[name]}{_unit(name, schema[name])}".strip() for name, word in limits if name in schema]
    return ", ".join(words)


def _unit(name: str, limit: object) -> str:
    return "" if not name.endswith("Length") else " character" if limit == 1 else " characters"


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that was filled in: its fields with their values and problems, and the payload if there is no problem."""

    fields: tuple[FormField, ...]
    payload: Json = None

    @property
    def problem(self) -> str:
        return next((f"{one.label}: {one.problem}" for one in self.fields if one.problem), "")


def filled(fields: tuple[FormField, ...], given: Mapping[str, str]) -> Filled:
    """The payload in what was given; an empty optional field is left out."""
    told: list[FormField] = []
    members: dict[str, Json] = {}
    whole: Json = None
    for field in fields:
        text = given.get(field.input, "")
        if field.kind == "tick":
            members[field.name] = text == "on"
            told.append(replace(field, value="true" if text == "on" else ""))
            continue
        try:
            is_left_out = text.strip() == "" and (field.kind != "text" or not field.required)
            value: Json = None if is_left_out else _value(field.kind, text)
            if is_left_out and field.required:
                raise ValueError("it is missing")
        except ValueError as error:
            told.append(replace(field, value=text, problem=str(error)))
            continue
        told.append(replace(field, value=text))
        if field.name == WHOLE:
            whole = value
        elif not is_left_out:
            members[field.name] = value
    if any(field.name == WHOLE for field in fields):
        return Filled(tuple(told), whole)
    return Filled(tuple(told), members if fields else None)


def _value(kind: str, text: str) -> Json:
    if kind in ("text", "choice"):
        return text
    try:
        value: Json = json.loads(text)
    except ValueError as error:
        what = "a number" if kind == "number" else 'valid JSON; put a text into quotes: "blue"'
        raise ValueError(f"expected {what}") from error
    if kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("expected a number")
    return value
