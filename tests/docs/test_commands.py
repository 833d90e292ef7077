"""Every command, option and file that a page names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from durable_fsm.cli import COMMANDS, main
from tests.docs.test_glossary import headings

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


APPLICATIONS = [page for page in PAGES if ROOT / "machines" in page.parents]


def code_of(page: Path) -> str:
    """The shell commands of a page."""
    return "\n".join(FENCE.findall(page.read_text("utf-8")))


def test_every_module_and_application_that_a_page_of_an_application_runs_exists() -> None:
    named = {
        (page.parent.name, module)
        for page in APPLICATIONS
        for module in re.findall(r"(?:python -m|hypercorn|durable-fsm kafka) ([\w.]+)", code_of(page))
    }
    folders = {
        folder for page in APPLICATIONS for folder in re.findall(r"durable-fsm dev (machines/\w+)", code_of(page))
    }

    assert len(named) > 15
    assert len(folders) > 15
    assert [one for one in sorted(named) if not (ROOT / f"{one[1].replace('.', '/')}.py").exists()] == []
    assert [folder for folder in sorted(folders) if not (ROOT / folder / "service.py").exists()] == []


def test_every_target_of_make_and_every_variable_that_an_application_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "machines").rglob("*.py"), ROOT / "Makefile"]
    read = "".join(path.read_text("utf-8") for path in sources)
    texts = [page.read_text("utf-8") for page in APPLICATIONS]

    made = {target for text in texts for target in re.findall(r"\bmake ([a-z][a-z-]*)", " ".join(code_of_text(text)))}
    variables = {name for text in texts for name in re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)\b", text)}

    assert {"demo", "demo-kafka", "food", "images", "chat"} <= made <= targets
    assert len(variables) > 15
    assert [name for name in sorted(variables) if name not in read] == []


def code_of_text(text: str) -> list[str]:
    """The commands of a page, in blocks and in its sentences."""
    return [*FENCE.findall(text), *re.findall(r"`(make [^`]+)`", text)]


def test_every_link_of_an_application_to_a_heading_of_our_pages_finds_it() -> None:
    links = {
        (page.parent.name, target, anchor)
        for page in APPLICATIONS
        for target, anchor in re.findall(r"\]\(\.\./\.\./docs/([\w/-]+\.md)#([\w-]+)\)", page.read_text("utf-8"))
    }

    assert len(links) > 25
    broken = [one for one in sorted(links) if one[2] not in headings((ROOT / "docs" / one[1]).read_text("utf-8"))]
    assert broken == []
