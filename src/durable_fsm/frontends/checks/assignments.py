"""Find assignments to attributes of `self` in the source of a callback. A class with a data type keeps none of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType

from durable_fsm.core.values import Location
from durable_fsm.frontends.source_locations import source_of


def assigned(function: object) -> Iterator[tuple[str, Location]]:
    """The attributes of its first argument that a method assigns, each with its place; none without source."""
    node = source_of(function.__code__) if isinstance(function, FunctionType) else None
    if node is None or isinstance(node, ast.Lambda) or not node.args.args:
        return
    assert isinstance(function, FunctionType)
    own = node.args.args[0].arg
    for found in ast.walk(node):
        match found:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute, ctx=ast.Store()) if name == own:
                yield attribute, Location(function.__code__.co_filename, found.lineno)
            case _:
                pass
