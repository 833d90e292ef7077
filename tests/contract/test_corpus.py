"""Each idiom of the corpus is read, drawn, and run beside the original engine, event by event."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from statemachine.exceptions import TransitionNotAllowed
from statemachine.io import load
from transitions import MachineError

from durable_fsm import chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.diagram import graph_of, to_svg
from durable_fsm.errors import EventRejected, Finished, UnknownEvent
from durable_fsm.frontends.values import revived
from durable_fsm.testing import Rehearsal
from tests.contract.corpus import CLASSES, DOCUMENTS, MACHINES, idioms, machines

pytestmark = [
    pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

REFUSED = (EventRejected, Finished, UnknownEvent)


def test_the_corpus_has_an_idiom_for_everything_that_people_write() -> None:
    assert len(CLASSES) + len(MACHINES) + len(DOCUMENTS) >= 60


def drawn(chart: Chart) -> Chart:
    """The chart, of which there is a picture with everything in it."""
    assert "<svg" in to_svg(chart)
    assert {node.id for node in graph_of(chart).nodes} == chart.states.keys() - {""}
    return chart


def answers(reply: Any) -> list[Any]:
    """The library answers with a list if several callbacks run; ours is the last of them that says something."""
    said = [one for one in reply if one is not None] if isinstance(reply, list) else []
    return [reply, *said[-1:]]


def sent(ours: Rehearsal, name: str, payload: Any) -> tuple[bool, Any]:
    """Whether an event was taken, and the reply."""
    try:
        receipt = ours.send(name, payload)
    except REFUSED:
        return False, None
    return receipt.outcome == "taken", receipt.reply


# ── python-statemachine ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_runs_as_in_python_statemachine(name: str) -> None:
    idiom: idioms.Idiom = CLASSES[name]
    model = idiom.model() if idiom.model else None
    library = idiom.definition(model) if model else idiom.definition()
    ours = Rehearsal(drawn(chart_from(idiom.definition)))
    ours.create()

    for event in idiom.events:
        trigger, payload = event if isinstance(event, tuple) else (event, {})
        before = ids(library)
        try:
            reply = library.send(trigger, **payload)
        except TransitionNotAllowed:
            reply = None
        _, replied = sent(ours, trigger, payload or None)

        assert set(ours.configuration) == ids(library), trigger
        assert replied in answers(reply) or ids(library) == before, trigger
        assert kept_by(ours) == data_of(library, model), trigger


def ids(library: Any) -> set[str]:
    return {state.id for state in library.configuration}


def kept_by(ours: Rehearsal) -> Any:
    return revived(ours.snapshot.data)


def data_of(library: Any, model: Any) -> dict[str, Any]:
    known = {"model", "history_values", "state_field", "start_configuration_values"}
    kept = vars(library if model is None else model)
    states = {state.id for state in library.states_map.values()}
    return {
        name: value
        for name, value in kept.items()
        if name not in known and not name.startswith("_") and name not in states and (model is None or name != "state")
    }


# ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", MACHINES)
def test_a_model_runs_as_in_transitions(name: str) -> None:
    idiom: machines.Idiom = MACHINES[name]
    library = idiom.make()
    read = idiom.definition(idiom.make()) if idiom.definition(None) is not None else idiom.make
    ours = Rehearsal(drawn(chart_from(read)))
    ours.create()

    for event in idiom.events:
        trigger, payload = event if isinstance(event, tuple) else (event, {})
        args, kwargs = (payload, {}) if isinstance(payload, list) else ([], payload)
        try:
            taken = bool(library.trigger(trigger, *args, **kwargs))
        except MachineError:
            taken = False
        accepted, _ = sent(ours, trigger, payload or None)

        assert (accepted, set(ours.snapshot.configuration)) == (taken, set(leaves(library))), trigger
        assert revived(ours.snapshot.data) == {name: getattr(library, name) for name in ours.snapshot.data}, trigger  # type: ignore[union-attr]


def leaves(library: Any) -> Iterator[str]:
    return _flat(library.status if hasattr(library, "status") else library.state)


def _flat(state: Any) -> Iterator[str]:
    if isinstance(state, list):
        for one in state:
            yield from _flat(one)
    else:
        yield state.name if isinstance(state, enum.Enum) else state


# ── SCXML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_runs_as_in_the_library(name: str, tmp_path: Path) -> None:
    body, events = DOCUMENTS[name]
    path = tmp_path / "doc.scxml"
    path.write_text(f'<scxml xmlns="http://www.w3.org/2005/07/scxml" name="doc">{body}</scxml>', "utf-8")
    library = load(path)()
    ours = Rehearsal(drawn(chart_from(path)))
    ours.create()

    for event in events:
        library.send(event)
        sent(ours, event, None)

        assert set(ours.configuration) == ids(library), event
        data = ours.snapshot.data
        assert isinstance(data, dict)
        assert numbers(data.items()) == numbers(vars(library.model).items()), event


def numbers(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if isinstance(value, int | str) and name in ("n", "log")}
