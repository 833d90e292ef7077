"""The application that a TARGET names, or the one that is meant without a TARGET."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click

from durable_fsm.cli.settings import project

HOSTS = re.compile(r"^(\w+)\s*(?::[^=]*)?=\s*(?:durable_fsm\.)?app\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class AppTarget:
    """The name of an application, and the directory in which it is searched."""

    target: str
    folder: Path


def find_app(target: str | None, here: Path | None = None) -> AppTarget:
    """Find the application that *target* names, or the default without one.

    Raises:
        click.UsageError: There is none, or more than one; the message says what to type.
    """
    here = here or Path.cwd()
    if target is not None and not Path(target).is_dir():
        place, colon, name = target.rpartition(":")
        if not colon and target.endswith(".py"):
            return AppTarget(_only(_hosted_in([Path(target)]), target), here)
        if not (place and name):
            raise click.UsageError(
                f"'{target}' does not name an application. Write 'module:app', 'file.py:app' or a directory."
            )
        return AppTarget(target, here)
    folder = here if target is None else Path(target).absolute()
    path, table = project(folder)
    if isinstance(table.get("app"), str):
        return AppTarget(table["app"], path.parent)
    return AppTarget(_only(_hosted_in(sorted(folder.glob("*.py"))), str(folder)), folder)


def _hosted_in(files: list[Path]) -> list[str]:
    return [
        f"{file}:{name}"
        for file in files
        if file.is_file()
        for name in HOSTS.findall(file.read_text("utf-8", "replace"))
    ]


def _only(found: list[str], place: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"'{place}' has more than one application. Name one: {', '.join(found)}")
    raise click.UsageError(
        f"'{place}' has no application: no line 'app = durable_fsm.app(…)'. Write one, name it ('module:app'), or start"
        " with durable-fsm new NAME."
    )
