"""docs/architecture.md: every file and function on it exists, and an event goes the way that it describes."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

from benchmarks.path import paths

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "durable_fsm"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

FILE = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`")
NAMED = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.py)` \(`(\w+)`\)")
STOP = re.compile(r"^\| \d+ \| `([\w/.]+)` \| `(\w+)` \|", re.MULTILINE)


def names_in(file: str) -> set[str]:
    tree = ast.parse((SRC / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_file_and_folder_of_the_page_exists() -> None:
    named = sorted({*FILE.findall(PAGE)} - {"src/durable_fsm/"})

    assert len(named) > 30
    assert [name for name in named if not (SRC / name).exists()] == []


def test_every_function_of_the_page_is_in_its_file() -> None:
    named = {*NAMED.findall(PAGE), *STOP.findall(PAGE)}

    assert len(named) > 12
    assert [(file, name) for file, name in sorted(named) if name not in names_in(file)] == []


def test_an_event_goes_the_way_that_the_page_describes() -> None:
    stops = STOP.findall(PAGE)
    calls = iter([(file, function) for file, function, _ in paths()["second"].calls])

    assert len(stops) == 13
    for stop in stops:
        assert stop in calls, f"{stop} does not come after the stop before it"


def test_the_picture_shows_the_layers_of_the_import_contract() -> None:
    layers = runpy.run_path(str(ROOT / "docs" / "layers.py"))

    assert layers["PICTURE"].read_text(encoding="utf-8") == layers["picture"]()
