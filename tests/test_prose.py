"""Our texts are plain English: none of the habits that make a reader decode a sentence.

Pages, docstrings, comments, messages and the help of every command are searched, room by room.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from durable_fsm.cli import COMMANDS, main
from tests.prose import Text, of_command, of_file, of_markdown, of_python, of_settings, sentences

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "durable_fsm"
TEMPLATES = SOURCE / "cli" / "templates"  # files that `new` fills in; a test reads what it writes

HABITS = {
    "name the one who acts: the caller, the sender, you": re.compile(
        r"\b([Ww]hoever|[Ss]omebody|[Nn]obody|[Aa]nybody)\b"
    ),
    "say 'is not a …'": re.compile(
        r"(?<![Tt]here )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|later\b|earlier\b|different\b|better\b)[\w'`]"
    ),
    "do not begin with a clause: say who does it": re.compile(r"^(?:What|Who|Whatever) (?!.*[?][\"')]*$)"),
    "say 'is', 'lists' or 'contains' instead of 'stands'": re.compile(r"\b[Ss]tands?\b(?!-| in for\b)"),
    "say 'arrived', 'is' or 'is missing'": re.compile(r"\b(?:has|have|had) (?:come|gone)\b"),
    "say 'continued', 'passed on' or 'drains'": re.compile(
        r"\b(?:taken up|takes? up(?! to)|took up|hand(?:s|ed)? on|com(?:es?|ing) to rest|came to rest|at rest)\b"
    ),
    "say 'continues'": re.compile(r"\b(?:[Gg]oes|[Gg]o|[Ww]ent) on\b(?! (?:to|hold)\b)"),
    "say 'learns', 'gets an error' or 'is distinguished'": re.compile(r"\b(?:is|are|was|were|be|been|being) told\b"),
    "say 'fixes' or 'repairs'": re.compile(r"\b[Mm]end(?:s|ed|ing)?\b"),
    "say 'again'": re.compile(r"\banew\b"),
    "say what the result is": re.compile(r"\bc(?:omes?|ame) of (?:it|that|them|this|each|what)\b"),
    "a transition is taken; an event is accepted, processed, handled or received": re.compile(
        r"\b(?:[Nn]othing|[Nn]o transition|[Nn]o state) takes\b"
        r"|\b[Tt]akes? (?:(?:the|an?|no|this|its|any|each|every|more) )?(?:event|message|record|outcome|failure)s?\b"
        r"|\b(?:event|message|record|outcome)s? (?:that )?(?:is|are|was|were|has been|have been|can(?:not)? be|may be)"
        r" (?:not |never )?taken\b"
    ),
}
"""What to do instead, and what it is found by; each is matched against one sentence."""

ALLOWED: dict[str, str] = {}
"""Sentences that have one of these words for a good reason, and the reason."""


def rooms() -> dict[str, list[Path]]:
    """The files whose texts are read, by room; every package and module of the source is a room of its own."""
    found = {name: [ROOT / name] for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
    found["tools"] = [
        ROOT / name for name in ("Makefile", "pyproject.toml", "mkdocs.yml", "conftest.py", "hatch_build.py")
    ]
    for name in ("docs", "machines", "deploy", "benchmarks", "changes", "release", ".github"):
        found[name] = [path for path in (ROOT / name).rglob("*") if path.suffix in (".md", ".py", ".yaml", ".yml")]
    for path in SOURCE.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            found[f"src/{path.name}"] = [one for one in path.rglob("*.py") if not one.is_relative_to(TEMPLATES)]
        elif path.suffix == ".py":
            found[f"src/{path.stem}"] = [path]
    return found


ROOMS = rooms()


def faults(texts: Iterator[Text], place: str) -> list[str]:
    """Every sentence with a habit: where it is, the sentence, and what to do."""
    return [
        f"{place}:{text.line}: {sentence}  ({advice})"
        for text in texts
        for sentence in sentences(text.words)
        for advice, habit in HABITS.items()
        if habit.search(sentence) and sentence not in ALLOWED
    ]


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_text_is_plain_english(room: str) -> None:
    found = [fault for path in sorted(ROOMS[room]) for fault in faults(of_file(path), str(path.relative_to(ROOT)))]

    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_is_plain_english(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None

    found = faults(of_command(command), f"durable-fsm {name}")

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "sentence",
    [
        "Nobody takes it.",
        "It answers whoever asks.",
        "It is no JSON.",
        "`x` is no state.",
        "What is parked is in the snapshot.",
        "Who comes later waits.",
        "Whatever is sent is answered.",
        "The reason stands in the log.",
        "Its event has come.",
        "The timer had gone.",
        "The service comes to rest.",
        "It is taken up by the next process.",
        "The id is handed on.",
        "The machine goes on.",
        "The sender is told why.",
        "The timer starts anew.",
        "The next build mends it.",
        "A list of what came of it.",
        "Ignore an event that nothing takes.",
        "The machine takes the event.",
        "An event that is not taken.",
    ],
)
def test_a_habit_is_found(sentence: str) -> None:
    assert len(faults(of_markdown(sentence), "page")) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no file 'missing.md'.",
        "The machine is no longer there.",
        "It may take up to a minute.",
        "A stand-in for a standalone bank; fakes stand in for it.",
        "What is parked?",
        "The order goes on hold, and that takes an hour.",
        "The transition is taken.",
        "Say what is parked, and who did it.",
        "`nobody` and ```What stands```.",
        "The body is at the end.",
    ],
)
def test_ordinary_english_is_left_alone(sentence: str) -> None:
    assert faults(of_markdown(sentence), "page") == []


def test_a_page_is_read_by_paragraph_item_and_cell() -> None:
    page = """# What a heading says

One sentence
over two lines.
- An item
  that goes on.
- Another [link](x.md).

| a cell | **What** is here |

```sh
nobody reads this
```
    nor this, whoever looks
"""

    assert [(text.line, sentences(text.words)) for text in of_markdown(page)] == [
        (1, ["# What a heading says"]),
        (3, ["One sentence over two lines."]),
        (5, ["An item that goes on."]),
        (7, ["Another link."]),
        (9, ["a cell"]),
        (9, ["What is here"]),
    ]


def test_settings_are_read_by_comment() -> None:
    makefile = """# One comment.
all: it ## do it
\techo '#1'
"""

    assert list(of_settings(makefile)) == [Text(1, "One comment."), Text(2, "do it")]


def test_a_module_is_read_by_docstring_string_and_comment() -> None:
    module = '''"""What it is."""
# A comment
# over two lines.
x = 1  # at the end
y = f"{x} is no number of {x!r}"
'''

    assert list(of_python(module)) == [
        Text(1, "What it is."),
        Text(5, "{…} is no number of {…}"),
        Text(2, "A comment over two lines."),
        Text(4, "at the end"),
    ]
