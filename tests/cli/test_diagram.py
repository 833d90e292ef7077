"""`durable-fsm diagram`: what it writes, where, and what it says when that is stale."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main

LAMP = f"{Path(__file__).parent / 'lamp.py'}:Lamp"
ROOT = Path(__file__).parents[2]


def diagram(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diagram", *arguments])


@pytest.mark.parametrize(
    ("format", "begins"),
    [("svg", "<svg "), ("mermaid", "stateDiagram-v2\n"), ("plantuml", "@startuml\n"), ("md", "| state | event |")],
)
def test_texts_go_to_standard_output(format: str, begins: str) -> None:
    result = diagram(LAMP, "--format", format)

    assert (result.exit_code, result.stdout[: len(begins)]) == (0, begins)


def test_an_svg_is_what_comes_out_if_nothing_is_said() -> None:
    assert diagram(LAMP).stdout.startswith("<svg ")


@pytest.mark.parametrize(
    ("name", "begins"),
    [("l.svg", b"<svg "), ("l.png", b"\x89PNG"), ("l.mmd", b"stateDiagram"), ("l.puml", b"@startuml"), ("l.md", b"| ")],
)
def test_the_suffix_of_the_file_says_the_format(tmp_path: Path, name: str, begins: bytes) -> None:
    path = tmp_path / "new" / name

    result = diagram(LAMP, "-o", str(path))

    assert result.exit_code == 0, result.output
    assert result.stderr == f"wrote {path}\n"
    assert path.read_bytes().startswith(begins)


def test_pictures_may_be_folded_highlighted_themed_and_linked() -> None:
    plain = diagram(LAMP).stdout
    dark = diagram(LAMP, "--theme", "dark", "--active", "on", "--source-url", "https://x/{file}#L{line}").stdout

    assert ' is-active"' in dark
    assert ' is-active"' not in plain
    assert "https://x/" in dark
    assert "#0b1120" in dark
    assert diagram(LAMP, "--direction", "LR").stdout != plain
    assert diagram(LAMP, "--depth", "1").exit_code == 0


def test_a_stale_file_is_told_with_the_difference_of_its_table(tmp_path: Path) -> None:
    table, picture = tmp_path / "lamp.md", tmp_path / "lamp.svg"
    for path in (table, picture):
        diagram(LAMP, "-o", str(path))
        assert diagram(LAMP, "-o", str(path), "--check").exit_code == 0

    table.write_text(table.read_text().replace("| off | press |", "| off | push |"))
    result = diagram(LAMP, "-o", str(table), "--check")
    assert result.exit_code == 1
    assert f"{table} is stale: run durable-fsm diagram {LAMP} -o {table}" in result.stderr
    assert "\n-| off | push |" in result.stderr
    assert "\n+| off | press |" in result.stderr

    picture.write_text("<svg/>")
    result = diagram(LAMP, "-o", str(picture), "--check")
    assert result.exit_code == 1
    assert "\n+| off | press |" in result.stderr


def test_a_file_that_is_not_there_is_stale(tmp_path: Path) -> None:
    assert diagram(LAMP, "-o", str(tmp_path / "x.svg"), "--check").exit_code == 1


def test_pictures_may_be_described_in_pyproject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    described = f'[tool.durable_fsm.diagrams.lamp]\ntarget = "{LAMP}"\noutput = "lamp.svg"\ntheme = "vars"\n'
    Path("pyproject.toml").write_text(described)

    assert diagram("--check").exit_code == 1
    assert diagram().exit_code == 0
    assert diagram("--check").exit_code == 0
    assert "var(--fsm-" in Path("lamp.svg").read_text()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "Name a target, or describe pictures in [tool.durable_fsm.diagrams] of pyproject.toml."),
        ("", "Name a target, or describe pictures in"),
        ("[", "pyproject.toml cannot be read: "),
        ("[tool.durable_fsm.diagrams.x]\ntarget = 'a:b'", "[tool.durable_fsm.diagrams.x] needs 'target' and 'output'."),
        (
            "[tool.durable_fsm.diagrams.x]\ntarget = 'a:b'\noutput = 'c.svg'\ncolour = 1",
            "[tool.durable_fsm.diagrams.x] knows no 'colour'.",
        ),
    ],
)
def test_a_table_that_describes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("pyproject.toml").write_text(text)

    result = diagram()

    assert result.exit_code == 2
    assert problem in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((LAMP, "--active", "nowhere"), "has no state 'nowhere'. It has off, on"),
        ((LAMP, "-o", "lamp.gif"), "'lamp.gif' has no suffix that says a format: .svg, .png,"),
        ((LAMP, LAMP, "-o", "lamp.svg"), "One file holds one picture"),
        ((LAMP, "--check"), "--check compares files: name one with -o"),
        (("nowhere:Lamp",), "'nowhere' cannot be imported"),
        ((LAMP, "--depth", "0"), "0 is not in the range"),
    ],
)
def test_bad_input_is_told_and_ends_with_two(arguments: tuple[str, ...], problem: str) -> None:
    result = diagram(*arguments)

    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_theme_that_a_png_cannot_have_is_told(tmp_path: Path) -> None:
    result = diagram(LAMP, "-o", str(tmp_path / "x.png"), "--theme", "auto")

    assert result.exit_code == 1
    assert "use theme='light' or 'dark'" in result.stderr


def test_strict_fails_where_a_format_leaves_something_out(tmp_path: Path) -> None:
    document = tmp_path / "back.scxml"
    document.write_text(
        '<scxml name="back"><state id="a"><state id="b"/><history id="h"/></state>'
        '<state id="c"><transition event="go" target="h"/></state></scxml>'
    )
    result = diagram(str(document), "--format", "mermaid")
    assert result.exit_code == 0
    assert "left out: That 'h' is a history: Mermaid has none, and draws a state." in result.stderr

    assert diagram(str(document), "--format", "mermaid", "--strict").exit_code == 1


def test_the_pictures_of_this_repository_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    result = diagram("--check")

    assert result.exit_code == 0, result.stderr
