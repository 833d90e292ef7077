"""The explorer and `Rehearsal` make the same moves on random charts, and come to the same machines."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random

import pytest

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, snapshot_to_json
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import DurableFSMError
from durable_fsm.explore.domains import Domains
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.player import KEY, Player, Position
from durable_fsm.explore.search import Bounds, StateSpace, search
from durable_fsm.testing import Rehearsal
from tests.explore.charts import random_chart
from tests.scaling import TIMES

CHARTS = 60 if TIMES == 1 else 200 * TIMES
"""60, or 2,000 at SCALE=10."""

ASKED = 4
"""Configurations of each chart in which every move is tried on a rehearsal."""


def make(machine: Rehearsal, move: Move) -> None:
    """Make one move of the explorer on a rehearsal."""
    match move.kind:
        case MoveKind.EVENT:
            machine.send(move.name, move.payload)
        case MoveKind.TIMER:
            machine.ring(move.name, move.place)
        case MoveKind.DONE:
            machine.finish(move.name, move.payload, late=move.late)
        case MoveKind.ERROR:
            machine.fail(move.name, f"activity '{move.name}' failed", late=move.late)
        case MoveKind.LOST:
            machine.lose(move.name)


def followed(chart: Chart, path: list[Move]) -> Rehearsal:
    machine = Rehearsal(chart, key=KEY)
    machine.create()
    for move in path[1:]:
        make(machine, move)
    return machine


def candidates(machine: Rehearsal) -> Iterator[Move]:
    """Everything that could be tried, as a test sees the machine from outside."""
    chart = machine.chart
    yield from (Move(MoveKind.EVENT, event) for event in chart.public_events)
    for id in chart.activities:
        yield Move(MoveKind.LOST, id)
        for late in (False, True):
            yield Move(MoveKind.DONE, id, None, late)
            failure = {"message": f"activity '{id}' failed", "source": "", "type": "TerminalError"}
            yield Move(MoveKind.ERROR, id, failure, late)
    if machine.status is not Status.DONE:
        yield from (
            Move(MoveKind.TIMER, event) for event in dict.fromkeys(one.event for one in machine.snapshot.timers)
        )


def result_on_a_rehearsal(machine: Rehearsal, move: Move) -> str | None:
    """The machine after a move; None if it does not take it."""
    trial = copy.deepcopy(machine, {id(machine.chart): machine.chart})
    before = trial.stored
    runs = any(one.id == move.name and not one.failed for one in trial.snapshot.activities)
    if move.kind in (MoveKind.DONE, MoveKind.ERROR) and not runs and not move.late:
        return None  # it would be the outcome of the stopped run, which is another move
    try:
        make(trial, move)
    except (DurableFSMError, LookupError, AssertionError):
        return None
    return trial.stored if trial.stored != before else None


def result_of_the_explorer(player: Player, at: Position, move: Move) -> str | None:
    position = player.play(at, move).position
    return None if position is None else canonical(snapshot_to_json(position.snapshot))


def differences(chart: Chart, graph: StateSpace, random: Random) -> list[str]:
    player = Player(chart)
    found: list[str] = []
    numbers = [number for number, node in enumerate(graph.nodes) if node.out is not None]
    for number in random.sample(numbers, min(ASKED, len(numbers))):
        node = graph.nodes[number]
        path = graph.path(number)
        machine = followed(chart, path)
        told = " · ".join(move.words for move in path)
        if machine.stored != canonical(snapshot_to_json(node.position.snapshot)):
            found.append(f"{told}: {machine.stored} is not {canonical(snapshot_to_json(node.position.snapshot))}")
            continue
        rehearsed = {_named(move): result_on_a_rehearsal(machine, move) for move in candidates(machine)}
        expected = {name: result for name, result in rehearsed.items() if result is not None}
        taken = [move for move, _ in node.out or ()]
        explored = {_named(move): result_of_the_explorer(player, node.position, move) for move in taken}
        if explored != expected:
            odd = sorted(f"{name}" for name in explored.keys() ^ expected.keys())
            odd += sorted(name for name in explored.keys() & expected.keys() if explored[name] != expected[name])
            found.append(f"{told}: {odd}")
    return found


def _named(move: Move) -> str:
    return f"{move.kind.value} {move.name} {'late' if move.late else ''}"


@pytest.mark.parametrize("part", range(4))
def test_explored_moves_are_those_that_a_rehearsal_takes(part: int) -> None:
    found: list[str] = []
    for seed in range(part, CHARTS, 4):
        chart = random_chart(seed)
        graph = search(chart, Domains(chart), bounds=Bounds(most=40))
        found += [f"{chart.name}: {one}" for one in differences(chart, graph, Random(seed))]

    assert found == []
