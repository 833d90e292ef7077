"""Read all that the page of one machine needs, and make its scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from durable_fsm.admin.fleet import Counts
from durable_fsm.admin.past import EntryRecord
from durable_fsm.console import fleet_reading
from durable_fsm.console.facts import MachineFacts, history_of
from durable_fsm.console.live import print_of
from durable_fsm.console.machine_page import MachineScene, Neighbour
from durable_fsm.console.machine_view import shown_of
from durable_fsm.console.reading import KnownChart, ServerReader
from durable_fsm.console.redaction import Redactor
from durable_fsm.console.rendering import PageFrame

TOGETHER = 0.05
"""Seconds for which what was read of a machine serves all who ask."""


class MachineQuery(NamedTuple):
    """The query in the address of a page of a machine."""

    chart: str
    key: str
    n: int | None = None
    show: str = ""
    upto: int | None = None

    @classmethod
    def of(cls, chart: str, query: Mapping[str, str]) -> Self:
        return cls(
            chart, query.get("key", ""), _number(query.get("n")), query.get("show", ""), _number(query.get("upto"))
        )


@dataclass(frozen=True)
class ReadMachine:
    """The texts and charts that were read, decoded; `facts` is None if there is no machine."""

    known: KnownChart | None
    facts: MachineFacts | None
    entries: Sequence[EntryRecord] = ()
    stuck: str = ""
    print: str = ""
    neighbours: Sequence[Neighbour] = ()
    counts: Sequence[tuple[str, int]] = ()
    total: int = 0

    def redactor(self, *, hide_data: bool) -> Redactor:
        return Redactor(self.known, self.facts, hide_data=hide_data)


def read_machine(reader: ServerReader, query: MachineQuery, *, beside: bool = True) -> ReadMachine:
    """Read a machine; with *beside* also what the list beside it shows.

    Its viewers ask at the same moment, when it has moved: they share what one of them has read.
    """
    return reader.remembered(f"{query} {beside}", TOGETHER, lambda: _read_machine(reader, query, beside=beside))


def _read_machine(reader: ServerReader, query: MachineQuery, *, beside: bool) -> ReadMachine:
    known = reader.chart(query.chart)
    texts = reader.texts(query.chart, [query.key]).get(query.key, {})
    facts = MachineFacts.of(query.chart, query.key, texts)
    if facts is None:
        return ReadMachine(known, None)
    numbers = fleet_reading.counts(reader, query.chart) if beside else None
    population = {} if numbers is None else leaves_of(numbers)
    return ReadMachine(
        known,
        facts,
        neighbours=fleet_reading.neighbours(reader, known, query.chart, query.key) if beside else (),
        counts=sorted(population.items(), key=lambda one: (-one[1], one[0]))[:8],
        total=0 if numbers is None else numbers.machines,
        entries=history_of(reader, facts, query.n),
        stuck=reader.stuck(query.chart, query.key),
        print=print_of(texts),
    )


def leaves_of(numbers: Counts) -> dict[str, int]:
    """How many machines are in each innermost state."""
    found: dict[str, int] = {}
    for group in numbers.groups:
        for leaf in group.configuration:
            found[leaf] = found.get(leaf, 0) + group.machines
    return found


def machine_scene(read: ReadMachine, query: MachineQuery, frame: PageFrame, *, hide_data: bool) -> MachineScene:
    """The scene of a machine that exists."""
    assert read.facts is not None
    n = query.n
    latest = int(read.entries[-1]["n"]) if read.entries else 0
    machine = shown_of(
        read.facts,
        read.entries,
        read.known,
        n=None if n is None or not read.entries else max(int(read.entries[0]["n"]), min(n, latest)),
        hide_data=hide_data,
        stuck=read.stuck,
    )
    return MachineScene(
        frame,
        machine,
        show=query.show,
        upto=query.upto,
        neighbours=read.neighbours,
        counts=read.counts,
        total=read.total,
        print=read.print,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
