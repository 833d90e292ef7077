"""`durable-fsm new`: write a chart with its test, its service and its diagram into a directory."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import unicodedata
from importlib import resources
from pathlib import Path

import click

from durable_fsm.cli.dev_folder import DevFolder
from durable_fsm.cli.errors import USAGE, CommandError
from durable_fsm.cli.output import json_option, show
from durable_fsm.cli.ports import USUAL, chosen, tell_readme

FLAVOURS = {"python-statemachine": "statemachine", "transitions": "transitions"}
REQUIREMENTS = {"python-statemachine": "durable-fsm", "transitions": "durable-fsm[transitions]"}
TAKEN = frozenset(
    [
        "activitycontext",
        "basemodel",
        "field",
        "machine",
        "patience",
        "rehearsal",
        "seatrequest",
        "service",
        "state",
        "statechart",
        "transitionsconfig",
    ]
)
"""Names that the written files use themselves, without underscores."""


@click.command()
@click.argument("name")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@click.option(
    "--flavour",
    type=click.Choice(tuple(FLAVOURS)),
    default="python-statemachine",
    show_default=True,
    help="The library in which the chart is written.",
)
@json_option
def new(name: str, directory: Path | None, flavour: str, *, as_json: bool) -> None:
    """Write a chart called NAME into DIRECTORY, or into ./NAME.

    If NAME cannot name a class and a module, as 'insurance-claim', a name is made of it. The chart has one event with a payload, one activity and one timer. The directory also gets a test, the service that
    hosts the chart, its diagram (if the extra 'diagrams' is installed) and a README with the next three commands. No
    file is overwritten.
    """
    given, name = name, _usable(name)
    folder = directory or Path(name)
    words = {
        "name": name.replace("_", " "),
        "Name": _class_name(name),
        "requirement": REQUIREMENTS[flavour],
    }
    files = {
        path: _filled(template, words | ({"name": name} if path == "pyproject.toml" else {}))
        for path, template in {
            "machine.py": f"machine.{FLAVOURS[flavour]}",
            "service.py": "service",
            "test_machine.py": "test_machine",
            "README.md": "readme",
            "pyproject.toml": "pyproject",
            ".gitignore": "gitignore",
        }.items()
    }
    _refuse_overwriting(folder, [*files, "machine.svg"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            (folder / path).write_text(text, encoding="utf-8")
        _choose_ports(folder)
    except OSError as error:
        raise CommandError(f"'{folder}' cannot be written: {error.strerror}.", code=USAGE) from error
    missing = _what_is_missing(flavour)
    written = list(files)
    if not missing:
        written += _drawn(folder, words["Name"])
    if as_json:
        show({"directory": str(folder), "chart": words["Name"], "files": written}, as_json)
        return
    if name != given:
        click.echo(f"'{given}' cannot name a class and a module: it is {words['Name']} and {name} here.")
    click.echo(f"{words['Name']} is in {folder}/: {', '.join(written)}")
    if missing:
        click.echo(f"It needs {missing}: pip install '{REQUIREMENTS[flavour]}'")
    elif "machine.svg" not in written:
        click.echo("No diagram was drawn: pip install 'durable-fsm[diagrams]', then durable-fsm diagram.")
    click.echo(f"\n  cd {folder}\n  pytest\n  durable-fsm dev")


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


def _filled(template: str, words: dict[str, str]) -> str:
    text = resources.files("durable_fsm.cli").joinpath("templates", f"{template}.txt").read_text("utf-8")
    for word, value in words.items():
        text = text.replace(f"{{{{{word}}}}}", value)
    return text


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


def _what_is_missing(flavour: str) -> str:
    if flavour == "transitions" and importlib.util.find_spec("transitions") is None:
        return "transitions"
    return ""


def _drawn(folder: Path, name: str) -> list[str]:
    """Draw the diagram; return its name, or nothing if the extra is missing."""
    from durable_fsm.diagram import NoEngine
    from durable_fsm.diagram.files import content
    from durable_fsm.frontends.locate import locate_chart

    before = sys.modules.pop("machine", None), list(sys.path)
    try:
        picture, _ = content(locate_chart(f"{folder / 'machine.py'}:{name}").chart, "svg", theme="auto")
    except (NoEngine, ImportError):
        return []
    finally:
        sys.modules.pop("machine", None)
        if before[0] is not None:
            sys.modules["machine"] = before[0]
        sys.path[:] = before[1]
    (folder / "machine.svg").write_bytes(picture)
    return ["machine.svg"]
