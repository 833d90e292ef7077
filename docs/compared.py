"""One machine, drawn by four libraries, for docs/diagrams-compared.md: `.venv/bin/python docs/compared.py`.

Every library is used as its own documentation says, with everything switched on that its pictures can show. Both that
lay out with Graphviz get the program that durable_fsm uses. Chromium makes each picture a PNG, so that it looks here as
it does for a reader with the fonts it was laid out for; it and npm's Mermaid are found as the tests find them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from statemachine import HistoryState, State, StateChart
from transitions.extensions import HierarchicalGraphMachine
from transitions.extensions.states import Timeout, add_state_features

from durable_fsm import activity, after, chart_from
from durable_fsm.diagram.exports import Export, to_mermaid
from durable_fsm.diagram.layout.engine import program

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"


async def plan_route(ctx: object) -> None: ...


class Drone(StateChart):
    """A delivery drone."""

    grounded = State(initial=True)

    class mission(State.Parallel):
        class flight(State.Compound):
            taking_off = State(initial=True, enter="spin_rotors")
            cruising = State()
            hovering = State()
            interrupted = HistoryState()

            lift_off = taking_off.to(cruising, cond="rotors_ok")
            obstacle = cruising.to(hovering)
            clear = hovering.to(cruising)

        class radio(State.Compound):
            online = State(initial=True)
            lost = State()

            signal_lost = online.to(lost)
            signal_back = lost.to(online)

    paused = State()
    returning = State(invoke=activity(plan_route))
    delivered = State(final=True)

    start = grounded.to(mission, cond="preflight_ok")
    pause = mission.to(paused)
    resume = paused.to(mission.flight.interrupted)
    give_up = after(timedelta(seconds=20), mission.radio.lost.to(returning))
    complete = mission.to(delivered)
    done_invoke_returning = returning.to(grounded)
    error_invoke_returning = returning.to(paused)

    def preflight_ok(self) -> bool:
        return True

    def rotors_ok(self) -> bool:
        return True

    def spin_rotors(self) -> None: ...


@add_state_features(Timeout)
class TransitionsDrone(HierarchicalGraphMachine):
    """The same for transitions, which has timeouts, but neither history states nor outside work."""


TransitionsDrone.state_cls.separator = "."  # the usual separator is an underscore, which our names contain


STATES: list[Any] = [
    "grounded",
    {
        "name": "mission",
        "parallel": [
            {
                "name": "flight",
                "initial": "taking_off",
                "children": [{"name": "taking_off", "on_enter": "spin_rotors"}, "cruising", "hovering"],
                "transitions": [
                    {"trigger": "lift_off", "source": "taking_off", "dest": "cruising", "conditions": "rotors_ok"},
                    {"trigger": "obstacle", "source": "cruising", "dest": "hovering"},
                    {"trigger": "clear", "source": "hovering", "dest": "cruising"},
                ],
            },
            {
                "name": "radio",
                "initial": "online",
                "children": ["online", {"name": "lost", "timeout": 20, "on_timeout": "give_up"}],
                "transitions": [
                    {"trigger": "signal_lost", "source": "online", "dest": "lost"},
                    {"trigger": "signal_back", "source": "lost", "dest": "online"},
                ],
            },
        ],
    },
    "paused",
    "returning",
    {"name": "delivered", "final": True},
]
TRANSITIONS: list[Any] = [
    {"trigger": "start", "source": "grounded", "dest": "mission", "conditions": "preflight_ok"},
    {"trigger": "pause", "source": "mission", "dest": "paused"},
    {"trigger": "resume", "source": "paused", "dest": "mission.flight"},
    {"trigger": "give_up", "source": "mission.radio.lost", "dest": "returning"},
    {"trigger": "complete", "source": "mission", "dest": "delivered"},
    {"trigger": "planned", "source": "returning", "dest": "grounded"},
    {"trigger": "no_route", "source": "returning", "dest": "paused"},
]


class Model:
    def preflight_ok(self) -> bool:
        return True

    def rotors_ok(self) -> bool:
        return True

    def spin_rotors(self) -> None: ...

    def give_up(self) -> None: ...


def of_python_statemachine() -> str:
    """The DOT text of the library's own diagram."""
    return format(Drone, "dot")


def of_transitions() -> str:
    """The DOT text of a graph with conditions, titles and all attributes of states."""
    machine: Any = TransitionsDrone(
        Model(),
        states=STATES,
        transitions=TRANSITIONS,
        initial="grounded",
        auto_transitions=False,
        show_conditions=True,
        show_state_attributes=True,
        graph_engine="graphviz",
        title="Drone",
    )
    return str(machine.get_graph().source)


def of_mermaid() -> Export:
    """Our own export: the parts that Mermaid's language can express, and those it cannot."""
    return to_mermaid(chart_from(Drone))


def main() -> None:
    sys.path.insert(0, str(ROOT))
    PICTURES.mkdir(exist_ok=True)
    for name, svg in {
        "python-statemachine": laid_out(of_python_statemachine()),
        "transitions": laid_out(of_transitions()),
    }.items():
        pictured(name, svg)
    pictured("mermaid", f'<pre class="mermaid">{of_mermaid().text}</pre>', script=mermaid_program())


def laid_out(dot: str) -> str:
    done = subprocess.run([program(), "-Tsvg"], input=dot.encode(), capture_output=True, check=True)
    return re.sub(r"^.*?(?=<svg)", "", done.stdout.decode(), flags=re.DOTALL)


def mermaid_program() -> str:
    """Mermaid as a script of a page, started as its documentation says."""
    from tests.diagram.node import MERMAID, package

    path = package(*MERMAID).folder / "dist" / "mermaid.min.js"
    return f'<script src="{path.as_uri()}"></script><script>mermaid.initialize({{startOnLoad: true}});</script>'


def pictured(name: str, body: str, script: str = "") -> None:
    """Write docs/pictures/<name>.png: the SVG as Chromium shows it in a page, at its own size."""
    from tests.browsing import NO_CHROMIUM, browser, chromium_program
    from tests.docs.chromium import Chromium

    program = chromium_program()
    if program is None:
        sys.exit(f"docs/compared.py {NO_CHROMIUM}")
    with browser(program) as started, tempfile.TemporaryDirectory() as folder:
        chromium = Chromium(started)
        page = Path(folder) / "page.html"
        style = "body{margin:16px;background:#fff;width:max-content}pre{margin:0}svg{display:block}"
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><style>{style}</style><body>{body}{script}</body>', "utf-8"
        )
        size = "(box => [Math.ceil(box.width) + 32, Math.ceil(box.height) + 32])"
        size += '(document.querySelector("svg").getBoundingClientRect())'
        across, down = chromium.ask(page, size)
        chromium.picture(page, PICTURES / f"{name}.png", size=(across, down), zoom=2)
    print(f"wrote docs/pictures/{name}.png")


if __name__ == "__main__":
    main()
