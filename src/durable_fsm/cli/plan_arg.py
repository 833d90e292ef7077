"""Files of plans that commands are given."""

from __future__ import annotations

from pathlib import Path

import click

from durable_fsm.plan.plan_file import NotAPlan, PlannedChart, SavedPlan, read_plan


def plan_in(file: Path) -> SavedPlan:
    """The plan in a file.

    Raises:
        click.UsageError: The file cannot be read, or is not a plan.
    """
    try:
        return read_plan(file)
    except NotAPlan as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"'{file}' cannot be read: {error.strerror}.") from error


def build_of(plan: SavedPlan, chart: str) -> PlannedChart:
    """The build of a chart in a plan.

    Raises:
        click.UsageError: The plan is about other charts.
    """
    build = next((one for one in plan.head.charts if one.chart == chart), None)
    if build is None:
        names = ", ".join(one.chart for one in plan.head.charts) or "nothing"
        raise click.UsageError(f"'{plan.path}' is not about {chart}, but about {names}.")
    return build
