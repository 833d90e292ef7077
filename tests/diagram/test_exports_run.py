"""Other engines and parsers read our exports, and run them as we run the chart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from statemachine.io import load

from durable_fsm.core.chart import ROOT, Chart, EventType, Kind, State, Transition
from durable_fsm.core.index import matches
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in, start
from durable_fsm.diagram.exports import to_mermaid, to_scxml, to_xstate
from durable_fsm.frontends import chart_from
from tests.building import chart, edge, guard, note
from tests.contract.oracle import DocumentOrderEngine, _number
from tests.diagram.node import MERMAID, XSTATE, Package, package
from tests.diagram.random_charts import random_chart
from tests.diagram.walks import Happening, Walk, happen, random_walks, walks
from tests.docs.chromium import Chromium
from tests.scaling import SCALE

CHARTS = int(50 * SCALE)

Run = Callable[[Walk, Path], list[set[str]]]


@pytest.fixture(scope="module")
def known(charts: dict[str, Chart]) -> list[Walk]:
    """Walks through the study and every example."""
    return [found for made in charts.values() for found in walks(made, seeds=8, steps=40)]


HANDMADE = """
    idle
    outer parallel
        left
            one
            passing
            two
            deeper
                three
                four
            back deep
        right
            five
            turned
            six final
        mark history
    over final
"""


def handmade(*more: Transition) -> Chart:
    """A chart with internal and eventless edges, wildcards and ends of regions, which the other charts do not have."""
    return chart(
        HANDMADE,
        edge("idle", "go", "outer"),
        edge("idle", "jump", "four", "turned"),
        edge("left", "in.side", "two", key="in", internal=True),
        edge("left", "in", "deeper", key="deeper", internal=True),
        edge("two", "stay", internal=True),
        edge("two", "again", "two"),
        edge("deeper", "out", "idle"),
        edge("one", "pass", "passing"),
        edge("passing", "", "two", guards=[guard(bool, "is_full"), guard(bool, "is_late")]),
        edge("three", "deepen", "four"),
        edge("outer", "rest", "idle"),
        edge("four", "next", "one", guards=[guard(bool, "never", negated=True)], key="never"),
        edge("four", "next", "two", key="next"),
        edge("five", "turn", "turned"),
        edge("five", "finish", "six"),
        edge("right", "done.state", "over", guards=[guard(bool, "never", negated=True)], key="end"),
        edge("right", "done.state.right", "over"),
        edge("idle", "resume", "mark"),
        edge("idle", "recall", "back"),
        edge("one", "x.*", "two", key="wild"),
        *more,
        events=[EventType(name) for name in ("in", "in.side", "x.y", "x")],
        initial={"left": edge("left", "", "one", actions=[note("begin")])},
    )


# ── SCXML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Parking(DocumentOrderEngine):
    """The library's engine, with sends that wait for us and not for the clock."""

    def __init__(self, machine: Any) -> None:
        super().__init__(machine)
        self.parked: dict[str, str] = {}

    def put(self, trigger_data: Any, internal: bool = False) -> None:  # noqa: FBT002 - as the library calls it
        if trigger_data.event is not None and trigger_data.event.delay:
            self.parked[trigger_data.send_id] = str(trigger_data.event)
        else:
            super().put(trigger_data, internal)

    def cancel_event(self, send_id: str) -> None:
        self.parked.pop(send_id, None)


def run_by_the_library(walk: Walk, folder: Path) -> list[set[str]]:
    """Where python-statemachine is, which has read the document with its own reader."""
    cls = load(to_scxml(walk.chart).text, format="scxml")
    _number(list(cls.states), 0)
    cls._get_engine = lambda self: Parking(self)  # noqa: PLW0108 - a method # type: ignore[assignment, method-assign]
    machine: Any = cls()
    seen = [_active(machine)]
    for happening in walk.happenings:
        if happening.state:
            machine._engine.parked.pop(f"timer.{happening.state}.{happening.place}.{happening.event}")
        machine.send(happening.event)
        seen.append(_active(machine))
    return seen


def _active(machine: Any) -> set[str]:
    for invocation in list(machine._engine._invoke_manager._active.values()):
        invocation.thread.join()
    return {state.id for state in machine.configuration}


def run_by_us(walk: Walk, folder: Path) -> list[set[str]]:
    """Where our own engine is, with the chart that our front-end has read from the file."""
    chart = _read_by_us(to_scxml(walk.chart).text, folder)
    snapshot: Snapshot = start(chart, life="document").snapshot
    seen = [set(active_in(chart, snapshot))]
    for happening in walk.happenings:
        snapshot = happen(chart, snapshot, happening)
        seen.append(set(active_in(chart, snapshot)))
    return seen


@lru_cache(maxsize=1)  # walks through one chart come one after another
def _read_by_us(text: str, folder: Path) -> Chart:
    path = folder / "exported.scxml"
    path.write_text(text, "utf-8")
    return chart_from(path)


def without_unheard_of_work(walk: Walk) -> Walk:
    """Without activities, where the chart hears of errors: an engine that knows no such `<invoke>` raises one at once."""
    chart = walk.chart
    if not any(matches(descriptor, "error.execution") for edge in chart.transitions for descriptor in edge.events):
        return walk
    idle = {id: replace(state, activities=()) for id, state in chart.states.items()}
    return replace(walk, chart=replace(chart, states=idle))


@pytest.mark.parametrize("run", [run_by_the_library, run_by_us])
def test_scxml_of_the_study_and_the_examples_runs_as_the_charts_do(known: list[Walk], tmp_path: Path, run: Run) -> None:
    assert len({walk.chart.doc for walk in known}) >= 5
    for walk in map(without_unheard_of_work, known):
        assert run(walk, tmp_path) == [set(active) for active in walk.configurations], walk.happenings


def sorted_by_kind(chart: Chart) -> Chart:
    """The chart in the order in which the library's reader has children, whatever their order in the document."""
    kinds = [{Kind.ATOMIC, Kind.COMPOUND}, {Kind.FINAL}, {Kind.PARALLEL}, {Kind.SHALLOW_HISTORY, Kind.DEEP_HISTORY}]
    rank = {kind: place for place, kinds in enumerate(kinds) for kind in kinds}
    found: dict[str, State] = {}

    def add(id: str) -> None:
        state = chart.states[id]
        children = sorted(state.children, key=lambda child: 0 if id == ROOT else rank[chart.states[child].kind])
        initial = index_of(chart).initial[id] if state.kind is Kind.COMPOUND else state.initial
        found[id] = replace(state, children=tuple(children), initial=initial)
        for child in children:
            add(child)

    add(ROOT)
    return replace(chart, states=found)


@pytest.mark.parametrize("run", [run_by_the_library, run_by_us])
def test_scxml_of_random_charts_runs_as_the_charts_do(tmp_path: Path, run: Run) -> None:
    for taken in random_walks(CHARTS, prepare=sorted_by_kind if run is run_by_the_library else lambda chart: chart):
        for walk in taken:
            assert run(walk, tmp_path) == [set(active) for active in walk.configurations], (
                walk.chart.name,
                walk.happenings,
            )


@pytest.mark.long
def test_scxml_of_a_handmade_chart_runs_as_the_chart_does(tmp_path: Path) -> None:
    taken = walks(handmade(), seeds=60, steps=25)

    assert len({active for walk in taken for active in walk.configurations}) >= 10
    for walk in taken:
        expected = [set(active) for active in walk.configurations]
        assert run_by_us(walk, tmp_path) == expected, walk.happenings
        assert run_by_the_library(walk, tmp_path) == expected, walk.happenings


# ── XState ────────────────────────────────────────────────────────────────────────────────────────────────────────────

DRIVER = """
import { readFileSync } from 'node:fs';
import { setup, initialTransition, transition } from 'xstate';
const holds = () => true;
const ids = snapshot => snapshot._nodes.filter(node => node.parent).map(node => node.path.join('.'));
const runs = JSON.parse(readFileSync(0, 'utf8')).map(({ config, guards, events }) => {
  const implemented = { ...Object.fromEntries(guards.map(name => [name, holds])), and: holds, not: () => false };
  const machine = setup({ guards: implemented }).createMachine(config);
  let [state] = initialTransition(machine);
  const seen = [ids(state)];
  for (const type of events) { [state] = transition(machine, state, { type }); seen.push(ids(state)); }
  return seen;
});
console.log(JSON.stringify(runs));
"""


@pytest.fixture(scope="module")
def xstate() -> Package:
    return package(*XSTATE)


def run_by_xstate(xstate: Package, taken: list[Walk]) -> list[list[set[str]]]:
    """Where XState is, walk by walk, in our ids."""
    runs: list[dict[str, Any]] = []
    for walk in taken:
        guards = sorted({guard.name for edge in walk.chart.transitions for guard in edge.guards})
        events = [_type(walk.chart, happening) for happening in walk.happenings]
        runs.append({"config": json.loads(to_xstate(walk.chart).text), "guards": guards, "events": events})
    answered = xstate.run(DRIVER, given=runs)
    return [[{path.rpartition(".")[2] for path in active} for active in seen] for seen in answered]


def _type(chart: Chart, happening: Happening) -> str:
    """The name of an event in XState."""
    if happening.state:
        above = [id for id in reversed(index_of(chart).ancestors[happening.state]) if id != ROOT]
        return f"xstate.after.{happening.after_ms}.{'.'.join([chart.name, *above, happening.state])}"
    for ours, theirs in (("done.invoke.", "xstate.done.actor."), ("error.invoke.", "xstate.error.actor.")):
        if happening.event.startswith(ours):
            return theirs + happening.event.removeprefix(ours)
    return happening.event


def test_xstate_runs_the_study_and_the_examples_as_we_do(xstate: Package, known: list[Walk]) -> None:
    for walk, seen in zip(known, run_by_xstate(xstate, known), strict=True):
        assert seen == [set(active) for active in walk.configurations], (walk.chart.name, walk.happenings)


def test_xstate_runs_random_charts_as_we_do(xstate: Package) -> None:
    taken = [walk for found in random_walks(CHARTS, prepare=without_what_xstate_leaves_out) for walk in found]

    for walk, seen in zip(taken, run_by_xstate(xstate, taken), strict=True):
        assert seen == [set(active) for active in walk.configurations], (walk.chart.name, walk.happenings)


def test_xstate_runs_a_handmade_chart_as_we_do(xstate: Package) -> None:
    taken = walks(handmade(edge("", "reset", "idle"), edge("idle", "*", "over", key="any")), seeds=60, steps=25)

    for walk, seen in zip(taken, run_by_xstate(xstate, taken), strict=True):
        assert seen == [set(active) for active in walk.configurations], walk.happenings


ACTIONS = """
import { readFileSync } from 'node:fs';
import { createMachine, initialTransition, transition } from 'xstate';
const machine = createMachine(JSON.parse(readFileSync(0, 'utf8')));
const [state] = initialTransition(machine);
const [, actions] = transition(machine, state, { type: 'again' });
console.log(JSON.stringify(actions.map(action => action.type)));
"""


def test_a_state_that_leads_to_itself_is_left_and_entered_in_xstate_too(xstate: Package) -> None:
    leaving = {"exit": {"a": [note("bid farewell")]}, "entry": {"a": [note("greet")]}}
    made = chart("a\nb", edge("a", "again", "a", actions=[note("turn")]), **leaving)  # type: ignore[arg-type]

    assert xstate.run(ACTIONS, given=json.loads(to_xstate(made).text)) == ["bid farewell", "turn", "greet"]


def without_what_xstate_leaves_out(chart: Chart) -> Chart:
    """The chart without the transitions that the export says it bends: those between regions."""
    bent = re.findall(r"The transition from '(\w+)' to ([\w, ]+) leaves", " ".join(to_xstate(chart).lost))
    edges = tuple(edge for edge in chart.transitions if (edge.source, ", ".join(edge.targets)) not in bent)
    return replace(chart, transitions=edges)


# ── Mermaid ───────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGE = (
    '<!doctype html><meta charset="utf-8"><body><script src="{mermaid}"></script><script>const texts = {texts}</script>'
)
COMPLAINTS = """async () => {
  const found = {};
  for (const [name, text] of Object.entries(texts)) {
    try { await mermaid.parse(text); } catch (error) { found[name] = String(error.message || error); }
  }
  return found;
}"""


KEYWORDS = (
    "state",
    "note",
    "default",
    "class",
    "classDef",
    "style",
    "scale",
    "click",
    "accTitle",
    "end",
    "Default",
    "root",
)
TEXTS = ('say "x"', "a{b}", "a --> b", "[*]", "<<fork>>", "%% no", "#35;", "a\nb", "`x`", "end note", "--", "a;b", "}")


def two_states(id: str, text: str = "") -> Chart:
    made = chart(f"{id}\nother", edge(id, "go", "other", actions=[note(text or "act")]), edge("other", "back", id))
    return replace(made, states={**made.states, id: replace(made.states[id], name=text)})


@pytest.mark.browser
def test_the_parser_of_mermaid_reads_every_export(charts: dict[str, Chart], chromium: Chromium, tmp_path: Path) -> None:
    texts = {name: to_mermaid(made).text for name, made in charts.items()}
    texts |= {f"{name}, depth 1": to_mermaid(made, depth=1).text for name, made in charts.items()}
    texts |= {f"random {seed}": to_mermaid(random_chart(seed)).text for seed in range(CHARTS)}

    texts |= {"from any state": to_mermaid(stoppable()).text}
    texts |= {f"id {word}": to_mermaid(two_states(word)).text for word in KEYWORDS}
    texts |= {f"text {text}": to_mermaid(two_states("a", text)).text for text in TEXTS}

    assert complaints(texts, chromium, tmp_path) == {}
    assert complaints({"broken": "stateDiagram-v2\n    a --> --> b\n"}, chromium, tmp_path) != {}


def stoppable() -> Chart:
    """A chart whose every state can be left in the same way, and whose transitions all log."""
    log = [note('say "hello": twice')]
    stops = [edge(state, "stop", "over", actions=log) for state in "abcd"]
    return chart("a\nb\nc\nd\nover final", edge("a", "go", "b", actions=log), *stops)


def complaints(texts: dict[str, str], chromium: Chromium, folder: Path) -> dict[str, str]:
    """The errors that Mermaid reports for each text; it runs in a browser, because it needs a document."""
    page = folder / "page.html"
    library = package(*MERMAID).folder / "dist" / "mermaid.min.js"
    page.write_text(PAGE.format(mermaid=library.as_uri(), texts=json.dumps(texts)), "utf-8")
    found: dict[str, str] = chromium.ask(page, COMPLAINTS)
    return found
