"""The application or chart that a TARGET names for a command that serves, and the default without a TARGET."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from durable_fsm.cli.settings import project
from durable_fsm.core.chart import Chart
from durable_fsm.frontends import chart_from, documents
from durable_fsm.frontends.contents import charts_in

CHARTS = re.compile(
    r"^class (\w+)\([\w.]*(?:StateChart|StateMachine)\b|^(\w+)\s*(?::[^=]*)?=\s*(?:\w+\.)?TransitionsConfig\(",
    re.MULTILINE,
)
HOSTS = re.compile(r"^(\w+)\s*(?::[^=]*)?=\s*(?:durable_fsm\.)?app\(", re.MULTILINE)

trusted_option = click.option("--trusted", is_flag=True, help="Evaluate the expressions of a document as Python.")


@dataclass(frozen=True, slots=True)
class AppTarget:
    """The name of an application or a chart, and the directory in which it is searched."""

    target: str
    folder: Path

    @property
    def shown(self) -> str:
        """The target for a person: a file below the current directory is named from there."""
        return self.target.removeprefix(f"{Path.cwd()}{os.sep}")


def find_app(target: str | None, here: Path | None = None) -> AppTarget:
    """Find the application that *target* names, or the default without one.

    Raises:
        click.UsageError: There is none, or more than one; the message says what to type.
    """
    here = here or Path.cwd()
    if target is not None and not Path(target).is_dir():
        place, colon, name = target.rpartition(":")
        if not colon and target.endswith(".py"):
            if not Path(target).is_file():
                raise click.UsageError(f"There is no file '{target}'.")
            return AppTarget(_only(_served_in([Path(target)]), target), here)
        if not (place and name) and not documents.reads(target):
            raise click.UsageError(
                f"'{target}' does not name an application or a statechart. Write 'module:Name', 'file.py:Name' or a"
                " directory."
            )
        return AppTarget(target, here)
    folder = here if target is None else Path(target).absolute()
    path, table = project(folder)
    if isinstance(table.get("app"), str):
        return AppTarget(table["app"], path.parent)
    return AppTarget(_only(_served_in(sorted(folder.glob("*.py"))), str(folder)), folder)


def _served_in(files: list[Path]) -> list[str]:
    """The applications in these files; without one, their statecharts. Nothing is imported for that."""
    texts = {file: file.read_text("utf-8", "replace") for file in files if file.is_file()}
    applications = [f"{file}:{name}" for file, text in texts.items() for name in HOSTS.findall(text)]
    charts = [f"{file}:{one or other}" for file, text in texts.items() for one, other in CHARTS.findall(text)]
    return applications or charts


def _only(found: list[str], place: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"'{place}' has more than one application or chart. Name one: {', '.join(found)}")
    raise click.UsageError(
        f"'{place}' has no application (app = durable_fsm.app(…)) and no statechart. Name one ('module:Name'), or start with"
        " durable-fsm new NAME."
    )


def imports_of(charts: Iterable[Chart]) -> dict[str, tuple[str, str]]:
    """The module and the name of each chart that a loaded module defines, by the chart's name."""
    found: dict[str, tuple[str, str]] = {}
    files = {getattr(module, "__file__", None): module for module in [*sys.modules.values()]}
    for chart in charts:
        places = [state.location.file for state in chart.states.values() if state.location is not None]
        module = next((files[place] for place in places if place in files), None)
        for name in charts_in(module) if module is not None else ():
            if chart_from(getattr(module, name)).name == chart.name and module is not None:
                found[chart.name] = (module.__name__, name)
    return found
