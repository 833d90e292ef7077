"""`durable-fsm story`: a story in words, or as a test."""

from __future__ import annotations

from pathlib import Path

import click

from durable_fsm.cli.app_arg import trusted_option
from durable_fsm.cli.output import say
from durable_fsm.explore.proofs import proofs_of
from durable_fsm.explore.stories import test_of_story
from durable_fsm.explore.story_lines import BadLine, StoryLine, beginning_of, in_words, parsed, verb_of
from durable_fsm.frontends.locate import locate_chart


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pytest", "as_test", is_flag=True, help="Write it as a test on Rehearsal.")
@click.option("--chart", "target", metavar="TARGET", help="The chart; default: the one that the first line names.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the test to this file.")
@trusted_option
def story(file: Path, *, as_test: bool, target: str | None, output: Path | None, trusted: bool) -> None:
    """Print the story in FILE in words, or as a test.

    A story is a file of JSON objects, one a line, as `durable-fsm simulate` reads it and `durable-fsm explore` writes it.
    --pytest makes a test of it: each line becomes a call of Rehearsal, and each line that expects something an assertion.

    The test imports the chart that the first line names ("chart": "machines.order:Order"), or --chart.

    \b
    Examples:
      durable-fsm story o-17.story.jsonl
      durable-fsm story o-17.story.jsonl --pytest -o tests/test_o_17.py
    """
    lines = read_story(file)
    if not as_test:
        if output is not None:
            raise click.UsageError("-o belongs to --pytest.")
        for number, line in enumerate(lines, 1):
            say(f"{number:>4}  {in_words(line)}")
        return
    named = target or str(lines[0].get("chart", "")) if lines else target
    if not named:
        raise click.UsageError(f"'{file}' does not name its chart. Name it: --chart module:Name.")
    chart = locate_chart(named, trusted=trusted).chart
    text = test_of_story(file.name.partition(".")[0], lines, proofs_of(chart, named).imported)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"wrote {output}", err=True)


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
