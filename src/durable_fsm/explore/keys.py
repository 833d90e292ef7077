"""When two machines count as the same: the abstraction that makes the search end.

Two machines are the same if they have the same active states, the same data as far as its views show it, and wait for the
same things, where equal things count at most *k* times. Tokens, ids that callbacks draw, and texts made up as samples are
numbered in the order in which they appear: only whether two of them are equal matters. The search continues from the one that was found first: each violation really happens,
and a run without one is as good as its bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, plain
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.explore.domains import BadProofs
from durable_fsm.explore.player import LIFE, Position, move_of

MOST_EXACT = 8
"""Values of a member that are distinguished; with more of them, only its sign or its size counts."""

UUID_TEXT = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

LATE = r"activity '[^'\"]+' did not end within [^\"\\]*"

View = Mapping[str, Callable[[Any], object]]  # Any: a member of the data, as plain JSON

_to_text = msgspec.json.Encoder(order="deterministic").encode


class Keys:
    """Makes the key of a machine: 16 bytes that are equal for machines that count as the same.

    Attributes:
        coarse: members of the data of which only the sign or the size counts, because they took too many values.
        is_exact: whether the last key tells its machine from all others, so that nothing was counted or viewed away.
        seen: the values that each member and each list of things has shown, at most some more than are distinguished.
    """

    def __init__(self, chart: Chart, *, k: int = 1, view: View | None = None, made: Iterable[str] = ()) -> None:
        self.k = k
        self.view = dict(view or {})
        self.coarse: set[str] = set()
        self.is_exact = True
        self.seen: dict[str, set[str]] = {}
        self._members: dict[bytes, Json] = {}
        texts = "|".join(re.escape(canonical(text)[1:-1]) for text in sorted(made, key=len, reverse=True))
        pattern = rf'\\?"({UUID_TEXT}|{re.escape(LIFE)}(?:\.\d+)+|{LATE}{"|" if texts else ""}{texts})\\?"'
        self._names = re.compile(pattern)
        known = (chart.data.schema() or {}).get("properties")
        for name in self.view:
            if isinstance(known, dict) and name not in known:
                raise BadProofs(f"view: {chart.name}'s data has no member '{name}'. It has: {', '.join(known)}.")

    def of(self, at: Position) -> bytes:
        """The key of a machine."""
        self.is_exact = not (self.coarse or self.view)
        state: tuple[Any, ...] = self._state(at, self._viewed)
        if at.members:
            inside = [(one.path, one.chart, self._state(one.at, self._seen_inside)) for one in at.members]
            state = (state, inside, self._capped("deliveries", [(one.to, move_of(one.news).words) for one in at.post]))
        text = _to_text(state).decode()
        numbers: dict[str, str] = {}

        def number(found: re.Match[str]) -> str:
            return numbers.setdefault(found[1], f'"#{len(numbers)}"')

        return blake2b(self._names.sub(number, text).encode(), digest_size=16).digest()

    @staticmethod
    def _seen_inside(data: Json) -> Json:
        """The data of a machine that runs inside: all of it."""
        return data

    def _state(self, at: Position, viewed: Callable[[Json], Json]) -> tuple[Any, ...]:
        """The parts of one machine that count."""
        snapshot = at.snapshot
        return (
            snapshot.configuration,
            snapshot.status,
            viewed(snapshot.data),
            snapshot.history,
            snapshot.finished,
            at.held.id if at.held is not None else None,
            (snapshot.failure.type, snapshot.failure.source) if snapshot.failure is not None else None,
            snapshot.answer,
            *(self._capped(name, things) for name, things in waited_for(snapshot)),
            self._capped("messages", [(one.to, one.event) for one in at.posted]),
        )

    def coarser(self) -> bool:
        """Let the members count by sign or size that took too many values; whether there are new ones."""
        many = {
            name
            for name, values in self.seen.items()
            if len(values) > MOST_EXACT and name.startswith("$.") and name[2:] not in self.view
        }
        if many <= self.coarse:
            return False
        self.look_coarsely(self.coarse | many)
        return True

    def look_coarsely(self, members: Iterable[str]) -> None:
        """Let these members count by sign or size only."""
        self.coarse = set(members)
        self._members.clear()

    def learn(self, seen: Mapping[str, Iterable[str]]) -> None:
        """Remember values that others have seen."""
        for name, values in seen.items():
            self.seen.setdefault(name, set()).update(values)

    def _viewed(self, data: Json) -> Json:
        if not isinstance(data, dict):
            return data
        text = _to_text(data)
        known = self._members.get(text)
        if known is None:
            known = self._members[text] = {name: self._member(name, value) for name, value in data.items()}
        return known

    def _member(self, name: str, value: Json) -> Json:
        look = self.view.get(name)
        if look is not None:
            value = plain(look(value))
        self._note(f"$.{name}", canonical(value))
        return coarsened(value) if f"$.{name}" in self.coarse else value

    def _note(self, name: str, value: str) -> None:
        values = self.seen.setdefault(name, set())
        if len(values) <= 64:
            values.add(self._names.sub('"#"', value))

    def _capped(self, name: str, things: list[Any]) -> list[Any]:
        if not things:
            return things
        if len(things) == 1:
            counted = [(things[0], 1)]
        else:
            counts = Counter(things)
            self.is_exact = self.is_exact and max(counts.values()) <= self.k
            counted = [(thing, min(count, self.k)) for thing, count in counts.items()]
            counted.sort(key=lambda one: self._names.sub("#", _to_text(one).decode()))
        self._note(name, f"{len(things)}")
        return counted


def waited_for(snapshot: Snapshot) -> list[tuple[str, list[Any]]]:  # Any: tuples of plain values
    """The things that a machine waits for and remembers, each as plain values without its token."""
    return [
        (
            "timers",
            [
                (one.event, one.state, one.activity is None, one.id, canonical(one.payload), one.to)
                for one in snapshot.timers
            ],
        ),
        (
            "activities",
            [
                (one.id, one.state, one.parked, one.failed, one.waiting, tuple(sorted(set(one.undone))))
                for one in snapshot.activities
            ],
        ),
        ("undo", [(one.id, one.state, bool(one.undoing)) for one in snapshot.undo]),
        ("stopping", [(one.id, one.state, one.overdue) for one in snapshot.stopping]),
        ("deferred", [(one.event, canonical(one.payload)) for one in snapshot.deferred]),
        (
            "children",
            [(one.id, one.chart, one.state, one.place, one.part, one.ended, one.failed) for one in snapshot.machines],
        ),
    ]


def coarsened(value: Json) -> Json:
    """A number by its sign, a list or an object by whether it has none, one or many, a text by whether it is empty."""
    match value:
        case None | bool():
            return value
        case int() | float():
            return "+" if value > 0 else "-" if value < 0 else "0"
        case str():
            return "text" if value else ""
        case list() | dict():
            return ("none", "one", "many")[min(len(value), 2)]
