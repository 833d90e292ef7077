"""The layout program: where it is found, and the errors if it is missing or fails."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_fsm.diagram import NoEngine, to_svg
from durable_fsm.diagram.layout.engine import OVERRIDE, program, run
from tests.building import chart

GRAPH = 'digraph { node [shape=box]; edge [arrowhead=none]; a -> b [id="e"] }'


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    program.cache_clear()
    yield
    program.cache_clear()


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_graphviz_pure_of_this_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)
    executable(tmp_path / "dot", "")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert Path(program()).name == "graphviz-pure"


def test_dot_on_the_path_is_used_without_graphviz_pure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "nothing"))
    dot = executable(tmp_path / "dot", "")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert program() == str(dot)


def test_the_program_named_in_the_environment_comes_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "/opt/graphviz/bin/dot")

    assert program() == "/opt/graphviz/bin/dot"


def test_without_any_program_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoEngine, match="pip install graphviz-pure, or name one in DURABLE_FSM_DOT"):
        to_svg(chart("only"))


def test_without_the_package_that_writes_dot_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphviz", None)

    with pytest.raises(NoEngine, match=r"pip install 'durable-fsm\[diagrams\]'"):
        to_svg(chart("only"))


def test_the_error_names_a_program_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "/nowhere/dot")

    with pytest.raises(NoEngine, match="/nowhere/dot"):
        run(GRAPH)


def test_the_error_quotes_a_program_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = executable(tmp_path / "dot", "import sys; sys.exit('triangulation failed')")
    monkeypatch.setenv(OVERRIDE, str(broken))

    with pytest.raises(NoEngine, match="could not lay out the graph: triangulation failed"):
        run(GRAPH)


def test_positions_are_returned_with_y_pointing_down() -> None:
    placement = run(GRAPH)

    assert placement.nodes["a"][1] < placement.nodes["b"][1]
    assert len(placement.curves["e"]) >= 4
