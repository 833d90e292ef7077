"""`durable-fsm check`: list every problem that keeps definitions from being hosted."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import click

from durable_fsm.cli.app_arg import find_app, trusted_option
from durable_fsm.cli.errors import DIFFERS, exit_code_of
from durable_fsm.cli.output import json_option, say, show
from durable_fsm.cli.settings import Connection
from durable_fsm.core.chart import Chart
from durable_fsm.diagram.words import duration
from durable_fsm.errors import DefinitionError, DefinitionWarning, Problem, counted
from durable_fsm.frontends.locate import AuthorFailed, locate_charts
from durable_fsm.restate.names import reserved_in


@click.command()
@click.argument("targets", nargs=-1)
@click.option(
    "--against",
    metavar="URL",
    help="Also try the charts on the machines of this server (Restate's admin API), and report what would happen to them.",
)
@json_option
@trusted_option
def check(targets: tuple[str, ...], *, against: str | None, as_json: bool, trusted: bool) -> None:
    """Print every problem and warning of charts.

    TARGET is a chart or an application, 'module:Name' or 'file.py:Name', or the path of an .scxml, .json or .yaml
    document. The default is the application that `durable-fsm dev` would serve. Exits with 3 if any chart has a problem,
    and with 1 if a chart cannot continue a machine of the server.

    \b
    Examples:
      durable-fsm check shop.orders:Order
      durable-fsm check shop.orders:Order --against http://localhost:9070
    """
    app = None if targets else find_app(None)
    if app is not None and str(app.folder) not in sys.path:
        sys.path.insert(0, str(app.folder))
    names = targets or (app.target if app else "",)
    found = [one for target in names for one in _checked(target, against, trusted=trusted)]
    if as_json:
        show(found, as_json)
    else:
        for one in found:
            _tell(one)
    if any(one["problems"] for one in found):
        sys.exit(exit_code_of(DefinitionError))
    if any(one.get("against", {}).get("refused") for one in found):
        sys.exit(DIFFERS)


def _checked(target: str, against: str | None, *, trusted: bool) -> list[dict[str, Any]]:  # Any: JSON
    charts: tuple[Chart, ...] = ()
    problems: list[str] = []
    name = target
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            charts = locate_charts(target, trusted=trusted)
        except DefinitionError as error:
            name, problems = error.chart, [str(problem) for problem in error.problems]
        except AuthorFailed as error:
            problems = [str(error)]
    warned = list(dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, DefinitionWarning)))
    if problems:
        return [{"target": target, "chart": name, "problems": problems, "warnings": warned}]
    return [
        {
            "target": target,
            "chart": chart.name,
            "states": len(chart.states) - 1,
            "events": len(chart.public_events),
            "activities": len(chart.activities),
            "problems": [str(problem) for problem in _reserved(chart)],
            "warnings": [words for words in warned if words.startswith(f"{chart.name}:")],
            "notes": list(_endless(chart)),
            **_rolled_out(against, chart),
        }
        for chart in charts
    ]


def _endless(chart: Chart) -> Iterator[str]:
    """The activities that are retried until they succeed: that is the default, and authors should know of it."""
    groups: dict[tuple[timedelta, timedelta | None], list[str]] = {}
    for activity in chart.activities.values():
        work = [] if activity.undoes is not None else [(f"activity '{activity.id}'", activity.retry, activity.deadline)]
        if activity.undo is not None:
            work.append((f"the undo of '{activity.id}'", activity.undo.retry, None))
        for name, retry, deadline in work:
            if retry.attempts is None:
                until = None if activity.exclusive else deadline
                groups.setdefault((retry.maximum, until), []).append(name)
    for (maximum, until), names in groups.items():
        are, its = ("is", "its") if len(names) == 1 else ("are", "their")
        end = "without end" if until is None else f"until {its} deadline of {duration(until)}"
        apart = f"at most {duration(maximum)} apart"
        yield f"{' and '.join(names)} {are} retried {end}, {apart}. Retry(attempts=…) sets a limit."


def _rolled_out(url: str | None, chart: Chart) -> dict[str, Any]:  # Any: JSON
    """The effect of the chart on the machines of a server, if one is named."""
    if url is None:
        return {}
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.rollout import rollout

    at = Connection(admin=url, token=os.environ.get("DURABLE_FSM_TOKEN"))
    with Admin(at.admin, at.http()) as admin:
        found = rollout(admin, chart)
    return {"against": {**found.row, "lines": found.lines}}


def _reserved(chart: Chart) -> Iterator[Problem]:
    """Events that share the name of a built-in handler: the chart is hosted, but their URL does something else."""
    for event in reserved_in(chart):
        place = next((edge.location for edge in chart.transitions if event in edge.events), None)
        what = (
            f"event '{event}' has the name of a built-in handler, so POST /{chart.name}/KEY/{event} is not this event."
        )
        remedy = f'Rename it, or give it another URL: @durable(handlers={{"{event}_it": "{event}"}}). Until then,'
        yield Problem(what, f"{remedy} callers send it through 'send'.", str(place or ""))


def _tell(one: dict[str, Any]) -> None:  # Any: JSON, as above
    problems, warned = one["problems"], one["warnings"]
    if problems:
        click.echo(f"{one['chart']}: {counted(len(problems), 'problem')}")
    else:
        click.echo(
            f"{one['chart']}: {counted(one['states'], 'state')}, {counted(one['events'], 'public event')},"
            f" {counted(one['activities'], 'activity')}, no problem"
        )
    for words in one.get("against", {}).get("lines", ()):
        say(f"  {words}")
    for key, why in one.get("against", {}).get("refused", {}).items():
        say(f"  refused: {one['chart']}/{key}: {why}")
    for words in problems:
        click.echo(f"  problem: {words}")
    prefix = f"{one['chart']}: "  # which is above
    for words in warned:
        click.echo(f"  warning: {words.removeprefix(prefix)}")
    for words in one.get("notes", ()):
        click.echo(f"  note: {words}")
