"""Charts in notebooks, files and format strings."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from IPython.core.interactiveshell import InteractiveShell
from statemachine import State, StateChart

from durable_fsm import after, chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.diagram import to_svg
from durable_fsm.docs import show
from tests.building import chart, edge

SVG = "image/svg+xml"


class Door(StateChart):
    """A door."""

    closed = State(initial=True)
    open = State()
    gone = State(final=True)

    push = closed.to(open)
    close_itself = after(timedelta(seconds=5), open.to(closed))
    remove = open.to(gone)


def large() -> Chart:
    """A chart of 26 states in two."""
    states = [f"step{number}" for number in range(24)]
    text = "\n".join(["first", *(f"    {state}" for state in states), "last final"])
    return chart(text, edge("first", "end", "last"))


@pytest.fixture
def shell() -> InteractiveShell:
    """IPython, with our extension loaded as a notebook loads it."""
    made = InteractiveShell()
    made.run_line_magic("load_ext", "durable_fsm.docs")
    return made


def displayed(shell: InteractiveShell, value: object) -> dict[str, str]:
    """The outputs of a cell that ends in this value, by type."""
    formatter = shell.display_formatter
    assert formatter is not None
    data, _ = formatter.format(value)
    return data


# ── notebooks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drawing_is_displayed_without_any_extension() -> None:
    drawing = show(Door)

    data = displayed(InteractiveShell(), drawing)

    assert data[SVG] == drawing.svg == to_svg(chart_from(Door), theme="auto")
    assert data["text/plain"] == "<Drawing of Door, 3 states>"


def test_with_the_extension_a_class_and_its_chart_are_displayed(shell: InteractiveShell) -> None:
    assert displayed(shell, Door)[SVG] == show(Door).svg
    assert displayed(shell, chart_from(Door))[SVG] == show(Door).svg
    assert SVG not in displayed(shell, str)


def test_an_instance_is_displayed_with_its_active_states_and_only_once(
    shell: InteractiveShell,
) -> None:
    door = Door()
    door.send("push")

    data = displayed(shell, door)

    assert data[SVG] == to_svg(chart_from(Door), theme="auto", active=["open"])
    assert "text/html" not in data


def test_the_extension_can_be_unloaded(shell: InteractiveShell) -> None:
    shell.run_line_magic("unload_ext", "durable_fsm.docs")

    assert SVG not in displayed(shell, Door)


def test_more_than_25_states_are_folded_unless_a_depth_is_given() -> None:
    made = large()

    assert len(made.states) == 27
    assert show(made).svg == to_svg(made, theme="auto", depth=1)
    assert show(made, depth=2).svg == to_svg(made, theme="auto", depth=2)
    assert show(Door).svg == to_svg(chart_from(Door), theme="auto")


@pytest.mark.parametrize(
    ("name", "begins"),
    [("door.svg", b"<svg "), ("door.png", b"\x89PNG"), ("door.md", b"| state |"), ("door.mmd", b"stateDiagram-v2")],
)
def test_a_drawing_is_saved_in_the_format_of_its_suffix(tmp_path: Path, name: str, begins: bytes) -> None:
    path = show(Door).save(tmp_path / name)

    assert path.read_bytes().removeprefix(b"---\n").startswith(begins) or begins in path.read_bytes()[:400]


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"door\.bmp' has no suffix that says a format; use one of \.svg"):
        show(Door).save(tmp_path / "door.bmp")


# ── formatted strings ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_class_is_formatted_as_its_picture() -> None:
    assert f"{Door:fsm-svg}" == show(Door).svg


def test_an_instance_is_formatted_with_its_active_states() -> None:
    door = Door()
    door.send("push")

    assert lit(f"{door:fsm-svg}") == {"state-open"}


def test_without_the_extra_the_error_says_what_to_install() -> None:
    program = f"""
import sys
sys.modules["graphviz"] = None
{DOOR}
import durable_fsm.docs
try:
    format(Door, "fsm-svg")
except RuntimeError as error:
    print(error)
"""

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout == "drawing needs more packages. Run pip install 'durable-fsm[diagrams]'.\n"


DOOR = """
from statemachine import State, StateChart
class Door(StateChart):
    closed = State(initial=True)
    open = State(final=True)
    push = closed.to(open)
"""


def lit(svg: str) -> set[str]:
    groups = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return {item.get("id", "") for item in groups if "is-active" in item.get("class", "").split()}
