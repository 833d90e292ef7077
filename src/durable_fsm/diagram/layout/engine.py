"""Find and run Graphviz, and read where it placed things.

Graphviz only computes the layout; `svg.py` writes the picture. `graphviz-pure` comes with
`pip install durable-fsm[diagrams]`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from durable_fsm.diagram.layout.geometry import Point

OVERRIDE = "DURABLE_FSM_DOT"


class NoEngine(RuntimeError):
    """No layout program is installed, or it failed."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The centres of nodes by name and the curves of edges by `id`, in points; y points down."""

    nodes: dict[str, Point]
    curves: dict[str, tuple[Point, ...]]


@cache
def program() -> str:
    """The layout program: the one that DURABLE_FSM_DOT names, graphviz-pure of this environment, or `dot` on PATH.

    Raises:
        NoEngine: none was found.
    """
    named = os.environ.get(OVERRIDE)
    if named:
        return named
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("graphviz-pure", path=scripts) or shutil.which("graphviz-pure") or shutil.which("dot")
    if found is None:
        raise NoEngine(
            "drawing needs a layout program, and none was found."
            " Run pip install graphviz-pure, or name one in DURABLE_FSM_DOT. Text exports need none."
        )
    return found


def run(source: str) -> Placement:
    """Have Graphviz lay out a graph that is written in its language.

    Raises:
        NoEngine: no layout program was found, or it failed.
    """
    command = [program(), "-Kdot", "-Tjson"] if Path(program()).name.startswith("dot") else [program(), "-Tjson"]
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, check=False)
    except OSError as error:
        raise NoEngine(f"{command[0]} cannot be run: {error.strerror}. Correct {OVERRIDE}, or remove it.") from error
    if done.returncode != 0 or not done.stdout:
        raise NoEngine(f"{command[0]} could not lay out the graph: {done.stderr.decode(errors='replace').strip()}")
    laid: Any = json.loads(done.stdout)  # Any: Graphviz's own JSON
    height = float(str(laid["bb"]).split(",")[3])
    nodes = {str(node["name"]): _flipped(node["pos"], height) for node in laid.get("objects", ()) if "pos" in node}
    curves = {
        str(edge["id"]): tuple(_flipped(point, height) for point in str(edge["pos"]).split())
        for edge in laid.get("edges", ())
        if "id" in edge and "pos" in edge
    }
    return Placement(nodes, curves)


def _flipped(position: str, height: float) -> Point:
    x, y = position.split(",")
    return float(x), height - float(y)
