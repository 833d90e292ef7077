"""Check and apply `redact=` and `operators_only=`: hidden members, and handlers that the ingress does not serve."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar

from pydantic import TypeAdapter

from durable_fsm.core.chart import Chart, Hosting
from durable_fsm.core.redact import Redaction
from durable_fsm.core.values import Completed, Json, Misfit, ValueType
from durable_fsm.errors import quoted
from durable_fsm.frontends.checks.losses import names_of_fields
from durable_fsm.frontends.values import Typed

CLOSABLE = ("cancel", "create", "delete", "history", "rejected", "repair", "send", "snapshot", "wait_for")
"""Handlers of every machine that can be closed to the ingress; `rejected` is the list of rejected events."""

NAME = re.compile(r"[^\s.]+(\.[^\s.]+)*")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RedactedType:
    """A `ValueType` that hides why a redacted member is wrong, because the reason may quote its value."""

    type: ValueType
    redaction: Redaction

    @property
    def name(self) -> str:
        return self.type.name

    def load(self, stored: Json) -> object:
        return self._asked(self.type.load, stored)

    def dump(self, value: object) -> Json:
        return self._asked(self.type.dump, value)

    def completed(self, given: Json) -> Completed | None:
        return self.type.completed(given)

    def schema(self) -> dict[str, Json] | None:
        return self.type.schema()

    def _asked(self, ask: Callable[[Any], T], value: object) -> T:
        try:
            return ask(value)
        except Misfit as error:
            if not self.redaction.covers(error.path):
                raise
            raise Misfit("the value, which is redacted, does not fit", error.path) from error


def with_redaction(chart: Chart) -> Chart:
    """The chart with types that do not quote a redacted member when its value is wrong."""
    if not chart.hosting.redact:
        return chart
    types = [chart.data, *(event.payload for event in chart.events.values())]
    chart = replace(chart, hosting=replace(chart.hosting, redact=_under_all_names(chart.hosting.redact, types)))
    redaction = chart.redaction
    events = {
        name: event if event.payload is None else replace(event, payload=RedactedType(event.payload, redaction))
        for name, event in chart.events.items()
    }
    return replace(chart, data=RedactedType(chart.data, redaction), events=events)


def _under_all_names(redact: Iterable[str], types: Iterable[ValueType | None]) -> tuple[str, ...]:
    """The named members under the name and the aliases of their fields: whichever a value has, it is hidden."""
    groups = [names for type_ in types for names in names_of_fields(type_)]

    def all_names(step: str) -> Iterable[str]:
        return dict.fromkeys([step, *sorted(name for names in groups if step in names for name in names)])

    return tuple(
        dict.fromkeys(".".join(steps) for name in redact for steps in product(*map(all_names, name.split("."))))
    )


def problems_in(hosting: Hosting, types: Iterable[ValueType | None]) -> Iterator[tuple[str, str]]:
    """Problems of `redact=` and `operators_only=`, each with its remedy. *types* are those of data and payloads."""
    open_ended = hosting.sources or hosting.webhooks  # records and requests may have members that the types do not list
    yield from _closed_problems(hosting.operators_only)
    named = hosting.redact
    known = member_names(types) if named else None  # slow for large types, so only where it is needed
    for name in named:
        if not NAME.fullmatch(name):
            yield (
                f"redact= names {name!r}, which is not a member.",
                "Write 'email', or 'customer.email' for one inside.",
            )
        elif known is not None and not open_ended and (unknown := unknown_part(name, known)) is not None:
            close = difflib.get_close_matches(unknown, known, n=1)
            remedy = f"Did you mean '{close[0]}'?" if close else "Declare the type that has it, or remove it."
            yield f"redact= names '{name}', and neither the data nor a payload has '{unknown}'.", remedy


def _closed_problems(operators_only: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in operators_only:
        if name not in CLOSABLE:
            what = f"operators_only= names '{name}', which is not a handler of every machine."
            yield what, f"There is {quoted(CLOSABLE)}. To close an event, declare it public=False."


def unknown_part(name: str, known: set[str]) -> str | None:
    """The first part of a dotted name that is not known; None if there is none."""
    return next((part for part in name.split(".") if part not in known), None)


def member_names(types: Iterable[ValueType | None]) -> set[str] | None:
    """Names of all members of these types, at any depth; None if one of them has no schema."""
    names: set[str] = set()
    for type_ in types:
        if type_ is None:
            continue
        schema = type_.schema()
        if schema is None:
            return None
        names |= set(_properties(schema))
        if isinstance(type_, Typed):
            names |= set(_properties(_by_field(type_)))
    return names


def _by_field(type_: Typed) -> Json:
    """The schema with the names under which the data is stored; payloads may use aliases."""
    adapter: TypeAdapter[Any] = TypeAdapter(type_.declared)
    return adapter.json_schema(by_alias=False)


def _properties(schema: Json) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _properties(item)
    elif isinstance(schema, dict):
        declared = schema.get("properties")
        if isinstance(declared, dict):
            yield from declared
        for member in schema.values():
            yield from _properties(member)
