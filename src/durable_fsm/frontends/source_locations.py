"""Where the names of a class body are written, for messages and for links in diagrams."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from functools import cache

from durable_fsm.core.values import Location


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
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    return dict(_classes(tree, ""))


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
