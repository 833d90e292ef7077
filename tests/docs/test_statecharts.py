"""docs/statecharts.md: its tests pass, and every idea has its code, its picture and its test.

`DURABLE_FSM_WRITE_GOLDEN=1 pytest tests/docs/test_statecharts.py` writes the code of the page into docs/statecharts.py,
of which the pictures are drawn.
"""

from __future__ import annotations

import os
import re
from inspect import getmembers, isfunction
from pathlib import Path

import pytest

from docs import statecharts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "statecharts.md").read_text("utf-8")
CODE = ROOT / "docs" / "statecharts.py"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TESTS = {name: test for name, test in getmembers(statecharts, isfunction) if name.startswith("test_")}


@pytest.mark.parametrize("name", TESTS)
def test_a_test_of_the_page_passes(name: str) -> None:
    TESTS[name]()


def test_the_pictures_are_drawn_of_the_code_of_the_page() -> None:
    code = "\n\n".join(BLOCK.findall(PAGE))

    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        CODE.write_text(code, "utf-8")

    assert CODE.read_text("utf-8") == code


def test_every_idea_has_a_chart_its_picture_and_a_short_test() -> None:
    ideas = [section for section in PAGE.split("\n## ")[1:] if "```python" in section]

    assert len(ideas) == len(TESTS) == 8
    for idea in ideas:
        chart, test = BLOCK.findall(idea)
        [name] = re.findall(r"^class (\w+)\(StateChart", chart, re.MULTILINE)
        assert f"```fsm\ndocs/statecharts.py:{name}\n" in idea
        assert len(test.splitlines()) <= 9
