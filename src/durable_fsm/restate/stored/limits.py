"""The stored values of a limit: the runs that hold its slots, and those that wait.

    gate                  a `LimitState`: how many hold a slot, and where the queue of each priority begins and ends
    run inv_…             of a run that holds a slot, its `QueuedRun`; of one that waits, its place: `17`, or `2 17`
    place 17, place 2 17  the `QueuedRun` at a place, of priority 0 and of priority 2

A queue may be long, so that a run which enters or leaves reads only its own records. The gate says nothing that the others
do not: a gate that cannot be read is made again from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, NamedTuple, Self

import msgspec

from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord

RUN = "run "
PLACE = "place "
"""Beginnings of the names of state."""


class QueuedRun(WireRecord, frozen=True):
    """A run that holds a slot, or waits for one until its `ticket` is resolved.

    `machine` is `chart/key`. An earlier build did not store the last three.
    """

    run: str
    ticket: str
    machine: str = ""
    activity: str = ""
    priority: int = 0

    @property
    def view(self) -> dict[str, Json]:
        """As people see it."""
        return {
            "machine": self.machine or None,
            "activity": self.activity or None,
            "priority": self.priority,
            "invocation": self.run,
        }


class Place(NamedTuple):
    """A place among the runs of one priority that wait."""

    priority: int
    number: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read `17` or `2 17`.

        Raises:
            ValueError: it is something else.
        """
        first, _, second = text.partition(" ")
        return cls(int(first), int(second)) if second else cls(0, int(first))

    @property
    def text(self) -> str:
        return f"{self.priority} {self.number}" if self.priority else str(self.number)

    @property
    def name(self) -> str:
        """Under which the run at this place is stored."""
        return f"{PLACE}{self.text}"


class Lane(WireRecord, frozen=True):
    """The places of one priority: `first` to `last`, of which `waiting` are taken; the others were given up."""

    priority: int
    first: int
    last: int
    waiting: Annotated[int, msgspec.Meta(ge=1)]


class LimitState(WireRecord, frozen=True):
    """The runs that are inside, and the lanes of those that wait, the most urgent first.

    `limit` is what the newest run asked for. `inside` has, for each invocation, whether a second watcher was sent; it is
    a list because the order counts. An earlier build had one lane only, and stored `first` and `last`.
    """

    limit: Annotated[int, msgspec.Meta(ge=1)]
    inside: list[tuple[str, bool]]
    first: int = 1
    last: int = 0
    lanes: tuple[Lane, ...] = ()

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read what this build or an earlier one wrote.

        Raises:
            ValueError: it is something else.
        """
        state = cls.decode(text)
        if state.first > state.last:
            return state
        only = Lane(0, state.first, state.last, state.last - state.first + 1)
        return msgspec.structs.replace(state, first=1, last=0, lanes=(only,))

    @classmethod
    def rebuilt(cls, limit: int, inside: Iterable[str], places: Iterable[Place]) -> Self:
        """A state in which these runs are inside, and these places are taken."""
        lanes: dict[int, list[int]] = {}
        for place in places:
            lanes.setdefault(place.priority, []).append(place.number)
        return cls(
            limit,
            [(run, False) for run in inside],
            lanes=tuple(Lane(one, min(taken), max(taken), len(taken)) for one, taken in sorted(lanes.items())),
        )

    @property
    def has_room(self) -> bool:
        return len(self.inside) < self.limit

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(lane.waiting for lane in self.lanes)

    @property
    def is_empty(self) -> bool:
        return not self.inside and not self.lanes

    @property
    def word(self) -> str:
        """How busy the limit is."""
        if not self.has_room:
            return "saturated"
        return "busy" if self.inside else "idle"

    def holds(self, run: str) -> bool:
        return any(run == other for other, _ in self.inside)

    def includes(self, place: Place | None) -> bool:
        """Whether the run at this place will be let in some time."""
        return place is not None and any(
            lane.priority == place.priority and lane.first <= place.number <= lane.last for lane in self.lanes
        )

    def let_in(self, run: str) -> Self:
        return msgspec.structs.replace(self, inside=[*self.inside, (run, False)])

    def turned(self) -> Self:
        """With the first of the runs that are inside as the last."""
        return msgspec.structs.replace(self, inside=[*self.inside[1:], *self.inside[:1]])

    def without(self, run: str) -> Self:
        return msgspec.structs.replace(self, inside=[one for one in self.inside if one[0] != run])

    def watched_twice(self, run: str) -> Self:
        inside = [(other, has_second or other == run) for other, has_second in self.inside]
        return msgspec.structs.replace(self, inside=inside)

    def joined(self, priority: int) -> tuple[Self, Place]:
        """With one more place for a run of this priority, and that place."""
        found = next((lane for lane in self.lanes if lane.priority == priority), Lane(priority, 1, 0, 0))
        longer = msgspec.structs.replace(found, last=found.last + 1, waiting=found.waiting + 1)
        lanes = sorted([*(one for one in self.lanes if one is not found), longer], key=lambda lane: lane.priority)
        return msgspec.structs.replace(self, lanes=tuple(lanes)), Place(priority, longer.last)

    def given_up(self, place: Place) -> Self:
        """Without the run at this place, which waits no longer; the place stays empty."""
        lanes = [
            msgspec.structs.replace(lane, waiting=lane.waiting - 1) if lane.priority == place.priority else lane
            for lane in self.lanes
        ]
        return msgspec.structs.replace(self, lanes=tuple(lane for lane in lanes if lane.waiting > 0))

    @property
    def places(self) -> Iterator[Place]:
        """All places in their order; some may have been given up."""
        return (Place(lane.priority, number) for lane in self.lanes for number in range(lane.first, lane.last + 1))

    @property
    def next_place(self) -> Place:
        """The place of the run that comes next, unless it was given up."""
        return Place(self.lanes[0].priority, self.lanes[0].first)

    def passed(self, *, taken: bool) -> Self:
        """Without the next place; *taken* if a run was there."""
        lane = self.lanes[0]
        rest = msgspec.structs.replace(lane, first=lane.first + 1, waiting=lane.waiting - taken)
        is_over = rest.first > rest.last or rest.waiting <= 0
        return msgspec.structs.replace(self, lanes=(*(() if is_over else (rest,)), *self.lanes[1:]))


def place_in(stored: bytes | None) -> Place | None:
    """The place at which a run waits; None if it does not wait, or nothing readable says so."""
    try:
        return None if stored is None else Place.of(stored.decode())
    except ValueError:
        return None


def queued_in(stored: bytes | None) -> QueuedRun | None:
    """The record of a run; None if there is none that can be read."""
    try:
        return None if stored is None else QueuedRun.decode(stored)
    except (ValueError, RecursionError):
        return None


# ── as machines show it ───────────────────────────────────────────────────────────────────────────────────────────────


def slot_status(stored: bytes | None) -> str | None:
    """Whether a run is `waiting` for a slot or has it (`held`), by what is stored under its name; None if nothing is."""
    if stored is None:
        return None
    return "held" if place_in(stored) is None else "waiting"


def with_slots(runs: Iterable[dict[str, Json]], slots: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Runs of activities as `snapshot` shows them, each with its slot, if it has a limit."""
    return [{**run, "slot": slots[str(run["token"])]} if run["token"] in slots else run for run in runs]
