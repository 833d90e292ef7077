"""The option `--overlay`: what is known of a chart's states and transitions, drawn on its diagram."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click

from durable_fsm.cli.plan_arg import build_of, plan_in
from durable_fsm.cli.settings import Connection
from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.diagram.overlay import Overlay, coverage, path, population, verdicts

KINDS = ("population", "coverage", "plan", "path")
HELP = "population, coverage=FILE, plan=FILE or path=FILE: how many machines are where, which transitions were taken, the verdicts of a plan, or the way of a story."  # fmt: skip


def overlay_of(text: str, chart: Chart, connect: Callable[[], Connection]) -> Overlay:
    """The overlay that an option names.

    Raises:
        click.UsageError: There is none of this kind, or its file cannot be used.
    """
    kind, _, file = text.partition("=")
    if kind not in KINDS or bool(file) == (kind == "population"):
        raise click.UsageError(
            f"'{text}' is not an overlay. Write --overlay population, coverage=FILE, plan=FILE or path=FILE."
        )
    match kind:
        case "population":
            return _population(chart, connect())
        case "coverage":
            return _coverage(chart, Path(file))
        case "plan":
            return _plan(chart, Path(file))
        case _:
            return _path(chart, Path(file))


def _population(chart: Chart, connection: Connection) -> Overlay:
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.fleet import counts_of
    from durable_fsm.admin.inventory import ensure_known

    with Admin(connection.admin, connection.http()) as admin:
        ensure_known(admin, chart.name)
        found = counts_of(admin, chart.name)
    failed = Counter[str]()
    for group in found.groups:
        if group.status == "failed":
            failed.update(dict.fromkeys(group.configuration, group.machines))
    others = sum(found.population(chart)[id] for id in set(found.population()) - set(chart.states))
    versions = ", ".join(sorted(filter(None, found.by_version)))
    title = f"{found.machines:,} machines of {chart.name}"
    title += f", version {versions}" if versions else ""
    title += f"; {others:,} in states that this chart does not have" if others else ""
    title += f"; {found.as_of}"
    return population(chart, found.population(chart), failed=failed, title=title)


def _coverage(chart: Chart, file: Path) -> Overlay:
    """The file of explore --save or of pytest --fsm-coverage."""
    found = _read(file)
    charts = found.get("charts")
    record: object = charts.get(chart.name) if isinstance(charts, dict) else found
    if not isinstance(record, dict) or not isinstance(record.get("transitions"), dict):
        known = f" It has: {', '.join(cast('Mapping[str, object]', charts))}." if isinstance(charts, dict) else ""
        raise click.UsageError(f"'{file}' does not say which transitions of {chart.name} were taken.{known}")
    members = cast("dict[str, Any]", record)
    if members.get("chart", chart.name) != chart.name:
        raise click.UsageError(f"'{file}' is about {members['chart']}, not about {chart.name}.")
    if members.get("digest", chart.digest) != chart.digest:
        click.echo(f"{file}: {chart.name} has changed since this was written: write it again.", err=True)
    who = "Explored" if "edges" in members else "Taken by tests"
    states = {str(id): int(count) for id, count in members.get("states", {}).items()}
    return coverage(chart, {str(key): int(count) for key, count in members["transitions"].items()}, states, title=who)


def _plan(chart: Chart, file: Path) -> Overlay:
    """The verdicts of a plan: where machines will be under this chart, or where they are if they cannot continue."""
    plan = plan_in(file)
    build = build_of(plan, chart.name)
    kinds = [kind for kind in plan.kinds if kind.chart == chart.name]
    counts: dict[str, Counter[str]] = {}
    elsewhere = Counter[str]()
    for kind in kinds:
        for leaf in kind.becomes or kind.states:
            if leaf in chart.states:
                counts.setdefault(leaf, Counter())[kind.verdict.value] += kind.machines
            else:
                elsewhere[leaf] += kind.machines
    title = f"Plan of {chart.name} {build.version}, made {plan.head.made[:19].replace('T', ' ')}"
    if elsewhere:
        title += "; not on this diagram: " + ", ".join(
            f"{many:,} in {leaf}" for leaf, many in sorted(elsewhere.items())
        )
    return verdicts(counts, title=title)


def _path(chart: Chart, file: Path) -> Overlay:
    """The way of a story, played in memory."""
    from durable_fsm.cli.simulate import begun_session
    from durable_fsm.cli.story import read_story
    from durable_fsm.explore.story_lines import BadLine, beginning_of

    if not file.is_file():
        raise click.UsageError(f"There is no file '{file}'.")
    seen: list[dict[str, Any]] = []  # Any: JSON of a shape that simulate made
    lines = read_story(file)
    begins = bool(lines) and beginning_of(lines[0]) is not None
    session = begun_session(chart, lines[0] if begins else {"create": None}, seen.append)
    for number, line in enumerate(lines[1 if begins else 0 :], 2 if begins else 1):
        try:
            seen.append(session.follow(line))
        except (BadLine, LookupError) as error:
            raise click.UsageError(f"{file}, line {number}: {error.args[0]}") from error
    steps = [[key for microstep in state["trace"] for key in microstep["transitions"]] for state in seen[1:]]
    visited = [state["configuration"] for state in seen]
    return path(visited, steps, title=f"The story {file.name}: {len(steps)} steps")


def _read(file: Path) -> dict[str, Json]:
    try:
        found: Json = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise click.UsageError(f"'{file}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise click.UsageError(f"'{file}' is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise click.UsageError(f"'{file}' does not contain a JSON object.")
    return found
