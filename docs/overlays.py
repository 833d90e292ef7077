"""The pictures of overlays in docs/diagrams.md: `.venv/bin/python docs/overlays.py` writes docs/pictures/overlay-*.svg.

The population and the plan are invented; the coverage is that of the sign-up's own explorer, and the path is one of its paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from durable_fsm import chart_from
from durable_fsm.core.step import active_in
from durable_fsm.diagram.overlay import Overlay, coverage, path, population, verdicts
from durable_fsm.diagram.svg import to_svg
from durable_fsm.explore.proofs import proofs_in
from durable_fsm.explore.report import explore, walked
from durable_fsm.explore.search import Bounds
from durable_fsm.frontends.locate import locate_module
from machines.signup.machine import Signup

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
CHART = chart_from(Signup)


def overlays() -> Mapping[str, Overlay]:
    """The overlays by name."""
    proofs = proofs_in(locate_module(ROOT / "proofs" / "signup.py"), ROOT / "proofs" / "signup.py")
    half = explore(proofs, Bounds(depth=2))
    states = {id: 1 for node in half.graph.nodes for id in active_in(CHART, node.position.snapshot)}
    way = half.graph.path(len(half.graph.nodes) - 1)
    positions, steps = walked(CHART, way)
    visited = [active_in(CHART, at.snapshot) for at in positions]
    leaves = [id for id, state in CHART.states.items() if id and not state.children]
    return {
        "population": population(
            CHART,
            dict(zip(leaves, (12, 1204, 38, 8660, 87, 3), strict=False)),
            failed={leaves[0]: 2},
            title="10,004 machines of usersignup, version 1; as of 14:06:28, read in 96 ms",
        ),
        "coverage": coverage(CHART, half.graph.taken_times, states, title="Explored"),
        "plan": verdicts(
            {
                leaves[0]: {"held": 2, "moves": 10},
                leaves[1]: {"blocked": 38, "changes": 251, "moves": 915},
                leaves[3]: {"over": 8660},
            },
            title="Plan of usersignup 2, made 2030-01-01 14:06:28",
        ),
        "path": path(visited, steps[1:], title=f"A story: {len(way) - 1} steps"),
    }


def pictures() -> Mapping[Path, str]:
    """The pictures by file."""
    return {
        PICTURES / f"overlay-{name}.svg": to_svg(CHART, theme="auto", overlay=overlay)
        for name, overlay in overlays().items()
    }


if __name__ == "__main__":
    for file, text in pictures().items():
        file.write_text(text, encoding="utf-8")
