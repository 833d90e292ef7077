"""`durable-fsm diagram`: what it writes, where, and what it says when that is stale."""

from __future__ import annotations

import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.diagram import to_svg
from durable_fsm.frontends.locate import locate_chart

LAMP = f"{Path(__file__).parent / 'lamp.py'}:Lamp"
ROOT = Path(__file__).parents[2]


def diagram(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diagram", *arguments])


@pytest.mark.parametrize(
    ("format", "begins"),
    [
        ("svg", "<svg "),
        ("mermaid", "stateDiagram-v2\n"),
        ("plantuml", "@startuml\n"),
        ("dot", 'digraph "Lamp" {\n'),
        ("scxml", '<?xml version="1.0" encoding="UTF-8"?>\n<scxml '),
        ("xstate", '{\n  "id": "Lamp",\n'),
        ("md", "| state | event |"),
    ],
)
def test_texts_go_to_standard_output(format: str, begins: str) -> None:
    result = diagram(LAMP, "--format", format)

    assert (result.exit_code, result.stdout[: len(begins)]) == (0, begins)


def test_svg_is_the_default_format() -> None:
    assert diagram(LAMP).stdout.startswith("<svg ")


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("l.svg", b"<svg "),
        ("l.png", b"\x89PNG"),
        ("l.mmd", b"stateDiagram"),
        ("l.puml", b"@startuml"),
        ("l.dot", b"digraph"),
        ("l.gv", b"digraph"),
        ("l.scxml", b"<?xml"),
        ("l.json", b"{"),
        ("l.md", b"| "),
    ],
)
def test_the_suffix_of_the_file_says_the_format(tmp_path: Path, name: str, begins: bytes) -> None:
    path = tmp_path / "new" / name

    result = diagram(LAMP, "-o", str(path))

    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[-1] == f"wrote {path}"
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
    assert '<g id="shop-state-on"' in diagram(LAMP, "--id-prefix", "shop-").stdout


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


TWO_CHARTS = """
from statemachine import State, StateChart

class Child(StateChart):
    begin_of_child = State(initial=True)
    end_of_child = State(final=True)
    end = begin_of_child.to(end_of_child)

class Parent(StateChart):
    begin = State(initial=True)
    end = State(final=True)
    to_NAME = begin.to(end)
"""

DOOR = """
<scxml name="door" initial="shut">
  <state id="shut"><transition event="open" target="gone"/></state>
  <final id="gone"/>
</scxml>
"""


def test_one_table_may_draw_the_last_chart_of_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("hall", "kitchen"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "machine.py").write_text(TWO_CHARTS.replace("NAME", name))
    (tmp_path / "hall" / "door.scxml").write_text(DOOR)
    Path("pyproject.toml").write_text(
        '[tool.durable_fsm.diagrams.lamps]\ntarget = "*/machine.py"\noutput = "pictures/{name}.md"\n'
        '[tool.durable_fsm.diagrams.doors]\ntarget = "*/*.scxml"\noutput = "pictures/{name}.md"\n'
    )

    result = diagram()

    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["hall-door.md", "hall.md", "kitchen.md"]
    for name in ("hall", "kitchen"):
        table = Path("pictures", f"{name}.md").read_text()
        assert (f"to_{name}" in table, "child" in table) == (True, False)
    assert diagram("--check").exit_code == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[tool.durable_fsm.diagrams.x]\ntarget = '*/m.py'\noutput = 'c.svg'",
            "[tool.durable_fsm.diagrams.x] needs '{name}' in 'output': its target may match many files.",
        ),
        (
            "[tool.durable_fsm.diagrams.x]\ntarget = '*/m.py'\noutput = '{name}.svg'",
            "[tool.durable_fsm.diagrams.x] matches no file: '*/m.py'.",
        ),
        (None, "Name a target, or describe diagrams in [tool.durable_fsm.diagrams] of pyproject.toml."),
        ("", "Name a target, or describe diagrams in"),
        ("[", "pyproject.toml cannot be read: "),
        ("[tool.durable_fsm.diagrams.x]\ntarget = 'a:b'", "[tool.durable_fsm.diagrams.x] needs 'target' and 'output'."),
        (
            "[tool.durable_fsm.diagrams.x]\ntarget = 'a:b'\noutput = 'c.svg'\ncolour = 1",
            "[tool.durable_fsm.diagrams.x] has an unknown entry 'colour'.",
        ),
    ],
)
def test_a_table_without_diagrams_is_refused(
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
        ((LAMP, "-o", "lamp.gif"), "'lamp.gif' has no suffix of a known format: .svg, .png,"),
        ((LAMP, LAMP, "-o", "lamp.svg"), "One file contains one diagram"),
        ((LAMP, "--check"), "--check compares files: name one with -o"),
        (("nowhere:Lamp",), "'nowhere' cannot be imported"),
        ((LAMP, "--depth", "0"), "0 is not in the range"),
        (("missing.md",), "There is no file 'missing.md' to fill."),
        (("README.md", "--format", "svg"), "A Markdown file is updated in place: leave out -o and --format."),
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
    assert "left out: 'h' is a history state; Mermaid has none and draws a plain state." in result.stderr

    assert diagram(str(document), "--format", "mermaid", "--strict").exit_code == 1
    assert diagram(str(document), "--format", "dot", "--strict").exit_code == 0


# ── fresh and stale ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_that_another_graphviz_laid_out_is_fresh_as_long_as_it_shows_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lamp.svg"
    diagram(LAMP, "-o", str(path), "--theme", "auto")
    here = path.read_text()
    path.write_text(re.sub(r'(width|height|x|y)="(\d+)"', r'\1="\g<2>7"', here))

    assert path.read_text() != here
    assert diagram(LAMP, "-o", str(path), "--theme", "auto", "--check").exit_code == 0
    assert diagram(LAMP, "-o", str(path), "--theme", "dark", "--check").exit_code == 1
    assert diagram(LAMP, "-o", str(path), "--theme", "auto", "--active", "on", "--check").exit_code == 1


def test_a_png_drawn_with_other_fonts_is_fresh_as_long_as_it_shows_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lamp.png"
    diagram(LAMP, "-o", str(path))
    here = path.read_bytes()
    path.write_bytes(here[:-100] + bytes(100))

    assert diagram(LAMP, "-o", str(path), "--check").exit_code == 0
    assert diagram(LAMP, "-o", str(path), "--active", "on", "--check").exit_code == 1


def test_a_stale_picture_without_a_table_says_what_it_shows_no_more_and_what_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "lamp.svg"
    diagram(LAMP, "-o", str(path), "--theme", "auto")
    path.write_text(path.read_text().replace("press", "push").replace('data-model="sha256:', 'data-model="'))

    result = diagram(LAMP, "-o", str(path), "--theme", "auto", "--check")

    assert f"{path} is stale: run durable-fsm diagram {LAMP} -o {path} --theme auto\n" in result.stderr
    assert "\n-off → on: push / on_push\n" in result.stderr
    assert "\n+off → on: press / on_press\n" in result.stderr


def test_a_stale_picture_that_says_the_same_says_so(tmp_path: Path) -> None:
    path = tmp_path / "lamp.svg"
    diagram(LAMP, "-o", str(path))

    result = diagram(LAMP, "-o", str(path), "--theme", "dark", "--check")

    assert result.stderr.endswith("The content is the same; its look or an option has changed.\n")


def test_a_stale_file_whose_suffix_says_nothing_is_mended_with_its_format(tmp_path: Path) -> None:
    path = tmp_path / "lamp.txt"

    result = diagram(LAMP, "-o", str(path), "--format", "md", "--check")

    assert f"run durable-fsm diagram {LAMP} -o {path} --format md\n" in result.stderr


def test_a_stale_text_is_told_by_its_own_lines_if_the_table_beside_it_is_fresh(tmp_path: Path) -> None:
    for name in ("lamp.md", "lamp.mmd"):
        diagram(LAMP, "-o", str(tmp_path / name))
    path = tmp_path / "lamp.mmd"
    path.write_text(path.read_text().replace("press", "push"))

    assert "\n-    off --> on : push" in diagram(LAMP, "-o", str(path), "--check").stderr


# ── documents ─────────────────────────────────────────────────────────────────────────────────────────────────────────

DOCUMENT = f"""# Lamp

<!-- fsm: {LAMP} table -->
<!-- /fsm -->

```markdown
<!-- fsm: nowhere:Nothing table -->
```

<!-- fsm: {LAMP} mermaid -->
old
<!-- /fsm -->

<!-- fsm: {LAMP} svg -->
<!-- /fsm -->
The end.
"""


def test_blocks_of_a_document_are_filled_in_place(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(DOCUMENT)

    result = diagram(str(path))
    text = path.read_text()

    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, f"wrote {path}, 3 blocks")
    assert f"<!-- fsm: {LAMP} table -->\n\n| state | event |" in text
    assert f"<!-- fsm: {LAMP} mermaid -->\n```mermaid\nstateDiagram-v2\n" in text
    assert f"<!-- fsm: {LAMP} svg -->\n<svg " in text
    assert "```markdown\n<!-- fsm: nowhere:Nothing table -->\n```" in text
    assert text.startswith("# Lamp\n")
    assert text.endswith("</svg>\n<!-- /fsm -->\nThe end.\n")
    assert diagram(str(path)).stderr.splitlines()[-1] == f"kept {path}, 3 blocks"


def test_a_stale_block_is_told_with_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(DOCUMENT)
    diagram(str(path))
    assert diagram(str(path), "--check").exit_code == 0

    path.write_text(path.read_text().replace("| off | press |", "| off | push |"))
    result = diagram(str(path), "--check")

    assert result.exit_code == 1
    assert f"{path} is stale: run durable-fsm diagram {path}\n" in result.stderr
    assert "\n-| off | push |" in result.stderr
    assert "\n+| off | press |" in result.stderr


def test_a_block_whose_module_cannot_be_imported_is_for_its_author(tmp_path: Path) -> None:
    (tmp_path / "broken_of_page.py").write_text("1 / 0")
    path = tmp_path / "page.md"
    path.write_text(f"<!-- fsm: {tmp_path / 'broken_of_page.py'}:B table -->\n<!-- /fsm -->\n")

    result = diagram(str(path))

    assert result.exit_code == 3
    assert (
        f"{path}:1: '{tmp_path / 'broken_of_page.py'}' cannot be imported: ZeroDivisionError: division" in result.stderr
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!-- fsm: a:B table -->\n", "1: this block has no end; add <!-- /fsm --> below it."),
        ("\n<!-- /fsm -->\n", "2: <!-- /fsm --> closes nothing; remove it."),
        (
            "<!-- fsm: a:B -->\n<!-- /fsm -->\n",
            "1: a block names a target and a kind: <!-- fsm: module:Class table -->.",
        ),
        ("<!-- fsm: a:B picture -->\n<!-- /fsm -->\n", "1: unknown kind of block 'picture'; use table, mermaid, svg."),
        (
            "<!-- fsm: a:B svg -->\n<!-- fsm: a:B svg -->\n<!-- /fsm -->\n",
            "2: this block begins inside another; close the other with <!-- /fsm --> first.",
        ),
        ("\n\n<!-- fsm: nowhere:B table -->\n<!-- /fsm -->\n", "3: 'nowhere' cannot be imported: there is no module"),
    ],
)
def test_a_block_that_cannot_be_filled_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(text)

    result = diagram(str(path))

    assert result.exit_code == 2
    assert f"Error: {path}:{problem}" in result.stderr
    assert path.read_text() == text


def test_what_a_block_leaves_out_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- fsm: tests.diagram.study:Drone mermaid -->\n<!-- /fsm -->\n")

    result = diagram(str(path), "--strict")

    assert result.exit_code == 1
    assert (
        f"{path}:1: left out: 'h_air' is a history state; Mermaid has none and draws a plain state.\n" in result.stderr
    )


def test_a_block_that_nothing_can_lay_out_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"<!-- fsm: {LAMP} svg -->\n<!-- /fsm -->\n")
    monkeypatch.setattr("durable_fsm.diagram.layout.engine.program", lambda: "/nowhere/dot")

    result = diagram(str(path))

    assert result.exit_code == 1
    assert f"Error: {path}:1: /nowhere/dot cannot be run" in result.stderr


def test_pyproject_may_list_documents_beside_diagrams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text('[tool.durable_fsm.diagrams.readme]\ntarget = "README.md"\n')
    Path("README.md").write_text(DOCUMENT)

    assert diagram("--check").exit_code == 1
    assert diagram().exit_code == 0
    assert diagram("--check").exit_code == 0


# ── pre-commit ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_hook_for_pre_commit_fails_where_a_picture_is_stale_and_says_what_mends_it(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    entry = [str(Path(sysconfig.get_path("scripts")) / "durable-fsm"), *shlex.split(hook["entry"])[1:]]
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "lamp.py").write_text((Path(__file__).parent / "lamp.py").read_text())
    described = '[tool.durable_fsm.diagrams.lamp]\ntarget = "lamp.py:Lamp"\noutput = "lamp.svg"\ntheme = "auto"\n'
    (tmp_path / "pyproject.toml").write_text(described)

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("durable-fsm-diagrams", "python", False)
    assert shlex.split(hook["entry"])[0] == "durable-fsm"
    stale = run(entry)
    assert stale.returncode == 1
    assert "lamp.svg is stale: run durable-fsm diagram lamp.py:Lamp -o lamp.svg --theme auto\n" in stale.stderr
    assert run([entry[0], "diagram"]).returncode == 0
    assert run(entry).returncode == 0


def test_the_pictures_of_this_repository_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    result = diagram("--check")

    assert result.exit_code == 0, result.stderr
    assert Path("diagrams/order.svg").read_text() == to_svg(
        locate_chart("machines.order.machine:Order").chart, theme="auto"
    )
