"""A run that waits for its turn asks again, because an operator may have killed what would have let it in."""

from __future__ import annotations

import asyncio
from typing import Any

from durable_fsm.restate.activities.limits import ASKING, EntryRequest, Limits, LimitState
from durable_fsm.restate.names import StateKey
from tests.building import chart
from tests.memory import MemoryContext


class Gate(MemoryContext):
    """The object of one limit, in memory; remembers who was let in."""

    def __init__(self, *inside: str, waiting: tuple[str, ...] = ()) -> None:
        super().__init__({}, "work", "inv_1")
        gate = LimitState(2, [(run, True) for run in inside], 1, len(waiting))
        self.state[StateKey.GATE] = gate.encode()
        self.admitted: list[str] = []
        for place, run in enumerate(waiting, 1):
            self.state[f"place {place}"] = b'{"run":"%b","ticket":"t-%b"}' % (run.encode(), run.encode())
            self.state[f"run {run}"] = str(place).encode()

    def resolve_awakeable(self, ticket: str, *_: object, **__: object) -> None:
        self.admitted.append(ticket)

    def ask_again(self, run: str) -> None:
        context: Any = self
        asyncio.run(
            Limits("Order.limits", [chart("idle")]).enter(
                context, EntryRequest(run, f"t-{run}", 2, again=True).encode()
            )
        )

    @property
    def watched(self) -> list[str]:
        return [sent.body.decode() for sent in self.sent if sent.handler == "watch"]

    @property
    def inside(self) -> list[str]:
        return [run for run, _ in LimitState.decode(self.state[StateKey.GATE]).inside]


def test_each_time_another_run_that_is_inside_is_watched_again() -> None:
    """Its watcher may be dead, and the run as well: then its slot is given back."""
    gate = Gate("a", "b", waiting=("c",))

    gate.ask_again("c")
    gate.ask_again("c")

    assert (gate.watched, gate.inside, gate.admitted) == (["a", "b"], ["a", "b"], [])


def test_a_run_that_is_not_known_is_queued_as_if_it_asked_for_the_first_time() -> None:
    gate = Gate("a", "b", waiting=("c",))

    gate.ask_again("d")

    assert (gate.state["run d"], gate.admitted, "d" in gate.watched) == (b"2", [], True)


def test_a_run_that_waits_although_there_is_room_is_let_in() -> None:
    gate = Gate("a", waiting=("c",))

    gate.ask_again("c")

    assert (gate.inside, gate.admitted) == (["c", "a"], ["t-c"])


def test_the_waits_grow_up_to_an_hour() -> None:
    assert [ASKING.delay(tries).total_seconds() for tries in (0, 1, 2, 30)] == [10, 20, 40, 3_600]
