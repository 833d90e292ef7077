"""The picture of the layers in docs/architecture.md: `.venv/bin/python docs/layers.py` writes docs/pictures/layers.svg.

The layers and their order are those of the import contract in pyproject.toml.
"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "layers.svg"

TASKS = {
    "cli": "the command durable-fsm",
    "console": "live pages of every machine",
    "docs": "charts in web pages and notebooks",
    "testing": "Rehearsal, and fixtures for pytest",
    "local": "servers and processes on this machine",
    "serving": "HTTP servers, and how they drain",
    "admin": "what an operator asks Restate",
    "restate": "the host: the only package that imports Restate's SDK",
    "client": "calls to machines, over HTTP",
    "plan": "a verdict for each machine before a deploy",
    "explore": "every state that a chart can reach",
    "frontends": "definitions in, charts out",
    "diagram": "charts in, pictures out",
    "core": "charts, snapshots, events, and the pure step",
    "errors": "every exception",
}

WIDTH, ROW, GAP, PAD = 720, 40, 10, 12
STYLE = """
    .box { fill: #eef2ff; stroke: #6366f1 } .pure { fill: #ecfdf5; stroke: #059669 }
    text { font: 14px system-ui, sans-serif; fill: #1e293b } .name { font-weight: 600 } .task { fill: #475569 }
    .arrow { stroke: #94a3b8; stroke-width: 2; fill: none }
    @media (prefers-color-scheme: dark) {
      .box { fill: #1e1b4b; stroke: #818cf8 } .pure { fill: #052e2b; stroke: #34d399 }
      text { fill: #e2e8f0 } .task { fill: #cbd5e1 } .arrow { stroke: #64748b }
    }"""


def layers() -> list[list[str]]:
    """The packages of each layer, from the top; those that are still to come are left out."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return [[name for name in layer.split(" | ") if not name.startswith("(")] for layer in contract["layers"]]


def picture() -> str:
    """The layers as SVG, the highest at the top; each may import those below it."""
    rows = layers()
    height = len(rows) * (ROW + GAP) - GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {WIDTH + 42} {height + 2}" role="img">',
        "  <title>The layers of durable_fsm: each imports only those below it</title>",
        f"  <style>{STYLE}\n  </style>",
    ]
    for place, names in enumerate(rows):
        width = (WIDTH - GAP * (len(names) - 1)) / len(names)
        top = place * (ROW + GAP)
        for column, name in enumerate(names):
            left = column * (width + GAP)
            kind = "pure" if name in ("core", "errors") else "box"
            parts += [
                f'  <rect class="{kind}" x="{left:g}" y="{top}" width="{width:g}" height="{ROW}" rx="6"/>',
                f'  <text class="name" x="{left + PAD:g}" y="{top + 25}">{name}</text>',
                f'  <text class="task" x="{left + PAD + 84:g}" y="{top + 25}">{escape(TASKS[name])}</text>',
            ]
    x = WIDTH + 24
    parts += [f'  <path class="arrow" d="M{x} 4 V{height - 6} m-6 -8 l6 8 l6 -8"/>', "</svg>", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
