"""A chart as plain JSON, for digests, documents and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from datetime import timedelta
from enum import Enum
from typing import Any, cast

from durable_fsm.core.chart import OMIT_IF_DEFAULT, Callback, Chart, Child, Guard, HostedBehaviour, Policies
from durable_fsm.core.values import Json


def chart_to_json(chart: Chart) -> dict[str, Json]:
    """Everything about a chart that shows: callbacks by name, no code and no places in files."""
    events = [
        {
            "name": event.name,
            "public": event.public,
            "doc": event.doc,
            "payload": event.payload.schema() if event.payload else None,
        }
        for event in chart.events.values()
    ]
    hosted = {spec.name: getattr(chart.hosting, spec.name) for spec in fields(HostedBehaviour)}
    optional = {"work": chart.work, "after_end": hosted.pop("after_end")}
    handlers = hosted.pop("handlers")
    policies = {spec.name: getattr(chart.policies, spec.name) for spec in fields(Policies)}
    return {
        **{name: _export(value) for name, value in optional.items() if value},
        "name": chart.name,
        "version": chart.version,
        "doc": chart.doc,
        "data": cast("Json", chart.data.schema()),
        "policies": _export({**policies, **hosted}),
        "handlers": _export(handlers),
        "events": _export(events),
        "states": _export(list(chart.states.values())),
        "transitions": _export(chart.transitions),
    }


def _export(value: object) -> Json:
    """A part of a definition as JSON; fields that do not compare (code, places) are left out."""
    match value:
        case Guard():
            return value.label
        case Child():
            each: dict[str, Json] = {"each": _export(value.each)} if value.each is not None else {}
            return {"name": value.name, "autoforward": value.autoforward, "finalize": _export(value.finalize), **each}
        case Callback():
            return value.name
        case Enum():
            return str(value.value)
        case None | bool() | int() | float() | str():
            return value
        case timedelta():
            return f"{value.total_seconds():g} s"
        case Mapping():
            members = cast("Mapping[str, object]", value)
            return {name: _export(member) for name, member in members.items()}
        case frozenset():
            return [_export(item) for item in sorted(cast("frozenset[str]", value))]
        case type():
            return value.__qualname__
        case tuple() | list():
            return [_export(item) for item in cast("list[object]", value)]
        case _:
            item = cast("Any", value)  # Any: one of the dataclasses of the model
            shown = [spec for spec in fields(item) if spec.compare and not _is_unused(item, spec)]
            return {spec.name: _export(getattr(item, spec.name)) for spec in shown}


def _is_unused(item: object, spec: Field[Any]) -> bool:
    """Whether a field that came later has its default: then charts look as they did before it came."""
    return OMIT_IF_DEFAULT in spec.metadata and getattr(item, spec.name) == spec.default
