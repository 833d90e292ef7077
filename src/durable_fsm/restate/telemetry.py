"""Spans and counters, where OpenTelemetry is installed and somebody has set it up; otherwise nothing at all.

Only its API is used. Spans stand under the trace that Restate's own server has begun.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from durable_fsm.restate.logs import LOGGER, is_replaying

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter
    from opentelemetry.trace import Tracer

try:
    from opentelemetry import metrics, trace
    from restate.ext.tracing import RestateTracer
except ModuleNotFoundError:  # the extra `otel` is not installed
    INSTALLED = False
else:
    INSTALLED = True

Attributes = Mapping[str, str | int | bool | list[str]]

COUNTERS = {
    "durable_fsm.events": "Events, by machine, event and outcome.",
    "durable_fsm.activities": "Activities that have ended, by machine, activity and outcome.",
    "durable_fsm.retries": "Attempts of activities that failed and are repeated, by machine and activity.",
    "durable_fsm.parked": "Deliveries that could not be taken and are sent again later, by machine.",
}


def is_traced() -> bool:
    """Whether anybody has set up where spans go."""
    return INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def is_on() -> bool:
    """Whether anybody has set up where spans or counts go."""
    return INSTALLED and (is_traced() or type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider")


def span(name: str, attributes: Attributes, *, began: int, problem: str | None = None) -> None:
    """A span from *began*, in nanoseconds since 1970, until now."""
    if not is_traced():
        return
    made = _tracer().start_span(name, attributes=attributes, start_time=began)
    if problem is not None:
        made.set_status(trace.Status(trace.StatusCode.ERROR, problem))
    made.end()


@contextmanager
def spanning(name: str, attributes: Attributes) -> Generator[None]:
    """A span around work that is done in one go; what the work itself traces stands under it."""
    if not is_traced() or is_replaying():
        yield
        return
    with _tracer().start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ):
        yield


def count(name: str, attributes: Attributes) -> None:
    if INSTALLED:
        _counter(name).add(1, attributes)


@cache
def _tracer() -> Tracer:
    return RestateTracer(trace.get_tracer(LOGGER))  # type: ignore[no-untyped-call]  # as Restate has written it


@cache
def _counter(name: str) -> Counter:
    return metrics.get_meter(LOGGER).create_counter(name, description=COUNTERS[name])
