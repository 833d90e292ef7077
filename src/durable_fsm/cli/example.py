"""Make a value that fits a JSON Schema, as an example for a person to replace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, cast

JsonSchema = dict[str, Any]  # Any: JSON
PatternPart = tuple[Any, Any]  # Any: an operation of a pattern and its arguments, as the standard library has them

# The standard library parses patterns nowhere else.
parse = cast("Callable[[str], Iterable[PatternPart]]", re._parser.parse)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

FORMATS = {
    "date-time": "2030-01-31T12:00:00Z",
    "date": "2030-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ann@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "json-string": "null",
}
LONGEST = 64
"""Repeated parts of a pattern are tried with up to this many copies."""


def example(schema: JsonSchema | None, whole: JsonSchema | None = None) -> Any:  # Any: JSON
    """Return a value that fits *schema*, as far as the schema's own words go. Only its type can tell whether it does."""
    if not schema:
        return None
    whole = schema if whole is None else whole
    if "$ref" in schema:
        found = whole
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(part, {})
        return example(found, whole)
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return example(next((one for one in schema[name] if one.get("type") != "null"), None), whole)
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            return {name: example(one, whole) for name, one in schema.get("properties", {}).items() if name in required}
        case "array":
            firsts = [example(one, whole) for one in schema.get("prefixItems", ())]
            missing = max(0, schema.get("minItems", 0) - len(firsts))
            return [*firsts, *(example(schema.get("items"), whole) for _ in range(missing))]
        case "string":
            return _text(schema)
        case "integer" | "number" as kind:
            return _number(schema, step=schema.get("multipleOf", 1 if kind == "integer" else 0.5))
        case "boolean":
            return True
        case _:
            return None


def _number(schema: JsonSchema, *, step: float) -> Any:  # Any: an int or a float, as the limits are
    """The first multiple of *step* from the lower limit on, or down from the upper one."""
    lower, upper = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if lower is not None and upper is not None and upper - lower <= step:
        return (lower + upper) / 2
    if "minimum" in schema:
        return -(-schema["minimum"] // step) * step
    if "exclusiveMinimum" in schema:
        return (schema["exclusiveMinimum"] // step + 1) * step
    if "maximum" in schema and schema["maximum"] < step:
        return schema["maximum"] // step * step
    if "exclusiveMaximum" in schema and schema["exclusiveMaximum"] <= step:
        return (-(-schema["exclusiveMaximum"] // step) - 1) * step
    return max(step, 1)


def _text(schema: JsonSchema) -> str:
    least, most = int(schema.get("minLength", 1)), int(schema.get("maxLength", LONGEST))
    if "pattern" in schema:
        for copies in range(LONGEST + 1):
            found = _matching(schema["pattern"], copies)
            if least <= len(found) <= most and re.search(schema["pattern"], found):
                return found
    return FORMATS.get(schema.get("format", "")) or "x" * max(1, least)


# ── texts of a pattern ────────────────────────────────────────────────────────────────────────────────────────────────


def _matching(pattern: str, copies: int) -> str:
    """Return a text that the pattern probably matches: the first of all alternatives, and this many of what repeats."""
    try:
        return "".join(_spelled(parse(pattern), copies))
    except (re.error, KeyError):  # another dialect, or a part that has no entry below
        return ""


def _spelled(parts: Iterable[PatternPart], copies: int) -> Iterable[str]:
    for operation, argument in parts:
        yield PARTS[str(operation)](argument, copies)


def _repeated(argument: Any, copies: int) -> str:
    least, most, part = argument
    return "".join(_spelled(part, copies)) * max(int(least), min(copies, int(most)))


def _one_of(argument: Any, _copies: int) -> str:
    negated = str(argument[0][0]) == "NEGATE"
    allowed = re.compile(f"[{'^' if negated else ''}{''.join(map(_class_member, argument[negated:]))}]")
    return next((letter for letter in LETTERS if allowed.match(letter)), "")


def _class_member(member: PatternPart) -> str:
    operation, argument = member
    match str(operation):
        case "LITERAL":
            return re.escape(chr(argument))
        case "RANGE":
            return "-".join(re.escape(chr(end)) for end in argument)
        case _:
            return CLASSES[str(argument)]


LETTERS = "x1aA" + "".join(map(chr, range(32, 127)))
CLASSES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
}
PARTS: dict[str, Callable[[Any, int], str]] = {  # Any: as above
    "LITERAL": lambda code, _copies: chr(code),
    "NOT_LITERAL": lambda code, _copies: next(letter for letter in LETTERS if ord(letter) != code),
    "ANY": lambda _nothing, _copies: "x",
    "AT": lambda _place, _copies: "",
    "IN": _one_of,
    "BRANCH": lambda argument, copies: "".join(_spelled(argument[1][0], copies)),
    "SUBPATTERN": lambda argument, copies: "".join(_spelled(argument[3], copies)),
    "MAX_REPEAT": _repeated,
    "MIN_REPEAT": _repeated,
}
