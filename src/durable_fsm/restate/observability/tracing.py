"""Spans and counters of OpenTelemetry, for an application that sets up a provider before its first event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache

from opentelemetry import metrics, trace
from restate.ext.tracing import RestateTracer

from durable_fsm.restate.observability.logging import LOGGER

Attributes = Mapping[str, str | int | bool | list[str]]

EVENTS = "durable_fsm.events"
ACTIVITIES = "durable_fsm.activities"
RETRIES = "durable_fsm.retries"
PARKED = "durable_fsm.parked"
INVOCATIONS = "durable_fsm.invocations"

_meter = metrics.get_meter(LOGGER)
_counters = {
    name: _meter.create_counter(name, description=description)
    for name, description in {
        EVENTS: "Events, by chart, event and outcome.",
        ACTIVITIES: "Activities that have ended, by chart, activity and outcome.",
        RETRIES: "Attempts of activities that failed and are repeated, by chart and activity.",
        PARKED: "Deliveries that could not be processed and are sent again later, by chart and event.",
        INVOCATIONS: "Attempts of invocations that used the short way: to its end, or until they waited.",
    }.items()
}

THREADS = "durable_fsm.threads"


def observe(name: str, description: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
    """Add a gauge; whenever it is collected, *read* gives its values by those of the label."""

    def collected(_: metrics.CallbackOptions) -> list[metrics.Observation]:
        return [metrics.Observation(value, {label: name}) for name, value in read().items()]

    _meter.create_observable_gauge(name, [collected], description=description)


# Puts our spans under the trace that Restate's server began, and makes none on replay.
_tracer: trace.Tracer = RestateTracer(trace.get_tracer(LOGGER))  # type: ignore[no-untyped-call]  # Restate's own


@cache
def is_on() -> bool:
    """Whether the application has set up a provider. The first event asks, and the answer is kept.

    OpenTelemetry's own question takes microseconds, and Restate's tracer reads a request's headers before it asks that.
    """
    is_traced = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return is_traced or type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"


def count(name: str, attributes: Attributes) -> None:
    _counters[name].add(1, attributes)


def span(name: str, attributes: Attributes, *, began: int, problem: str | None = None) -> None:
    """Make a span from *began*, in nanoseconds since 1970, until now."""
    made = _tracer.start_span(name, attributes=attributes, start_time=began)
    if problem is not None:
        made.set_status(trace.Status(trace.StatusCode.ERROR, problem))
    made.end()


def spanning(name: str, attributes: Attributes) -> AbstractContextManager[object]:
    """A span around a block; spans that the block makes are children of it."""
    return _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    )
