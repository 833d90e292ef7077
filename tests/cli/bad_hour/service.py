"""Serves the shop of the bad hour; writes its counters to the file that SHOP_METRICS names, a line for each."""

from __future__ import annotations

import os
from pathlib import Path

import shop
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricsData, PeriodicExportingMetricReader

import durable_fsm


def lines_of(data: MetricsData) -> str:
    """All counters so far, as Prometheus writes them."""
    points = [
        (metric.name, point)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    labels = [", ".join(f'{name}="{value}"' for name, value in sorted(point.attributes.items())) for _, point in points]
    lines = [f"{name}{{{label}}} {point.value}" for (name, point), label in zip(points, labels, strict=True)]
    return "".join(f"{line}\n" for line in sorted(lines))


target = Path(os.environ["SHOP_METRICS"])
exporter = ConsoleMetricExporter(out=target.open("a"), formatter=lines_of)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=100)]))

app = durable_fsm.app(shop.Order)
