"""The charts of a server, as its services have carried them there: also when no service runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, cast

from durable_fsm.admin.client import Admin, AdminRefused, UnknownChart
from durable_fsm.admin.readings import Row
from durable_fsm.core.chart import Chart
from durable_fsm.core.interchange import UnknownFormat, chart_from_json
from durable_fsm.restate.names import CHART


def chart_of(admin: Admin, name: str, deployment: str | None = None) -> Chart:
    """The chart that the server knows by a name, to be drawn and compared; it has no code.

    Args:
        deployment: id of the one whose chart is meant; without it, the latest that has registered this name.

    Raises:
        UnknownChart: nothing of this name is registered, or it is not a chart.
        AdminRefused: the admin API cannot be reached, there is no such deployment, or its chart cannot be read.
    """
    path = "/services" if deployment is None else f"/deployments/{deployment}"
    services = cast("list[Row]", admin.ask("GET", path)["services"])
    told = {service["name"]: service.get("metadata", {}).get(CHART) for service in services}
    carried = {service: text for service, text in told.items() if text is not None}
    if name not in carried:
        raise UnknownChart(admin.url, name, sorted(carried))
    return _read(name, carried)


class CarriedChart(NamedTuple):
    """A chart as one deployment has it; None if that was served by a build that does not carry its chart."""

    deployment: str
    chart: Chart | None


def deployed_charts(admin: Admin, name: str) -> list[CarriedChart]:
    """The chart of each deployment that has this name, the newest first."""
    deployments = cast("list[Row]", admin.ask("GET", "/deployments")["deployments"])
    having = [one for one in deployments if any(service["name"] == name for service in one["services"])]

    def revision(deployment: Row) -> int:
        return next(int(service["revision"]) for service in deployment["services"] if service["name"] == name)

    found: list[CarriedChart] = []
    for deployment in sorted(having, key=revision, reverse=True):
        try:
            chart = chart_of(admin, name, deployment["id"])
        except (UnknownChart, AdminRefused):
            chart = None
        found.append(CarriedChart(deployment["id"], chart))
    return found


def _read(name: str, carried: Mapping[str, str]) -> Chart:
    try:
        return chart_from_json(json.loads(carried[name]))
    except UnknownFormat as error:
        raise AdminRefused(f"The chart '{name}' was registered by another version of durable_fsm: {error}") from error
