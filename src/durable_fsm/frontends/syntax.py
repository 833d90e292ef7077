"""Python's syntax trees, for several threads at once."""

from __future__ import annotations

import ast
import threading
from typing import Literal, overload

_ONE_AT_A_TIME = threading.Lock()


@overload
def parsed(text: str, mode: Literal["eval"]) -> ast.Expression: ...


@overload
def parsed(text: str, mode: Literal["exec"]) -> ast.Module: ...


def parsed(text: str, mode: Literal["eval", "exec"]) -> ast.AST:
    """Call `ast.parse`.

    In Python 3.11 two threads that parse at once share a counter, and one may fail with `SystemError: AST constructor
    recursion depth mismatch`: https://github.com/python/cpython/issues/106905. Other people's code may parse, too.

    Raises:
        SyntaxError, ValueError: the text is not Python.
    """
    with _ONE_AT_A_TIME:
        try:
            return ast.parse(text, mode=mode)
        except SystemError:
            return ast.parse(text, mode=mode)
