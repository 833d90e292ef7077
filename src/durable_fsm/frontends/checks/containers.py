"""Which lists, dictionaries and sets a statement changes, read from its syntax."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator

MUTABLE = (list, dict, set, bytearray, deque)

_CHANGING = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "difference_update",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "intersection_update",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "rotate",
        "setdefault",
        "sort",
        "symmetric_difference_update",
        "update",
    ]
)


def containers_changed_by(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions whose values this node changes in place: `self.log` for `self.log.append(1)`, `self.log[0] = 1`."""
    match node:
        case ast.Call(func=ast.Attribute(value=container, attr=method)) if method in _CHANGING:
            yield container
        case ast.AugAssign(target=target):
            yield target.value if isinstance(target, ast.Subscript) else target
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from (one.value for one in targets if isinstance(one, ast.Subscript))
        case _:
            pass
