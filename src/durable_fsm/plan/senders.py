"""Facts about senders: events that another build would refuse, and members that it would no longer redact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.values import Json
from durable_fsm.diagram.words import duration

DEPTH = 8
"""How deep schemas are compared; a schema may contain itself."""

Schema = Mapping[str, Any]  # Any: JSON schema, as pydantic writes it


class SenderFact(NamedTuple):
    """One fact, as a clause; `event` is the one that it is about. A `warning` needs no decision."""

    words: str
    event: str = ""
    warning: bool = False


def sender_facts(old: Chart, new: Chart) -> list[SenderFact]:
    """All that senders, readers and operators of the old chart must know of the new one."""
    return [*_events(old, new), *_operators(old, new), *_shown(old, new), *_work(old, new)]


def _events(old: Chart, new: Chart) -> Iterator[SenderFact]:
    yield from _creating(old, new)
    for name in old.public_events:
        now = new.events.get(name)
        if now is None:
            yield SenderFact(f"{name} is gone", name)
        elif not now.public:
            yield SenderFact(f"{name} may no longer be sent", name)
        else:
            before = old.events[name].payload
            for words in narrowed(_schema(before), _schema(now.payload)):
                yield SenderFact(f"{name} {words}", name)
    for path, event in old.hosting.handlers.items():
        if event in new.events and path not in new.hosting.handlers:
            yield SenderFact(f"handler {path} of {event} is gone", event)


def _creating(old: Chart, new: Chart) -> Iterator[SenderFact]:
    """The beginning of a machine: its first event, if its data have defaults, or `create`."""
    before, now = _schema(old.data) or {}, _schema(new.data) or {}
    needed = [f"$.{name}" for name in now.get("required", ())]
    began = not old.hosting.create_first and not before.get("required")
    begins = not new.hosting.create_first and not needed
    if began and not begins:
        needs = f", which needs {', '.join(needed)}" if needed else ""
        yield SenderFact(f"the first event no longer begins a machine: create it first{needs}", "create")
        return
    for words in narrowed(before, now):
        yield SenderFact(f"create {words}", "create", warning=not words.startswith("needs $"))


def _operators(old: Chart, new: Chart) -> Iterator[SenderFact]:
    for handler in sorted({*new.hosting.operators_only} - {*old.hosting.operators_only}):
        if handler in old.events or handler in (
            "snapshot",
            "history",
            "delete",
            "cancel",
            "wait_for",
            "create",
            "send",
        ):
            yield SenderFact(f"{handler} is for operators only now", handler)


def _shown(old: Chart, new: Chart) -> Iterator[SenderFact]:
    for member in sorted({*old.hosting.redact} - {*new.hosting.redact}):
        yield SenderFact(f"{member} is no longer redacted")


def _work(old: Chart, new: Chart) -> Iterator[SenderFact]:
    for id, before in old.activities.items():
        now = new.activities.get(id)
        if now is not None:
            yield from (SenderFact(f"work {id} {words}", warning=True) for words in _shortened(before, now))


def _shortened(before: Activity, now: Activity) -> Iterator[str]:
    was, is_ = before.retry.attempts, now.retry.attempts
    if is_ is not None and (was is None or is_ < was):
        yield f"is tried {is_} times at most" + (
            f", and was {was} times" if was is not None else ", and was without end"
        )
    for name, long, short in (
        ("deadline", before.deadline, now.deadline),
        ("timeout of an attempt", before.timeout, now.timeout),
    ):
        if short is not None and (long is None or short < long):
            yield f"has a {name} of {duration(short)}" + (f", and had {duration(long)}" if long is not None else "")


# ── payloads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _schema(type_: Any) -> Schema | None:  # Any: a ValueType, or None
    found: dict[str, Json] | None = None if type_ is None else type_.schema()
    return found


def narrowed(old: Schema | None, new: Schema | None) -> list[str]:
    """How a schema admits less than another, one clause for each place; None admits everything."""
    if not new:
        return []
    return list(dict.fromkeys(_narrowed(old or {}, new, old or {}, new, "$", DEPTH)))


def _narrowed(old: Schema, new: Schema, of: Schema, to: Schema, path: str, depth: int) -> Iterator[str]:
    old, new = _resolved(old, of), _resolved(new, to)
    if depth == 0 or old == new or _admits_all(new):
        return
    before, now = _kinds(old, of), _kinds(new, to)
    if now and (not before or not before <= now):
        lost = sorted(before - now)
        if before and not before & now:
            yield f"expects {_or(now)} at {path}, and not {_or(before)}"
            return
        yield f"no longer accepts {_or(set(lost))} at {path}" if lost else f"expects {_or(now)} at {path}"
    old, new = _the_object(old, of), _the_object(new, to)
    yield from _values(old, new, path)
    yield from _members(old, new, of, to, path, depth)
    if isinstance(new.get("items"), Mapping) and isinstance(old.get("items", {}), Mapping):
        yield from _narrowed(old.get("items", {}), new["items"], of, to, f"{path}[*]", depth - 1)


def _members(old: Schema, new: Schema, of: Schema, to: Schema, path: str, depth: int) -> Iterator[str]:
    had, has = old.get("properties", {}), new.get("properties", {})
    for name in sorted({*new.get("required", ())} - {*old.get("required", ())}):
        yield f"needs {path}.{name}"
    if new.get("additionalProperties") is False:
        yield from (f"refuses {path}.{name}" for name in sorted(had.keys() - has.keys()))
        if old.get("additionalProperties") is not False and not had.keys() - has.keys():
            yield f"refuses unknown members at {path}"
    for name in sorted(had.keys() & has.keys()):
        yield from _narrowed(had[name], has[name], of, to, f"{path}.{name}", depth - 1)


LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def _values(old: Schema, new: Schema, path: str) -> Iterator[str]:
    had, has = _choices(old), _choices(new)
    if has is not None and (had is None or not had <= has):
        lost = ", ".join(sorted(had - has)) if had is not None else ""
        yield f"no longer accepts {lost} at {path}" if lost else f"accepts only {', '.join(sorted(has))} at {path}"
    for names, is_tighter, word in ((LEAST, _more, "at least"), (MOST, _less, "at most")):
        for name in names:
            if name in new and (name not in old or is_tighter(new[name], old[name])):
                unit = " characters" if "Length" in name else " items" if "Items" in name else ""
                beyond = "more than" if word == "at least" else "less than"
                yield f"needs {beyond if 'exclusive' in name else word} {new[name]}{unit} at {path}"
    for name in ("pattern", "format"):
        if name in new and old.get(name) != new[name]:
            yield f"needs the {name} {new[name]} at {path}"


def _more(one: Any, other: Any) -> bool:  # Any: a number of a schema
    return bool(one > other)


def _less(one: Any, other: Any) -> bool:  # Any: a number of a schema
    return bool(one < other)


def _choices(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(one) for one in schema["enum"]} if "enum" in schema else None


def _resolved(schema: Schema, whole: Schema) -> Schema:
    """The schema behind a reference, or the only one of a list."""
    for _ in range(DEPTH):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            found: Any = whole
            for step in reference[2:].split("/"):
                found = found.get(step, {})
            schema = cast("Schema", found)
        elif len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        else:
            break
    return schema


def _parts(schema: Schema, whole: Schema) -> list[Schema]:
    return [_resolved(part, whole) for part in schema.get("anyOf", schema.get("oneOf", ()))]


def _kinds(schema: Schema, whole: Schema) -> set[str]:
    """The JSON types that it admits; empty for all."""
    if parts := _parts(schema, whole):
        each = [_kinds(part, whole) for part in parts]
        return set[str]().union(*each) if all(each) else set()
    kind = schema.get("type")
    found = set(cast("list[str]", kind)) if isinstance(kind, list) else {str(kind)} if kind is not None else set[str]()
    return found | {"integer"} if "number" in found else found


def _the_object(schema: Schema, whole: Schema) -> Schema:
    """The one part of a union that is not null; the schema itself, if it is not such a union."""
    parts = [part for part in _parts(schema, whole) if part.get("type") != "null"]
    return parts[0] if len(parts) == 1 else schema


def _admits_all(schema: Schema) -> bool:
    return not {*schema} - {"title", "description", "default", "examples", "$defs"}


def _or(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds - {"integer"} if "number" in kinds else kinds))
