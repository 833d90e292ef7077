"""Spans and counters by OpenTelemetry's API. Only `telemetry` imports this, where the extra `otel` is installed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache

from opentelemetry import metrics, trace
from restate.ext.tracing import RestateTracer

from durable_fsm.restate.observability.logging import LOGGER

Attributes = Mapping[str, str | int | bool | list[str]]

COUNTERS = {
    "durable_fsm.events": "Events, by chart, event and outcome.",
    "durable_fsm.activities": "Activities that have ended, by chart, activity and outcome.",
    "durable_fsm.retries": "Attempts of activities that failed and are repeated, by chart and activity.",
    "durable_fsm.parked": "Deliveries that could not be taken and are sent again later, by chart and event.",
}


def is_traced() -> bool:
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def is_counted() -> bool:
    return type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"


def span(name: str, attributes: Attributes, began: int, problem: str | None) -> None:
    made = _tracer().start_span(name, attributes=attributes, start_time=began)
    if problem is not None:
        made.set_status(trace.Status(trace.StatusCode.ERROR, problem))
    made.end()


def spanning(name: str, attributes: Attributes) -> AbstractContextManager[object]:
    return _tracer().start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    )


def count(name: str, attributes: Attributes) -> None:
    _counter(name).add(1, attributes)


@cache
def _tracer() -> trace.Tracer:
    tracer: trace.Tracer = RestateTracer(trace.get_tracer(LOGGER))  # type: ignore[no-untyped-call]  # Restate's own
    return tracer


@cache
def _counter(name: str) -> metrics.Counter:
    return metrics.get_meter(LOGGER).create_counter(name, description=COUNTERS[name])
