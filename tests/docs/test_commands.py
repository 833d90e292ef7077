"""Every command, option and file that a page names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from durable_fsm.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / "machines" / "README.md", *sorted((ROOT / "machines").glob("*/README.md"))]
WRITTEN = sorted((ROOT / "src" / "durable_fsm" / "cli" / "templates").glob("*/README.md"))
"""Pages that `durable-fsm new` writes; the files that they link are beside them only then."""
FENCE = re.compile(r"^```(?:sh|console)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands_of(page: Path) -> list[list[str]]:
    """The words of every line of a page that calls us."""
    found: list[list[str]] = []
    for block in FENCE.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True) if "durable-fsm " in line else []
            while words and "=" in words[0]:
                words.pop(0)
            if words and words[0] == "durable-fsm":
                found.append(words[1:])
    return found


NAMED = [(page, words) for page in (*PAGES, *WRITTEN) for words in commands_of(page)]


def test_some_pages_contain_commands() -> None:
    assert len(NAMED) > 40
    assert len({words[0] for _, words in NAMED} & COMMANDS.keys()) > 15


def test_every_command_in_a_page_exists() -> None:
    wrong: list[str] = []
    for page, (name, *arguments) in NAMED:
        if name.startswith("-") or name == "COMMAND":
            continue
        command = main.get_command(click.Context(main), name)
        if command is None:
            wrong.append(f"{page.name}: there is no {name}")
            continue
        known = [flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)]
        options = [word.partition("=")[0] for word in arguments if word.startswith("-") and not word[1:].isdecimal()]
        wrong += [
            f"{page.name}: {name} has no {option}" for option in options if option not in (*known, "--help", "-h")
        ]

    assert wrong == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if ROOT / "docs" not in page.parents], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_of_a_page_outside_the_site_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} is not there"
