"""Random charts run alike in python-statemachine's own engine and in ours.

`SCALE` multiplies the number of charts. Without it every kind of construct is among them, and every mistake below is
found by them; a larger SCALE looks for rare combinations.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from types import FunctionType, ModuleType
from typing import Any

import pytest

from durable_fsm.core import index, macrostep, plan, selection
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, snapshot_from_json, snapshot_to_json
from durable_fsm.core.snapshot import Snapshot
from tests.contract.oracle import Draw, first_difference, played_by_us, population, sequence
from tests.scaling import SCALE

pytestmark = pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")

CHARTS = int(300 * SCALE)
BATCHES = 4


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_charts_run_alike_in_both_engines(batch: int) -> None:
    differences = [found for seed in range(batch, CHARTS, BATCHES) if (found := first_difference(seed))]

    assert differences == [], f"{len(differences)} charts differ; the first: {differences[0]}"


@pytest.mark.long
def test_the_random_charts_have_everything_in_them() -> None:
    sample = 300
    assert sample <= CHARTS
    found = population(range(sample))

    common = ("parallel", "history", "eventless", "internal", "raised", "multi-level", "guards on data", "done")
    assert {feature: found[feature] for feature in common if found[feature] < sample * 0.2} == {}
    assert found["fork"] > sample * 0.02


def through_json(chart: Chart, snapshot: Snapshot) -> Snapshot:
    return snapshot_from_json(chart, json.loads(canonical(snapshot_to_json(snapshot))))


def test_a_machine_that_is_put_away_between_any_two_events_goes_on_as_if_it_had_not_been() -> None:
    for seed in range(int(75 * SCALE)):
        cls, events = Draw(seed).chart().cls, sequence(seed)

        assert list(played_by_us(cls, events, cut=through_json)) == list(played_by_us(cls, events)), seed


# ── would a mistake be found? ─────────────────────────────────────────────────────────────────────────────────────────

MISTAKES = [
    pytest.param(
        plan,
        "exited = index.in_order(exits)[::-1]",
        "exited = index.in_order(exits)",
        id="states are left from the outside in",
    ),
    pytest.param(
        plan,
        "entered = index.in_order(entry.states)",
        "entered = index.in_order(entry.states)[::-1]",
        id="states are entered from the inside out",
    ),
    pytest.param(
        macrostep, "event = self.queue.popleft()", "event = self.queue.pop()", id="the last raised event comes first"
    ),
    pytest.param(
        macrostep,
        "if self.index.has_eventless else None",
        "if self.index.has_eventless and not self.queue else None",
        id="raised events come before eventless transitions",
    ),
    pytest.param(
        plan,
        "if memory.kind is Kind.DEEP_HISTORY:",
        "if memory.kind is Kind.SHALLOW_HISTORY:",
        id="shallow and deep history are mixed up",
    ),
    pytest.param(
        macrostep,
        "if self.index.states[above[0]].kind is Kind.PARALLEL and self.is_in_final_state(above[0]):",
        "if False:",
        id="a parallel state is never done",
    ),
    pytest.param(macrostep, "self.conclude(plan)", "pass", id="nothing runs after a transition"),
    pytest.param(
        selection,
        "if not index.is_descendant(transition.source, other.source):",
        "if index.is_descendant(transition.source, other.source):",
        id="the outer transition preempts the inner one",
    ),
    pytest.param(
        selection,
        "if index.states[ancestor].kind is Kind.COMPOUND and all(",
        "if all(",
        id="a parallel state is a least common ancestor",
    ),
    pytest.param(selection, "transition.internal\n", "False\n", id="internal transitions are external"),
    pytest.param(
        index,
        "for state in (leaf, *self.ancestors[leaf])",
        "for state in (leaf, *self.ancestors[leaf])[::-1]",
        id="the outermost state is asked first",
    ),
    pytest.param(
        index,
        "prefix = descriptor.removesuffix",
        "return event.startswith(descriptor[:-1])\n    prefix = descriptor.removesuffix",
        id="descriptors select by letters",
    ),
]


def mutated(module: ModuleType, right: str, wrong: str) -> dict[str, Any]:
    """The names of *module*, made from its source with one mistake in it."""
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{module.__name__} has {source.count(right)} times {right!r}"
    names: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(textwrap.dedent(source.replace(right, wrong)), str(module.__file__), "exec"), names)  # noqa: S102 - our own source
    return names


@pytest.mark.long
@pytest.mark.parametrize(("module", "right", "wrong"), MISTAKES)
def test_a_mistake_in_the_interpreter_is_found(
    module: ModuleType, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = mutated(module, right, wrong)
    for name, original in vars(module).items():
        if isinstance(original, FunctionType) and original.__module__ == module.__name__:
            monkeypatch.setattr(original, "__code__", names[name].__code__)
        if inspect.isclass(original) and original.__module__ == module.__name__:
            for method, function in vars(original).items():
                if isinstance(function, FunctionType) and isinstance(vars(names[name])[method], FunctionType):
                    monkeypatch.setattr(original, method, _as(function, vars(names[name])[method]))

    assert any(_differs(seed) for seed in range(min(CHARTS, 300)))


def _as(function: FunctionType, wrong: FunctionType) -> FunctionType:
    """The wrong code among the right names."""
    return FunctionType(wrong.__code__, function.__globals__, wrong.__name__, wrong.__defaults__, function.__closure__)


def _differs(seed: int) -> bool:
    try:
        return first_difference(seed) is not None
    except Exception:  # noqa: BLE001 - a broken interpreter may break in any way
        return True
