"""Syntax trees, although Python 3.11 may fail when two threads parse at once."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from durable_fsm.frontends.syntax import parsed


def test_a_text_is_parsed_again_when_another_thread_has_disturbed_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    parse, told = ast.parse, ["AST constructor recursion depth mismatch (before=90, after=65)"]

    def disturbed(*given: Any, **options: Any) -> ast.AST:
        if told:
            raise SystemError(told.pop())
        return parse(*given, **options)

    monkeypatch.setattr(ast, "parse", disturbed)

    assert ast.dump(parsed("1 + x", "eval")) == ast.dump(parse("1 + x", mode="eval"))
    with pytest.raises(SyntaxError):
        parsed("1 +", "exec")
