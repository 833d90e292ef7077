"""Compare the cost of one step with the libraries that users come from.

    python benchmarks/core.py [--rounds N] [--events N]

A flat chart of five states and a parallel one of three levels, without and with callbacks, process the same event many
times. Ours is `step` alone, with its trace; it does not load or store data, because the others keep theirs in memory.
Rounds are interleaved, so that a busy machine slows all alike. The output is the median of rounds and ratios.

sismic and XState are measured if they are installed: `pip install sismic`, and Node with npm.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from statemachine import State, StateChart
from transitions import Machine
from transitions.extensions import HierarchicalMachine

from durable_fsm import chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Event
from durable_fsm.core.step import start, step
from durable_fsm.core.values import Json

Bench = Callable[[int], float]
"""Processes a number of events and returns the seconds this took."""

XSTATE = "5.23.0"


class Kept:
    """A data type without cost: the value is its own JSON."""

    name = "kept"

    def load(self, stored: Json) -> object:
        return stored

    def dump(self, value: object) -> Any:
        return value

    def schema(self) -> None:
        return None


# ── the charts ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Flat(StateChart):
    s0 = State(initial=True)
    s1 = State()
    s2 = State()
    s3 = State()
    s4 = State()
    next = s0.to(s1) | s1.to(s2) | s2.to(s3) | s3.to(s4) | s4.to(s0)


class Busy(StateChart):
    s0 = State(initial=True)
    s1 = State()
    s2 = State()
    s3 = State()
    s4 = State()
    next = (
        s0.to(s1, cond="may")
        | s1.to(s2, cond="may")
        | s2.to(s3, cond="may")
        | s3.to(s4, cond="may")
        | s4.to(s0, cond="may")
    )

    def may(self) -> bool:
        return True

    def on_next(self) -> None: ...

    def on_enter_state(self) -> None: ...

    def on_exit_state(self) -> None: ...


class Parallel(StateChart):
    class work(State.Parallel):
        class a(State.Compound):
            a1 = State(initial=True)
            a2 = State()
            next = a1.to(a2) | a2.to(a1)

        class b(State.Compound):
            b1 = State(initial=True)
            b2 = State()
            next = b1.to(b2) | b2.to(b1)

        class c(State.Compound):
            class inner(State.Compound):
                c1 = State(initial=True)
                c2 = State()
                next = c1.to(c2) | c2.to(c1)


def sized(states: int) -> Chart:
    """A ring of states, one of them active."""
    ring = [State(f"s{number}", initial=number == 0) for number in range(states)]
    body: dict[str, Any] = {f"s{number}": state for number, state in enumerate(ring)}
    transitions = ring[0].to(ring[1])
    for number in range(1, states):
        transitions = transitions | ring[number].to(ring[(number + 1) % states])
    return chart_from(type(StateChart)(f"Ring{states}", (StateChart,), {**body, "next": transitions}))


# ── the engines ───────────────────────────────────────────────────────────────────────────────────────────────────────


def ours(chart: Chart) -> Bench:
    chart = replace(chart, data=Kept())
    event = Event("next")

    def run(events: int) -> float:
        snapshot = start(chart).snapshot
        began = time.perf_counter()
        for _ in range(events):
            snapshot = step(chart, snapshot, event).snapshot
        return time.perf_counter() - began

    return run


def library(cls: type[StateChart[Any]]) -> Bench:
    def run(events: int) -> float:
        machine = cls()
        began = time.perf_counter()
        for _ in range(events):
            machine.send("next")
        return time.perf_counter() - began

    return run


def transitions(machine_class: Any, states: list[Any], edges: list[list[str]], initial: Any, **more: Any) -> Bench:
    class Model:
        def may(self) -> bool:
            return True

        def act(self) -> None: ...

    def run(events: int) -> float:
        model: Any = Model()
        machine_class(model, states=states, transitions=edges, initial=initial, auto_transitions=False, **more)
        began = time.perf_counter()
        for _ in range(events):
            model.next()
        return time.perf_counter() - began

    return run


RING = [f"s{number}" for number in range(5)]
EDGES = [["next", here, there] for here, there in zip(RING, [*RING[1:], "s0"], strict=True)]
BUSY = [
    {"trigger": "next", "source": here, "dest": there, "conditions": "may", "before": "act"} for _, here, there in EDGES
]
REGIONS: list[Any] = [
    {
        "name": "work",
        "parallel": [
            {"name": "a", "children": ["1", "2"], "initial": "1"},
            {"name": "b", "children": ["1", "2"], "initial": "1"},
            {"name": "c", "children": [{"name": "inner", "children": ["1", "2"], "initial": "1"}], "initial": "inner"},
        ],
    }
]
REGION_EDGES = [
    ["next", f"work_{path}_{here}", f"work_{path}_{there}"]
    for path in ("a", "b", "c_inner")
    for here, there in (("1", "2"), ("2", "1"))
]


def sismic(text: str) -> Bench | None:
    try:
        from sismic.interpreter import Interpreter  # type: ignore[import-not-found]
        from sismic.io import import_from_yaml  # type: ignore[import-not-found]
    except ImportError:
        return None

    def run(events: int) -> float:
        interpreter = Interpreter(import_from_yaml(text))
        interpreter.execute()
        began = time.perf_counter()
        for _ in range(events):
            interpreter.queue("next")
            interpreter.execute()
        return time.perf_counter() - began

    return run


SISMIC_FLAT = "statechart:\n  name: flat\n  root state:\n    name: root\n    initial: s0\n    states:\n" + "".join(
    f"      - name: {here}\n        transitions:\n          - event: next\n            target: {there}\n"
    for _, here, there in EDGES
)

JAVASCRIPT = """
import { createMachine, initialTransition, transition } from 'xstate';
const ring = {}; for (let n = 0; n < 5; n++) ring[`s${n}`] = { on: { next: `s${(n + 1) % 5}` } };
const toggle = (a, b) => ({ initial: a, states: { [a]: { on: { next: b } }, [b]: { on: { next: a } } } });
const charts = {
  flat: createMachine({ initial: 's0', states: ring }),
  parallel: createMachine({ type: 'parallel', states: {
    a: toggle('a1', 'a2'), b: toggle('b1', 'b2'), c: { initial: 'inner', states: { inner: toggle('c1', 'c2') } } } }),
};
const [name, events] = [process.argv[2], Number(process.argv[3])];
const machine = charts[name], event = { type: 'next' };
let [state] = initialTransition(machine);
for (let n = 0; n < 2000; n++) [state] = transition(machine, state, event);
const began = performance.now();
for (let n = 0; n < events; n++) [state] = transition(machine, state, event);
console.log((performance.now() - began) / 1000);
"""


def xstate(chart: str) -> Bench | None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    room = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "durable_fsm" / f"xstate-{XSTATE}"
    script = room / "bench.mjs"
    if not (room / "node_modules" / "xstate").is_dir():
        room.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(room), f"xstate@{XSTATE}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    script.write_text(JAVASCRIPT)

    def run(events: int) -> float:
        done = subprocess.run([node, str(script), chart, str(events)], capture_output=True, text=True, check=True)
        return float(done.stdout)

    return run


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def compare(title: str, benches: dict[str, Bench | None], *, events: int, rounds: int) -> dict[str, float]:
    """Run all engines in turns and print a table; return the median ratio of each to the first."""
    present = {name: bench for name, bench in benches.items() if bench is not None}
    seconds: dict[str, list[float]] = {name: [] for name in present}
    for round_ in range(rounds + 1):
        for name, bench in present.items():
            took = bench(events)
            if round_:  # the first one warms up
                seconds[name].append(took)
    first = next(iter(present))
    print(f"\n{title}\n{'':34}{'µs an event':>12}{'times ours':>12}")
    ratios: dict[str, float] = {}
    for name in benches:
        if name not in present:
            print(f"  {name:32}{'not installed':>12}")
            continue
        ratios[name] = statistics.median(
            theirs / mine for theirs, mine in zip(seconds[name], seconds[first], strict=True)
        )
        micros = statistics.median(seconds[name]) / events * 1e6
        print(f"  {name:32}{micros:12.2f}{ratios[name]:12.2f}")
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the cost of one step with other libraries.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--json", action="store_true", help="print the ratios as JSON at the end")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, dict[str, float]] = {}
    tables: dict[str, dict[str, Bench | None]] = {
        "flat, 5 states": {
            "durable_fsm": ours(chart_from(Flat)),
            "python-statemachine": library(Flat),
            "transitions": transitions(Machine, RING, EDGES, "s0"),
            "transitions, hierarchical": transitions(HierarchicalMachine, RING, EDGES, "s0"),
            "sismic": sismic(SISMIC_FLAT),
            "XState, pure transition": xstate("flat"),
        },
        "flat, guard and callbacks": {
            "durable_fsm": ours(chart_from(Busy)),
            "python-statemachine": library(Busy),
            "transitions": transitions(
                Machine,
                [{"name": name, "on_enter": "act", "on_exit": "act"} for name in RING],
                BUSY,  # type: ignore[arg-type]
                "s0",
            ),
        },
        "parallel, 3 regions, 3 levels": {
            "durable_fsm": ours(chart_from(Parallel)),
            "python-statemachine": library(Parallel),
            "transitions, hierarchical": transitions(HierarchicalMachine, REGIONS, REGION_EDGES, "work"),
            "XState, pure transition": xstate("parallel"),
        },
        "size of the chart, one state active": {
            "10 states": ours(sized(10)),
            "100 states": ours(sized(100)),
            "1,000 states": ours(sized(1_000)),
        },
    }
    for title, benches in tables.items():
        found[title] = compare(title, benches, events=asked.events, rounds=asked.rounds)
    if asked.json:
        json.dump(found, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
