"""`durable-fsm story`: a story of a file, or that of a machine of a server; in words, as a file, or as a test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from durable_fsm.cli.app_arg import find_app, imports_of, trusted_option
from durable_fsm.cli.errors import DIFFERS, CommandError, exit_code_of
from durable_fsm.cli.machine_arg import MachineRef
from durable_fsm.cli.output import say
from durable_fsm.cli.settings import Connection, connectable
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical
from durable_fsm.errors import DefinitionError, Gone, MachineError, NotStarted, SnapshotUnreadable, locate, quoted
from durable_fsm.explore.proofs import Imported, proofs_of
from durable_fsm.explore.stories import test_of_story
from durable_fsm.explore.story_lines import BadLine, StoryLine, beginning_of, in_words, parsed, verb_of
from durable_fsm.frontends.locate import AuthorFailed, TargetNotFound, locate_chart, locate_charts

if TYPE_CHECKING:
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.recorded_stories import Story

STDOUT = Path("-")


@click.command()
@click.argument("source", metavar="FILE|CHART/KEY")
@click.option("--pytest", "as_test", is_flag=True, help="Write it as a test on Rehearsal.")
@click.option(
    "--upto", type=click.IntRange(min=1), metavar="N", help="Only the first N steps of the machine's history."
)
@click.option("--chart", "target", metavar="TARGET", help="The chart that the test imports, if the default is another.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the test, or the story of a machine, to this file; - is standard output.",
)
@connectable
@trusted_option
def story(
    source: str,
    connect: Callable[[], Connection],
    *,
    as_test: bool,
    upto: int | None,
    target: str | None,
    output: Path | None,
    trusted: bool,
) -> None:
    """Print a story in words, or as a test.

    A story is a file of JSON objects, one a line, as `durable-fsm simulate` reads it and `durable-fsm explore` writes it.
    With CHART/KEY, it is what a machine of the server did, from its recorded history; no service needs to run. --pytest
    makes a test of it: each line becomes a call of Rehearsal, and each line that expects something an assertion.

    The test imports the chart that the first line names ("chart": "machines.order:Order"), that of the application here, or
    --chart.

    Exits with 1 if the story of a machine ends before a step that a rehearsal cannot do, such as a repair.

    \b
    Examples:
      durable-fsm story o-17.story.jsonl
      durable-fsm story Order/o-17
      durable-fsm story Order/o-17 --pytest -o tests/test_o_17.py
    """
    ref = _machine(source)
    if ref is not None:
        _of_machine(ref, connect(), as_test=as_test, upto=upto, target=target, output=output, trusted=trusted)
        return
    if upto is not None:
        raise click.UsageError("--upto belongs to CHART/KEY.")
    _of_file(Path(source), as_test=as_test, target=target, output=output, trusted=trusted)


def _machine(source: str) -> MachineRef | None:
    """The machine that the argument names; None if it names a file.

    Raises:
        click.UsageError: It names neither.
    """
    path = Path(source)
    if path.is_file():
        return None
    if path.suffix in (".json", ".jsonl"):
        raise click.UsageError(f"There is no file '{source}'.")
    chart, _, key = source.partition("/")
    if not chart or not key:
        raise click.UsageError(
            f"'{source}' is not a file, and does not name a machine. Write CHART/KEY, as in Order/o-17."
        )
    return MachineRef(chart, key)


# ── a file ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_file(file: Path, *, as_test: bool, target: str | None, output: Path | None, trusted: bool) -> None:
    lines = read_story(file)
    if not as_test:
        if output is not None:
            raise click.UsageError("-o belongs to --pytest.")
        _say(lines)
        return
    named = target or str(lines[0].get("chart", "")) if lines else target
    if not named:
        raise click.UsageError(f"'{file}' does not name its chart. Name it: --chart module:Name.")
    chart = locate_chart(named, trusted=trusted).chart
    _write(test_of_story(file.name.partition(".")[0], lines, proofs_of(chart, named).imported), output)


def read_story(file: Path) -> list[StoryLine]:
    """The lines of a story, checked.

    Raises:
        click.UsageError: One cannot be followed.
    """
    found: list[StoryLine] = []
    for number, text in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = parsed(text)
            if found or beginning_of(line) is None:
                verb_of(line)
        except BadLine as error:
            raise click.UsageError(f"{file}, line {number}: {error}") from error
        found.append(line)
    return found


def _say(lines: list[StoryLine]) -> None:
    for number, line in enumerate(lines, 1):
        say(f"{number:>4}  {in_words(line)}")


def _write(text: str, output: Path | None) -> None:
    if output is None or output == STDOUT:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"'{output}' cannot be written: {error.strerror}.") from error
    click.echo(f"wrote {output}", err=True)


# ── a machine ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_machine(
    ref: MachineRef,
    connection: Connection,
    *,
    as_test: bool,
    upto: int | None,
    target: str | None,
    output: Path | None,
    trusted: bool,
) -> None:
    from durable_fsm.admin.client import Admin

    own = None if target is None else locate_chart(target, name=ref.chart, trusted=trusted).chart
    with Admin(connection.admin, connection.http()) as admin:
        told = partial(_story_of, admin, ref, own)
        found = told(upto)
        problem = found.problem
        if found.reach is not None:
            found = told(found.reach)
    if found.problem:
        raise CommandError(_about(ref, found.problem), code=exit_code_of(MachineError), kind="NoStory")
    if as_test:
        _write(found.as_test(ref.chart, ref.key, imported_for(ref.chart, target, own)), output)
    elif output is None:
        _say([*found.lines])
    else:
        first, *lines = found.lines
        named: StoryLine = {} if target is None else {"chart": target}
        _write("".join(f"{canonical(line)}\n" for line in [{**first, **named}, *lines]), output)
    for hint in found.hints:
        say(f"To do: {hint}", err=True)
    if problem:
        what = problem.partition(". ")[0].removesuffix(".")
        say(_about(ref, f"{what}. The story ends before it."), err=True)
        sys.exit(DIFFERS)


def _about(ref: MachineRef, problem: str) -> str:
    return f"{ref}: {problem[:1].lower()}{problem[1:]}"


def _story_of(admin: Admin, ref: MachineRef, own: Chart | None, upto: int | None) -> Story:
    """Read what a machine did, up to a step.

    Args:
        own: the chart, if the caller has its code.

    Raises:
        UnknownChart: The server has no such chart.
        MachineError: There is no such machine, or it cannot be read.
    """
    from durable_fsm.admin.charts import deployed_charts
    from durable_fsm.admin.fleet import similar_keys
    from durable_fsm.admin.histories import entries_of, pages_at
    from durable_fsm.admin.inventory import ensure_known, stored_in, texts_at
    from durable_fsm.admin.past import past_of
    from durable_fsm.admin.recorded_stories import story_of

    ensure_known(admin, ref.chart)
    texts = dict(texts_at(admin, ref.chart, [ref.key]))
    with locate(ref.key):
        if ref.key not in texts:
            near = similar_keys(admin, ref.chart, ref.key)
            remedy = f"Did you mean {quoted(near)}?" if near else f"`durable-fsm list {ref.chart}` lists them."
            raise NotStarted(chart=ref.chart, remedy=remedy)
        stored, unreadable = stored_in(ref.chart, texts[ref.key])
        if unreadable is not None:
            raise SnapshotUnreadable(chart=ref.chart, problem=unreadable)
        if stored is None:
            raise Gone(chart=ref.chart)
    carried = [one.chart for one in deployed_charts(admin, ref.chart)]
    charts = [one for one in (own, *carried) if one is not None]

    def of(version: str) -> Chart | None:
        return next((one for one in charts if one.version == version), None)

    chart = of(stored.version) or next(iter(charts), None)
    entries = entries_of(partial(pages_at, admin, ref.chart), ref.key, stored, 1)
    past = past_of(entries, stored.configuration, chart, of)
    last = past[-1].n if past else 0
    if upto is not None and upto > last:
        raise click.UsageError(f"--upto {upto}: {ref} has made {last} steps.")
    return story_of(past, chart, ref.key, status=stored.status.value, upto=upto)


def imported_for(name: str, target: str | None, own: Chart | None) -> Imported | None:
    """Where a test finds a chart: as --chart says, or in the application here; None if that is not known."""
    if own is None:
        try:
            app = find_app(None)
            if str(app.folder) not in sys.path:
                sys.path.insert(0, str(app.folder))
            charts = locate_charts(app.target)
        except (click.UsageError, TargetNotFound, AuthorFailed, DefinitionError):
            return None  # the text says so
        own = next((chart for chart in charts if chart.name == name), None)
    if own is None:
        return None
    found = imports_of([own]).get(name)
    if target is not None and (found is None or target.endswith(f":{found[1]}")):
        return proofs_of(own, target).imported
    return None if found is None else Imported(*found)
