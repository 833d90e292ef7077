"""Find where the author wrote something: for messages, for links in diagrams, and for checks that read the source."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TypeAlias

from durable_fsm.core.values import Location
from durable_fsm.frontends.syntax import parsed

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

DURABLE_FSM = str(Path(__file__).parents[1]) + os.sep
PYTHON = ("<", sysconfig.get_path("stdlib") + os.sep)
"""How the files of durable_fsm begin, and those of Python itself. Installed packages may lie below Python's."""

PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

Span: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""Where a piece of source begins and ends, each as line and column."""


def places_in(cls: type) -> dict[str, Location]:
    """Every name that the class, or a class around or inside it, binds: `paid`, `payment`, `checkout`."""
    found: dict[str, Location] = {}
    for base in cls.__mro__:
        for name, location in _bound_in(base):
            found.setdefault(name, location)
    return found


def place_of(cls: type) -> Location | None:
    """Where a class is written; None for one that is made by a call."""
    file, definition = _definition(cls)
    return Location(file, definition.lineno) if definition is not None else None


def source_of(code: CodeType) -> FunctionNode | None:
    """The syntax tree of a function.

    None where Python has no source: for code that was typed at a prompt, made by `exec`, or compiled from a file that
    has changed since.
    """
    found = [node for node in _functions_in(code.co_filename).get(code.co_firstlineno, ()) if _alike(node, code)]
    if len(found) < 2:
        return found[0] if found else None
    # several lambdas on one line: the one whose body holds all the code, and of lambdas in lambdas the inner one
    spans = list(_spans(code))
    bodies = {_span(node.body): node for node in found if isinstance(node, ast.Lambda)}
    holding = [body for body in bodies if spans and all(body[0] <= start and end <= body[1] for start, end in spans)]
    return bodies[max(holding)] if holding else None


def raised_at(error: BaseException) -> Location | None:
    """The line of the author's code at which an error was raised, or that called what raised it.

    If only installed packages were under way, the last line of theirs: the author's may be installed, too. None if all of
    it was Python and durable_fsm.
    """
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        return Location(error.filename, error.lineno)
    own, installed = lines_behind(error)
    return next(reversed(own or installed), None)


def lines_behind(error: BaseException) -> tuple[list[Location], list[Location]]:
    """The lines that an error went through: those of the author's own files, and those of installed packages."""
    steps = [Location(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [place for place in steps if not place.file.startswith(DURABLE_FSM)]
    installed = [place for place in places if any(folder in place.file for folder in PACKAGES)]
    return [place for place in places if place not in installed and not place.file.startswith(PYTHON)], installed


# ── classes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _definition(cls: type) -> tuple[str, ast.ClassDef | None]:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None or cls.__module__.partition(".")[0] in ("builtins", "statemachine", "typing"):
        return "", None
    return file, _classes_in(file).get(cls.__qualname__)


def _bound_in(cls: type) -> Iterator[tuple[str, Location]]:
    file, definition = _definition(cls)
    for node in ast.walk(definition) if definition is not None else ():
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, Location(file, node.lineno)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name, Location(file, node.lineno)
            case _:
                pass


@cache
def _classes_in(file: str) -> dict[str, ast.ClassDef]:
    """Every class statement of a file by the qualified name of what it makes."""
    tree = _tree_of(file)
    return dict(_classes(tree, "")) if tree is not None else {}


def _classes(node: ast.AST, path: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name):
                yield f"{path}{name}", child
                yield from _classes(child, f"{path}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from _classes(child, f"{path}{name}.<locals>.")
            case _:
                yield from _classes(child, path)


# ── functions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _functions_in(file: str) -> Mapping[int, Iterable[FunctionNode]]:
    """Every function of a file by the line on which Python says it begins: that of its first decorator, if any."""
    found: defaultdict[int, list[FunctionNode]] = defaultdict(list)
    tree = _tree_of(file)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Lambda):
            found[node.lineno].append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])].append(node)
    return dict(found)


def _alike(node: FunctionNode, code: CodeType) -> bool:
    """Whether this can be the source of the code; it is not if the file has changed since."""
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    return name == code.co_name and len([*node.args.posonlyargs, *node.args.args]) == code.co_argcount


def _spans(code: CodeType) -> Iterator[Span]:
    """Where the instructions of a code object come from; those that Python adds have no width."""
    for line, end_line, column, end_column in code.co_positions():
        if line is None or end_line is None or column is None or end_column is None:
            continue
        if (line, column) != (end_line, end_column):
            yield (line, column), (end_line, end_column)


def _span(node: ast.expr) -> Span:
    end_line, end_column = node.end_lineno, node.end_col_offset
    assert end_line is not None
    assert end_column is not None
    return (node.lineno, node.col_offset), (end_line, end_column)


@cache
def _tree_of(file: str) -> ast.Module | None:
    try:
        return parsed("".join(linecache.getlines(file)), "exec")
    except SyntaxError:
        return None
