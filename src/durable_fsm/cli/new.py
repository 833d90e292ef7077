"""`durable-fsm new`: write a chart with its test, its service, its diagram and its hosting into a directory."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import unicodedata
from pathlib import Path

import click

from durable_fsm.cli.dev_folder import DevFolder
from durable_fsm.cli.errors import USAGE, CommandError
from durable_fsm.cli.output import json_option, show
from durable_fsm.cli.ports import USUAL, chosen, tell_readme
from durable_fsm.cli.project import (
    FLAVOURS,
    REQUIREMENTS,
    TEMPLATES,
    Flavour,
    NoSuchTemplate,
    Template,
    files_of,
    template_called,
    words_of,
)

TAKEN = frozenset(
    [
        "activitycontext",
        "basemodel",
        "durablefsm",
        "failure",
        "field",
        "greeting",
        "httpx",
        "ids",
        "invalidpayload",
        "machine",
        "patience",
        "rehearsal",
        "seatrequest",
        "service",
        "state",
        "statechart",
        "terminalerror",
        "transitionsconfig",
    ]
)
"""Names that the written files use themselves, and packages that they need, without underscores."""

_PURPOSES = "\n".join(f"  {name:12}  {template.purpose}" for name, template in TEMPLATES.items())
HELP = f"""Write a chart called NAME into DIRECTORY, or into ./NAME.

If NAME cannot name a class and a module, as 'insurance-claim', a name is made of it. No file is overwritten.

The chart has one event with a payload, one activity and one timer. The directory also gets a test, the service that
hosts the chart, its diagram (if the extra 'diagrams' is installed) and a README with the next three commands.

A TEMPLATE also has the files to deploy its project. Its chart is a flow that calls a service, waits, and calls it again.
Choose the template by the place where the service will run:

\b
{_PURPOSES}
"""


@click.command(help=HELP)
@click.argument("name")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@click.option("--template", "template_name", metavar="TEMPLATE", help="Where it will run; see above.")
@click.option(
    "--flavour",
    type=click.Choice(FLAVOURS),
    default="python-statemachine",
    show_default=True,
    help="The library in which the chart is written.",
)
@json_option
def new(name: str, directory: Path | None, template_name: str | None, flavour: Flavour, *, as_json: bool) -> None:
    given, name = name, _usable(name)
    try:
        template = template_called(template_name, flavour)
    except NoSuchTemplate as error:
        raise click.UsageError(str(error)) from error
    folder, chart = directory or Path(name), _class_name(name)
    files = files_of(template, flavour, words_of(name, chart, flavour))
    _refuse_overwriting(folder, [*files, template.picture])
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        _choose_ports(folder)
    except OSError as error:
        raise CommandError(f"'{folder}' cannot be written: {error.strerror}.", code=USAGE) from error
    missing = _what_is_missing(flavour)
    written = list(files)
    if not missing:
        written += _drawn(folder, template, chart)
    if as_json:
        show({"directory": str(folder), "chart": chart, "files": written}, as_json)
        return
    if name != given:
        click.echo(f"'{given}' cannot name a class and a module: it is {chart} and {name} here.")
    click.echo(f"{chart} is in {folder}/: {', '.join(written)}")
    if missing:
        click.echo(f"It needs {missing}: pip install '{REQUIREMENTS[flavour]}'")
    elif template.picture not in written:
        target = "" if "pyproject.toml" in files else f" {template.chart}:{chart} -o {template.picture}"
        click.echo(f"No diagram was drawn: pip install 'durable-fsm[diagrams]', then durable-fsm diagram{target}.")
    click.echo("".join(f"\n  {command}" for command in (f"cd {folder}", *template.start)))


def _usable(name: str) -> str:
    """Return *name*, or one like it that can name a class and its module."""
    if "/" in name:
        raise click.UsageError(f"'{name}' has a slash. Give the directory apart: durable-fsm new NAME DIRECTORY")
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    usable = re.sub(r"\W+", "_", plain).strip("_")
    if not usable:
        raise click.UsageError(f"'{name}' cannot name a class. Use letters, as in: durable-fsm new order")
    if usable[0].isdigit() or keyword.iskeyword(usable) or usable.replace("_", "").lower() in TAKEN:
        return f"my_{usable}".lower()
    return usable if usable == name else usable.lower()


def _class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _refuse_overwriting(folder: Path, names: list[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise click.UsageError(f"'{folder}' is a file. Name another directory: durable-fsm new NAME DIRECTORY")
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise click.UsageError(
            f"'{folder}' already contains {', '.join(there)}, and nothing is overwritten."
            " Name another directory: durable-fsm new NAME DIRECTORY"
        )


def _choose_ports(folder: Path) -> None:
    """Choose the ports that dev will use if they are still free, and write them into the README."""
    ports = {name: chosen(name, None) for name in USUAL}
    DevFolder(folder).remember(ports=ports)
    tell_readme(folder, ports)


def _what_is_missing(flavour: Flavour) -> str:
    if flavour == "transitions" and importlib.util.find_spec("transitions") is None:
        return "transitions"
    return ""


def _drawn(folder: Path, template: Template, chart: str) -> list[str]:
    """Draw the diagram; return its name, or nothing if the extra is missing."""
    from durable_fsm.diagram import NoEngine
    from durable_fsm.diagram.files import content
    from durable_fsm.frontends.locate import locate_chart

    own = {module.stem for module in folder.glob("*.py")}
    before, path = {name: sys.modules.pop(name) for name in own & sys.modules.keys()}, list(sys.path)
    try:
        picture, _ = content(locate_chart(f"{folder / template.chart}:{chart}").chart, "svg", theme="auto")
    except (NoEngine, ImportError):
        return []
    finally:
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(before)
        sys.path[:] = path
    (folder / template.picture).write_bytes(picture)
    return [template.picture]
