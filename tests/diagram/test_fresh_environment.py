"""A fresh environment with only pip draws SVG and PNG, without system packages and fonts."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import resvg_py

from durable_fsm.diagram import to_png, to_svg
from durable_fsm.diagram.layout.engine import OVERRIDE
from durable_fsm.diagram.png import png_of
from durable_fsm.frontends import chart_from
from machines.order.machine import Order

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]

DRAW = """
import shutil, sys
from functools import partial
import resvg_py
resvg_py.svg_to_bytes = partial(resvg_py.svg_to_bytes, skip_system_fonts=True)
from durable_fsm.diagram import to_png, to_svg
from durable_fsm.frontends import chart_from
from machines.order.machine import Order
assert shutil.which("dot") is None
assert sys.modules["durable_fsm"].__file__.startswith(sys.prefix)
open("order.svg", "w", encoding="utf-8").write(to_svg(chart_from(Order), theme="light"))
open("order.png", "wb").write(to_png(chart_from(Order)))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which pip installed durable_fsm[diagrams], and nothing else was put.

    pip reads its own settings, and takes the exact versions of constraints.txt.
    """
    folder = tmp_path_factory.mktemp("fresh")
    wheels, fresh = folder / "wheels", folder / "venv"
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.glob("durable_fsm-*.whl")
    venv.create(fresh, symlinks=True)
    made = fresh / "bin" / "python"
    pip(
        "--python",
        made,
        "install",
        "--no-compile",
        "--constraint",
        ROOT / "constraints.txt",
        f"durable-fsm[diagrams] @ {wheel.as_uri()}",
    )
    return made


def pip(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"pip needs network access, or what its settings name:\n{done.stderr[-2000:]}"


def pictures(python: Path) -> Path:
    """The folder with what it drew, where PATH holds nothing but the environment's own programs."""
    folder = python.parents[2]
    setting = {"PATH": str(python.parent), "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    done = subprocess.run(
        [python, "-c", DRAW], cwd=folder, env=setting, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.usefixtures("without_fonts_of_the_machine")
def test_a_fresh_environment_draws_the_same_svg_and_png_in_the_font_from_pip(python: Path) -> None:
    """One test, so that one worker makes the environment."""
    folder = pictures(python)
    drawn = (folder / "order.png").read_bytes()

    assert (folder / "order.svg").read_text("utf-8") == to_svg(chart_from(Order), theme="light")
    assert drawn == to_png(chart_from(Order))
    assert len(drawn) > 1.5 * len(without_text())


@pytest.fixture
def without_fonts_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    bare: Any = partial(resvg_py.svg_to_bytes, skip_system_fonts=True)  # Any: a stand-in with one answer changed
    monkeypatch.setattr(resvg_py, "svg_to_bytes", bare)
    monkeypatch.delenv(OVERRIDE, raising=False)


def without_text() -> bytes:
    """The same picture, had no letter been drawn."""
    return png_of(re.sub(r"<text\b.*?</text>", "", to_svg(chart_from(Order), theme="light")))
