"""A second process that plays the same paths under another hash seed: sets must not show in what a chart decides.

`python -m durable_fsm.explore.twin` reads a target and paths from standard input, and writes the machines along them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from durable_fsm.core.chart import Chart
from durable_fsm.explore.family import player_for
from durable_fsm.explore.moves import Move
from durable_fsm.explore.player import Position
from durable_fsm.frontends.locate import locate

MOST_SECONDS = 300


class Errand(msgspec.Struct):
    """The work of the second process."""

    target: str
    chart: str
    trusted: bool
    paths: list[list[Move]]
    with_children: bool = False


class TwinFailed(Exception):
    """The second process did not come to its end; the message says why."""


def machines_along(chart: Chart, path: Sequence[Move], *, with_children: bool) -> list[str]:
    """The machine after each move of a path, as JSON."""
    player = player_for(chart, with_children=with_children)
    found: list[str] = []
    at: Position | None = None
    for move in path:
        played = player.begin(move) if at is None else player.play(at, move)
        if played.position is None:
            break
        at = played.position
        found.append(msgspec.json.encode(at.snapshot).decode())
    return found


def difference(
    chart: Chart, target: str, paths: Sequence[Sequence[Move]], *, trusted: bool, with_children: bool = False
) -> int | None:
    """The number of the first path that leads elsewhere in another process; None if there is none.

    Raises:
        TwinFailed: The other process failed.
    """
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    ran = subprocess.run(
        [sys.executable, "-m", "durable_fsm.explore.twin"],
        input=msgspec.json.encode(Errand(target, chart.name, trusted, [list(path) for path in paths], with_children)),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
        timeout=MOST_SECONDS,
        check=False,
    )
    if ran.returncode:
        raise TwinFailed(ran.stderr.decode(errors="replace").strip().splitlines()[-1])
    theirs = msgspec.json.decode(ran.stdout, type=list[list[str]])
    ours = [machines_along(chart, path, with_children=with_children) for path in paths]
    return next((place for place, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other), None)


def main() -> None:
    """Play the paths of standard input."""
    errand = msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)
    charts = locate(errand.target, trusted=errand.trusted).charts
    chart = next(chart for chart in charts if chart.name == errand.chart)
    sys.stdout.buffer.write(
        msgspec.json.encode([machines_along(chart, path, with_children=errand.with_children) for path in errand.paths])
    )


if __name__ == "__main__":
    main()
