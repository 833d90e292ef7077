"""`assert_diagram_fresh`: a test that a picture shows its chart as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.frontends import chart_from
from durable_fsm.testing import assert_diagram_fresh
from machines.order.machine import Order

ROOT = Path(__file__).parents[2]
TARGET = "machines.order.machine:Order"


def write(path: Path, *options: str) -> None:
    result = CliRunner().invoke(main, ["diagram", TARGET, "-o", str(path), *options])
    assert result.exit_code == 0, result.output


@pytest.mark.long
def test_what_the_command_writes_is_fresh(tmp_path: Path) -> None:
    for name in ("o.svg", "o.png", "o.md", "o.mmd", "o.puml", "o.dot", "o.scxml", "o.json"):
        write(tmp_path / name)
        assert_diagram_fresh(Order, tmp_path / name)

    write(tmp_path / "o.svg", "--theme", "auto", "--depth", "1", "--active", "payment", "--id-prefix", "x-")
    assert_diagram_fresh(Order, tmp_path / "o.svg", theme="auto", depth=1, active=["payment"], id_prefix="x-")


def test_a_stale_table_fails_with_the_difference_and_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "order.md"
    write(path)
    path.write_text(path.read_text().replace("| cart | checkout |", "| cart | buy |"))

    with pytest.raises(AssertionError) as failure:
        assert_diagram_fresh(Order, path)

    lines = str(failure.value).splitlines()
    assert lines[0] == f"{path} is stale: run durable-fsm diagram {TARGET} -o {path}"
    assert "-| cart | buy | has_items | on_checkout | payment |" in lines
    assert "+| cart | checkout | has_items | on_checkout | payment |" in lines


def test_the_difference_of_a_picture_is_that_of_the_table_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "order.md")
    table = (tmp_path / "order.md").read_text()
    (tmp_path / "order.md").write_text(table.replace("| cart | checkout |", "| cart | buy |"))
    (tmp_path / "order.svg").write_text("<svg/>")

    with pytest.raises(AssertionError, match=re.escape("\n+| cart | checkout | has_items |")):
        assert_diagram_fresh(Order, tmp_path / "order.svg")


def test_the_command_names_options_that_are_not_the_usual_ones(tmp_path: Path) -> None:
    path = tmp_path / "order.svg"

    with pytest.raises(AssertionError) as failure:
        assert_diagram_fresh(Order, path, theme="auto", depth=1, active=["cart", "paid"], id_prefix="x-")

    stale, why = str(failure.value).splitlines()
    command = (
        f"durable-fsm diagram {TARGET} -o {path} --theme auto --depth 1 --active cart --active paid --id-prefix x-"
    )
    assert stale == f"{path} is stale: run {command}"
    assert why == "The file does not exist."


def test_a_chart_that_was_made_by_hand_has_a_name_and_no_module(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="run durable-fsm diagram MODULE:Order -o"):
        assert_diagram_fresh(chart_from(Order), tmp_path / "order.md")


def test_a_document_is_a_target_by_its_path(tmp_path: Path) -> None:
    document = tmp_path / "order.scxml"
    write(document)

    with pytest.raises(AssertionError, match=f"run durable-fsm diagram {document} -o"):
        assert_diagram_fresh(document, tmp_path / "order.svg")


def test_a_suffix_that_says_no_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'order.gif' has no suffix that says a format; use one of .svg, .png,"):
        assert_diagram_fresh(Order, "order.gif")


def test_the_pictures_of_this_repository_are_fresh() -> None:
    assert_diagram_fresh(Order, ROOT / "diagrams" / "order.svg", theme="auto")
    assert_diagram_fresh(Order, ROOT / "diagrams" / "order.md")


def test_asking_for_the_tools_of_tests_loads_nothing_that_draws() -> None:
    code = "import sys, durable_fsm.testing; sys.exit('durable_fsm.diagram.svg' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
