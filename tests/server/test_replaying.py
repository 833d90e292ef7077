"""A path of the explorer on a real server: the same machine after each move, also if the service is killed in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_fsm import chart_from
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.report import walked
from durable_fsm.testing import RestateServer
from durable_fsm.testing.replaying import Stage, unplayable
from tests.explore.families import Kitchen
from tests.explore.rounds import Rounds

ROUNDS = chart_from(Rounds)
TARGET = f"{Path(__file__).parents[1] / 'explore' / 'rounds.py'}:Rounds"
FAILED = {"message": "no", "type": "Refused", "code": 402, "source": ""}
BEGIN = Move(MoveKind.EVENT, "create", {})
PATH = [
    BEGIN,
    Move(MoveKind.EVENT, "begin", {"kilos": 5}),
    Move(MoveKind.DONE, "loading", 7),
    Move(MoveKind.EVENT, "weigh"),
    Move(MoveKind.TIMER, "arrive"),
    Move(MoveKind.LOST, "ferrying"),
    Move(MoveKind.TIMER, "arrive"),
    Move(MoveKind.DONE, "ferrying", 7),
    Move(MoveKind.ERROR, "ashore", FAILED),
    Move(MoveKind.DONE, "unloading"),
]


@pytest.mark.server
def test_a_server_comes_to_the_same_machine_also_if_its_service_is_killed_after_each_move(
    restate_server: RestateServer,
) -> None:
    positions, _ = walked(ROUNDS, PATH)

    with Stage.of(ROUNDS, TARGET, trusted=False, kills=False, server=restate_server) as stage:
        whole = stage.play("whole", PATH, positions)
        other = stage.play("other", PATH[:2], [positions[0], positions[3]], patience=1.0)
        stage.kills = True
        killed = stage.play("killed", PATH[:4], positions[:4])

    assert len(positions) == len(PATH)
    assert whole.same, whole.words
    assert whole.words.startswith("the same: it ends in over (")
    assert killed.same, killed.words
    assert killed.words.endswith("the service killed 3 times)")
    assert other == (False, "after 'begin {\"kilos\":5}' it is in loading, and not in driving")


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (Move(MoveKind.SNAPSHOT, "o-1", {}), "it begins with a snapshot, whose timers and activities"),
        (Move(MoveKind.EVENT, "weigh", after_ms=60_000), "'after 1 min: weigh': the clock of a server cannot be moved"),
        (Move(MoveKind.RETURNED, "deposit"), "'returned deposit': the receiver decides whether a message comes back"),
        (
            Move(MoveKind.DONE, "loading", late=True),
            "'done loading late': work that was stopped does not outlive a kill",
        ),
        (Move(MoveKind.EVENT, "weigh"), ""),
    ],
    ids=["snapshot", "clock", "returned", "late", "event"],
)
def test_a_move_that_no_server_can_be_made_to_make_is_told(move: Move, why: str) -> None:
    found = unplayable(ROUNDS, [BEGIN, move], kills=True)

    assert found.startswith(why)
    assert bool(found) is bool(why)


def test_machines_that_run_others_are_not_played() -> None:
    assert unplayable(chart_from(Kitchen), [BEGIN], kills=False).startswith("machines of Kitchen run others")
