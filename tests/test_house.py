"""The source is easy to find one's way in: no import cycles, one name for one thing, and no long files."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
TEMPLATES = SOURCE / "durable_fsm" / "cli" / "templates"  # files that `new` fills in; they are not Python before
LINES = 500


SAME_NAME_ON_PURPOSE: dict[str, str] = {}
"""Names that two modules have for a good reason, and the reason."""


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> Iterator[Path]:
    return (path for path in SOURCE.rglob("*.py") if not path.is_relative_to(TEMPLATES))


@cache  # not while tests are collected, which each process of a run does
def modules() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text("utf-8")) for path in sources()}


def imports_of(tree: ast.Module, package: str) -> Iterator[str]:
    """The modules that a module imports anywhere: at the top, in a function, or for its types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in modules() else module


def graph() -> dict[str, set[str]]:
    packages = {name_of(path): path.name == "__init__.py" for path in sources()}
    return {
        name: {
            imported
            for imported in imports_of(tree, name if packages[name] else name.rpartition(".")[0])
            if imported in modules() and imported != name
        }
        for name, tree in modules().items()
    }


def a_cycle_in(found: Mapping[str, set[str]]) -> list[str]:
    """One cycle of imports, its first module twice; empty if there is none."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert a_cycle_in({name: imported - {name} for name, imported in graph().items()}) == []


def test_a_cycle_is_found() -> None:
    assert a_cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) in (["b", "c", "b"], ["c", "b", "c"])


def test_no_two_modules_have_a_class_or_type_of_the_same_name() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for name, tree in modules().items():
        for node in tree.body:
            match node:
                case ast.ClassDef(name=defined):
                    homes[defined].append(name)
                case ast.AnnAssign(target=ast.Name(id=defined), annotation=kind) if "TypeAlias" in ast.unparse(kind):
                    homes[defined].append(name)

    twice = {name: places for name, places in homes.items() if len(places) > 1}

    assert {name: twice[name] for name in twice.keys() - SAME_NAME_ON_PURPOSE.keys()} == {}
    assert SAME_NAME_ON_PURPOSE.keys() <= twice.keys()


@pytest.mark.parametrize("room", ["src", "tests", "benchmarks", "machines", "deploy", "release"])
def test_no_file_is_longer_than_a_reader_can_follow(room: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in (ROOT / room).rglob("*.py")
    }

    assert {name: lines for name, lines in lengths.items() if lines > LINES} == {}
