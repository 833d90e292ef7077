"""The texts of this repository, sentence by sentence: pages, docstrings, comments, strings of the code, and help."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click


class Text(NamedTuple):
    """A paragraph, and the line where it begins."""

    line: int
    words: str


ITEM = re.compile(r"[-*>] |\d+[.] ")
MARKUP = [
    (re.compile(r"<!--.*?-->"), ""),
    (re.compile(r"`[^`]*`"), "`…`"),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"[*]"), ""),
]
END = re.compile(r"(?<=[.!?:;])[\"')]?\s+")
PLACEHOLDER = "{…}"
COMMENT = re.compile(r"(?:^|\s)#+ (.*)$")


def sentences(text: str) -> list[str]:
    """Split a paragraph at full stops, colons and semicolons; code becomes `…`, links become their text.

    >>> sentences("Run **it**: see [the page](x.md). `What` is code.")
    ['Run it:', 'see the page.', '`…` is code.']
    """
    for pattern, instead in MARKUP:
        text = pattern.sub(instead, text)
    return [sentence for sentence in END.split(text.strip()) if sentence]


def of_markdown(source: str) -> Iterator[Text]:
    """The headings (with their signs), paragraphs, list items and table cells of a page; no code."""
    paragraph: list[str] = []
    first, fenced = 0, False
    for number, line in enumerate([*source.splitlines(), ""], 1):
        bare = line.strip()
        if bare.startswith("```"):
            fenced = not fenced
        code = fenced or bare.startswith("```") or (line.startswith("    ") and not paragraph)
        apart = code or not bare or bare.startswith(("#", "|")) or ITEM.match(bare) is not None
        if apart and paragraph:
            yield Text(first, " ".join(paragraph))
            paragraph = []
        if code or not bare:
            continue
        if bare.startswith("#"):
            yield Text(number, bare)
            continue
        if bare.startswith("|"):
            yield from (Text(number, cell) for cell in bare.strip("|").split(" | "))
            continue
        if not paragraph:
            first = number
        paragraph.append(ITEM.sub("", bare, count=1) if ITEM.match(bare) else bare)


def of_python(source: str) -> Iterator[Text]:
    """The docstrings, other strings and comments of a module."""
    yield from _strings(ast.parse(source))
    yield from _comments(source)


def _strings(tree: ast.Module) -> Iterator[Text]:
    parts: set[ast.AST] = set()  # of f-strings, which are read as a whole
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            words = node.value
        else:
            continue
        for found in of_markdown(_dedented(words)):
            yield Text(node.lineno + found.line - 1, found.words)


def _dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def _comments(source: str) -> Iterator[Text]:
    """Comments on lines of their own are read as one paragraph if they follow each other."""
    lines = source.splitlines()
    block: list[str] = []
    first = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        number, column = token.start
        alone = not lines[number - 1][:column].strip()
        if block and not (alone and number == first + len(block)):
            yield Text(first, " ".join(block))
            block = []
        words = token.string.lstrip("#: ").rstrip()
        if not alone:
            yield Text(number, words)
            continue
        first = first if block else number
        block.append(words)
    if block:
        yield Text(first, " ".join(block))


def of_command(command: click.Command) -> Iterator[Text]:
    """What `--help` says of a command and its options."""
    texts = [command.help, command.epilog, command.short_help]
    texts += [parameter.help for parameter in command.params if isinstance(parameter, click.Option)]
    for text in texts:
        yield from of_markdown(_dedented((text or "").replace("\b", "")))


def of_settings(source: str) -> Iterator[Text]:
    """The comments of a Makefile, a TOML or a YAML file."""
    for number, line in enumerate(source.splitlines(), 1):
        if comment := COMMENT.search(line):
            yield Text(number, comment[1])


def of_file(path: Path) -> Iterator[Text]:
    source = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            return of_python(source)
        case ".md":
            return of_markdown(source)
        case _:
            return of_settings(source)
