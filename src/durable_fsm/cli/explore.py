"""`durable-fsm explore`: make every move that a machine can make, and look for what must not happen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from durable_fsm.cli.app_arg import trusted_option
from durable_fsm.cli.errors import DIFFERS, INTERRUPTED, CommandError
from durable_fsm.cli.explore_from import begun
from durable_fsm.cli.machine_arg import DurationType
from durable_fsm.cli.output import json_option, say, show
from durable_fsm.cli.settings import Connection, connectable
from durable_fsm.core.chart import Chart
from durable_fsm.core.step import active_in
from durable_fsm.diagram import NoEngine, to_svg
from durable_fsm.diagram.overlay import path as path_overlay
from durable_fsm.errors import DefinitionError
from durable_fsm.explore.cover import cover
from durable_fsm.explore.domains import BadProofs
from durable_fsm.explore.moves import ANY_ORDER, IN_ORDER, Move
from durable_fsm.explore.parallel import shared_out
from durable_fsm.explore.proofs import Proofs, proofs_in, proofs_of
from durable_fsm.explore.report import Finding, Report, moves_in_words, walked
from durable_fsm.explore.report import explore as explored
from durable_fsm.explore.saved import space_to_json, to_itf
from durable_fsm.explore.search import Bounds
from durable_fsm.explore.stories import story, suite
from durable_fsm.explore.twin import TwinFailed, difference
from durable_fsm.frontends import chart_from
from durable_fsm.frontends.contents import contents_of
from durable_fsm.frontends.locate import locate, locate_module

WRITTEN = 5
"""Findings of one chart for which files are written."""


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option(
    "--k", type=click.IntRange(min=1), default=1, show_default=True, help="Count equal things up to this number."
)
@click.option("--depth", type=click.IntRange(min=1), metavar="MOVES", help="Follow no path that is longer.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End the search after this time.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=200_000,
    show_default=True,
    metavar="CONFIGURATIONS",
    help="End the search after this many.",
)
@click.option(
    "--timers",
    type=click.Choice((ANY_ORDER, IN_ORDER)),
    default=ANY_ORDER,
    show_default=True,
    help="How timers arrive.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Share the work between this many processes.",
)
@click.option(
    "--with-children",
    is_flag=True,
    help="Also explore the child machines; without it, each ends in some way at some time.",
)
@click.option(
    "--second-process",
    is_flag=True,
    help="Also play the paths of --suite in another process, under another hash seed, and compare the machines.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("explored"),
    show_default=True,
    help="Write counterexamples into this folder: a test, a story and a picture of each.",
)
@click.option(
    "--suite",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write tests that follow paths through the chart.",
)
@click.option(
    "--cover",
    "goal",
    type=click.Choice(("transitions",)),
    default="transitions",
    show_default=True,
    help="The goal of the tests of --suite.",
)
@click.option(
    "--from",
    "begins",
    metavar="KEY|FILE",
    help="Begin where this machine is now, or where the machines of an export are.",
)
@click.option(
    "--clock",
    type=DurationType(),
    multiple=True,
    help="Also move the clock by this much before a move; may be given several times.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write all configurations and all moves between them, as JSON.",
)
@click.option(
    "--itf",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the first counterexample in the Informal Trace Format.",
)
@click.option(
    "--on-server",
    is_flag=True,
    help="Also play each counterexample on a real server, which is started for it and ended afterwards.",
)
@click.option("--kills", is_flag=True, help="With --on-server: kill the service after each move.")
@connectable
@json_option
@trusted_option
def explore(
    targets: tuple[str, ...],
    *,
    k: int,
    depth: int | None,
    seconds: float | None,
    most: int,
    timers: str,
    processes: int,
    with_children: bool,
    second_process: bool,
    output: Path,
    suite: Path | None,
    goal: str,
    begins: str | None,
    clock: tuple[timedelta, ...],
    save: Path | None,
    itf: Path | None,
    on_server: bool,
    kills: bool,
    connect: Callable[[], Connection],
    as_json: bool,
    trusted: bool,
) -> None:
    """Find bugs: explore every state that machines can reach.

    TARGET is a proofs file, 'proofs/order.py', which names a chart, its domains and its properties; or a chart or an
    application, 'module:Name' or 'file.py:Name', or the path of an .scxml, .json or .yaml document. In the search each
    public event is sent, timers arrive, and work ends in every possible way. Without properties it still finds machines
    that are stuck or loop without a pause, deferred events that are never processed, transitions that never fire, and
    code that raises.

    --from explores what is still possible: for the machine with this KEY, whose snapshot is read from the server, or for
    the machines of a FILE that `durable-fsm export` wrote.

    Exits with 1 if something was found, or if the search did not see everything.

    \b
    Examples:
      durable-fsm explore shop.orders:Order
      durable-fsm explore proofs/order.py --from o-17
    """
    del goal  # there is one so far
    if kills and not on_server:
        raise click.UsageError("--kills belongs to --on-server.")
    bounds = Bounds(k=k, depth=depth, seconds=seconds, most=most, timers=timers, with_children=with_children)
    try:
        everything = [one for target in targets for one in _proofs_of(target, trusted=trusted)]
        for name, given in (("suite", suite), ("space", save), ("trace", itf), ("machine to begin with", begins)):
            if given is not None and len(everything) > 1:
                what = f"One file contains one {name}" if given is not begins else f"A {name} has one chart"
                raise click.UsageError(f"{what}: name one chart, not {len(everything)}.")
        if suite is not None and begins is not None:
            raise click.UsageError("A suite creates its machines: leave out --from or --suite.")
        if with_children and begins is not None:
            raise click.UsageError(
                "A snapshot does not contain the machines inside: leave out --from or --with-children."
            )
        if clock:
            everything = [replace(one, clock=clock) for one in everything]
        starts: list[Move] = []
        if begins is not None:
            everything[0], starts = begun(everything[0], begins, connect)
        reports = [_explored(proofs, bounds, processes, starts) for proofs in everything]
    except BadProofs as error:
        raise CommandError(str(error), code=error.code) from error
    for report in reports if second_process else ():
        _compare(report, trusted=trusted)
    told = [_told(report, output, suite, as_json=as_json) for report in reports]
    if on_server:
        for report, found in zip(reports, told, strict=True):
            _replay(report, found, trusted=trusted, kills=kills, as_json=as_json)
    _write_json(reports[0], save, itf)
    if as_json:
        show(told, as_json)
    if any(report.graph.end == "interrupted" for report in reports):
        sys.exit(INTERRUPTED)
    if not all(report.holds for report in reports):
        sys.exit(DIFFERS)


def _proofs_of(target: str, *, trusted: bool) -> Iterator[Proofs]:
    path = Path(target)
    if path.suffix == ".py":
        yield proofs_in(locate_module(path), path)
        return
    found = locate(target, trusted=trusted)
    if not found.charts:
        raise click.UsageError(f"'{target}' is an application without statecharts; name one: 'module:Name'.")
    for chart in found.charts:
        yield proofs_of(chart, _name_of(chart, target) if found.application is not None else target)


def _name_of(chart: Chart, application: str) -> str:
    """The target of one chart of an application, if its module names it; else that of the application."""
    place = application.rpartition(":")[0]
    module = locate_module(Path(place)) if place.endswith(".py") else import_module(place)
    for name, kind in contents_of(module).items():
        with suppress(DefinitionError):  # of a chart that the application does not host
            if kind not in ("application", "class") and chart_from(getattr(module, name)).name == chart.name:
                return f"{place}:{name}"
    return application


def _explored(proofs: Proofs, bounds: Bounds, processes: int, starts: Sequence[Move]) -> Report:
    with shared_out(proofs, bounds, processes) as many:
        return explored(proofs, bounds, many=many, starts=starts)


def _replay(report: Report, found: dict[str, Any], *, trusted: bool, kills: bool, as_json: bool) -> None:
    """Play the counterexamples of a chart on a real server, and say where they end."""
    from durable_fsm.testing.replaying import Replayed, Stage, unplayable

    chart, target = report.proofs.chart, report.proofs.target
    findings = [(place, one) for place, one in enumerate(report.findings[:WRITTEN]) if one.path]
    results = {place: why for place, one in findings if (why := unplayable(chart, one.path, kills=kills))}
    ended = {place: Replayed(same=None, words=f"it cannot be played: {why}") for place, why in results.items()}
    playable = [(place, one) for place, one in findings if place not in results]
    if playable:
        with Stage.of(chart, target, trusted=trusted, kills=kills) as stage:
            for place, one in playable:
                positions, _ = walked(chart, one.path)
                ended[place] = stage.play(f"replay-{place}", one.path, positions)
    for place, one in findings:
        same, words = ended[place]
        found["findings"][place]["on_server"] = {"same": same, "words": words}
        if not as_json:
            say(f"  on server {one.name}: {words}")


def _write_json(report: Report, save: Path | None, itf: Path | None) -> None:
    """Write the files for other programs."""
    if save is not None:
        save.write_text(f"{json.dumps(space_to_json(report), ensure_ascii=False)}\n", encoding="utf-8")
        click.echo(f"wrote {save}", err=True)
    if itf is not None:
        finding = next((one for one in report.findings if one.path), None)
        if finding is None:
            click.echo(f"{itf} was not written: there is no counterexample.", err=True)
        else:
            itf.write_text(f"{json.dumps(to_itf(report, finding), ensure_ascii=False, indent=1)}\n", encoding="utf-8")
            click.echo(f"wrote {itf}", err=True)


def _compare(report: Report, *, trusted: bool) -> None:
    """Add a finding if a path leads elsewhere in another process."""
    paths = [path for path, _ in cover(report).paths]
    try:
        place = difference(
            report.proofs.chart,
            report.proofs.target,
            paths,
            trusted=trusted,
            with_children=report.bounds.with_children,
        )
    except TwinFailed as error:
        raise CommandError(f"the second process failed: {error}", code=DIFFERS) from error
    if place is not None:
        words = "another process comes to another machine. The order of a set may decide: sort it first."
        report.findings.append(Finding("its code decides the same in another process", "differs", paths[place], words))


def _told(report: Report, output: Path, suite: Path | None, *, as_json: bool) -> dict[str, Any]:  # Any: JSON
    """Print a report, and write the files of its findings."""
    lines = report.lines()
    if not as_json:
        for line in lines:
            say(line)
    found = report.to_json()
    for place, finding in enumerate(report.findings[:WRITTEN]):
        if finding.path:
            files = _written(report, finding, output)
            found["findings"][place]["files"] = files
            if not as_json:
                say(f"  written   {', '.join(files)}")
                if report.proofs.target:
                    story_file = next(name for name in files if name.endswith(".jsonl"))
                    say(f"  again     durable-fsm simulate {report.proofs.target} --events {story_file}")
    if suite is not None:
        found["suite"] = _suite(report, suite, as_json=as_json)
    return found


def _written(report: Report, finding: Finding, output: Path) -> list[str]:
    """Write a counterexample as a test, a story and a picture."""
    output.mkdir(parents=True, exist_ok=True)
    name = f"{report.proofs.chart.name.lower()}_{finding.slug}"
    files = {
        f"test_{name}.py": report.test_of(finding).source(),
        f"{name}.story.jsonl": story(finding.path, report.proofs.target),
    }
    chart = report.proofs.chart
    positions, steps = walked(chart, finding.path, with_children=report.bounds.with_children)
    active = positions[-1].snapshot.configuration if positions else ()
    visited = [active_in(chart, at.snapshot) for at in positions]
    shown = path_overlay(visited, steps[1:], title=f"{finding.name}: {moves_in_words(len(finding.path) - 1)}")
    try:
        files[f"{name}.svg"] = to_svg(
            chart, active=active, taken=[key for step in steps for key in step], overlay=shown
        )
    except NoEngine as error:
        click.echo(f"Without a picture: {error}", err=True)
    for file, text in files.items():
        (output / file).write_text(text, encoding="utf-8")
    return [str(output / file) for file in files]


def _suite(report: Report, file: Path, *, as_json: bool) -> dict[str, Any]:  # Any: JSON
    found = cover(report)
    file.write_text(suite(report.proofs, found.paths, found.refused), encoding="utf-8")
    total = len(report.proofs.chart.transitions)
    lengths = [len(path) - 1 for path, _ in found.paths]
    if not as_json:
        paths = "1 path covers" if len(lengths) == 1 else f"{len(lengths)} paths cover"
        more = f"; {len(found.refused)} more tests send an event that is refused" if found.refused else ""
        say(
            f"  suite     {file}: {paths} {len(found.transitions)}/{total} transitions (lengths {', '.join(map(str, lengths))}){more}"
        )
    return {"file": str(file), "paths": lengths, "covered": len(found.transitions), "refused": len(found.refused)}
