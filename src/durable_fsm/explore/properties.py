"""Properties: what must hold of a chart, in the words of its author."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeAlias

from durable_fsm.core.address import as_part
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical
from durable_fsm.core.messages import Parent
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.values import Json
from durable_fsm.errors import quoted
from durable_fsm.explore.analysis import can_reach, cycles, is_fair, moves_of, round_trip
from durable_fsm.explore.domains import BadProofs, Domain, Domains
from durable_fsm.explore.keys import Keys
from durable_fsm.explore.moment import Moment
from durable_fsm.explore.moves import Move
from durable_fsm.explore.player import FamilyMember, Position, due_after
from durable_fsm.explore.search import Bounds, StateSpace, Watch, search

Question: TypeAlias = Callable[[Moment], object]


class Claim(StrEnum):
    """Kinds of properties."""

    ALWAYS = "always"
    NEVER = "never"
    SOMETIMES = "sometimes"
    CAN_ALWAYS = "can always"
    BY_ITSELF = "by itself"
    MOVES_ON = "moves on"
    RESTS = "rests"
    RECALLS = "recalls"
    BOUNDED = "bounded"
    TAKES = "takes"


@dataclass(frozen=True)
class Property:
    """A sentence that holds of a chart, or does not."""

    name: str
    claim: Claim
    then: Question
    when: Question | None = None

    def holds(self, machine: Explored, domains: Sequence[Domain] = ()) -> bool:
        """Whether it holds of one machine, such as a `Rehearsal`, and of the ways that it can still go.

        Args:
            domains: As in a proofs file.
        """
        chart = machine.chart
        at_once = self.claim in (Claim.ALWAYS, Claim.NEVER)
        start = Position(
            machine.snapshot,
            1,
            due=due_after(machine.snapshot, {}, timedelta(0)),
            members=tuple(_inside(machine)) if at_once else (),
        )
        graph = search(
            chart,
            Domains(chart, domains),
            start=start,
            bounds=Bounds(
                depth=0 if at_once else 1 if self.claim is Claim.MOVES_ON else None,
                events=self.claim not in _WITHOUT_SENDERS,
            ),
            until=self._is_met if self.claim in (Claim.CAN_ALWAYS, Claim.TAKES) else None,
        )
        if self.claim is Claim.TAKES:
            return self.name in graph.taken
        if self.claim is Claim.CAN_ALWAYS:
            return graph.end == "found"
        verdict = judge(graph, self)
        return verdict.holds or (self.claim is Claim.MOVES_ON and verdict.node != 0)

    def _is_met(self, graph: StateSpace, number: int) -> bool:
        return self.name in graph.taken if self.claim is Claim.TAKES else asked(graph, number, self.then)


def always(name: str, holds: Question) -> Property:
    """Claim that *holds* is true in every configuration that the chart can reach."""
    return Property(name, Claim.ALWAYS, holds)


def never(name: str, holds: Question) -> Property:
    """Claim that *holds* is false in every configuration that the chart can reach."""
    return Property(name, Claim.NEVER, holds)


def sometimes(name: str, holds: Question) -> Property:
    """Claim that *holds* is true in at least one configuration that the chart can reach."""
    return Property(name, Claim.SOMETIMES, holds)


def can_always(name: str, then: Question) -> Property:
    """Claim that every configuration has a path to one in which *then* is true."""
    return Property(name, Claim.CAN_ALWAYS, then)


def by_itself(name: str, *, when: Question, then: Question) -> Property:
    """Claim that from each configuration in which *when* is true, timers and outcomes alone lead to one in which *then* is.

    No event needs to be sent. Work that runs ends at some time, in any of its ways, and timers ring.
    """
    return Property(name, Claim.BY_ITSELF, then, when)


class Explored(Protocol):
    """A machine that has a chart and a snapshot, such as a `Rehearsal`."""

    @property
    def chart(self) -> Chart: ...

    @property
    def snapshot(self) -> Snapshot: ...


def _inside(machine: Explored, path: str = "") -> Iterator[FamilyMember]:
    """The machines that run inside a rehearsal, as properties see them."""
    inside: Mapping[str, Explored] = getattr(machine, "machines", {})
    for id, inner in inside.items():
        if getattr(inner, "stored", None) is not None:
            name = f"{path}/{as_part(id)}" if path else as_part(id)
            link = Parent(machine.chart.name, "", inner.snapshot.life, id)
            yield FamilyMember(name, inner.chart.name, link, Position(inner.snapshot, 1))
            yield from _inside(inner, name)


class Verdict(NamedTuple):
    """Whether a property holds.

    Attributes:
        node: the configuration that violates it, or shows it; None where there is none.
        last: a move from there to a machine that counts as known already, and yet violates the property.
        path: moves after the node that belong to the counterexample: once round a cycle.
        error: the last line of the traceback, if the property raised.
        unknown: no answer was found within the bounds.
    """

    name: str
    holds: bool
    node: int | None = None
    path: tuple[Move, ...] = ()
    error: str = ""
    unknown: bool = False
    claim: str = ""
    words: str = ""
    last: tuple[Move, ...] = ()


class Raised(Exception):
    """A property raised; `node` is the configuration that it was asked about."""

    def __init__(self, node: int, error: str) -> None:
        super().__init__(error)
        self.node = node
        self.error = error


def watch(properties: Iterable[Property]) -> Watch:
    """The question to each machine that counts as known: those properties that one configuration can decide."""
    claims = [one for one in properties if one.claim in (Claim.ALWAYS, Claim.NEVER, Claim.SOMETIMES)]

    def decided(moment: Moment) -> list[str]:
        names: list[str] = []
        for one in claims:
            try:
                if bool(one.then(moment)) is (one.claim is not Claim.ALWAYS):
                    names.append(one.name)
            except Exception:  # noqa: BLE001 - a property may raise anything; `asked` tells of it
                return []
        return names

    return decided


def judge(graph: StateSpace, one: Property) -> Verdict:
    """Decide whether a property holds of what was explored."""
    try:
        return _judged(graph, one)._replace(claim=one.claim.value)
    except Raised as raised:
        return Verdict(one.name, holds=False, node=raised.node, error=raised.error, claim=one.claim.value)


def _judged(graph: StateSpace, one: Property) -> Verdict:
    match one.claim:
        case Claim.ALWAYS | Claim.NEVER:
            wanted = one.claim is Claim.NEVER
            node = next((n for n in range(len(graph.nodes)) if asked(graph, n, one.then) is wanted), None)
            seen = graph.sighted.get(one.name)
            if seen is not None and (node is None or graph.nodes[seen[0]].depth + 1 < graph.nodes[node].depth):
                return Verdict(one.name, holds=False, node=seen[0], last=(seen[1],))
            return Verdict(one.name, holds=node is None, node=node)
        case Claim.SOMETIMES:
            node = next((n for n in range(len(graph.nodes)) if asked(graph, n, one.then)), None)
            if node is None and one.name in graph.sighted:
                node = graph.sighted[one.name][0]
            return Verdict(one.name, holds=node is not None, node=node, unknown=node is None and not graph.is_closed)
        case Claim.CAN_ALWAYS:
            goals = [n for n in range(len(graph.nodes)) if asked(graph, n, one.then)]
            reaching = can_reach(graph, goals)
            node = next((n for n in range(len(graph.nodes)) if n not in reaching), None)
            unsure = node is None and not graph.is_closed
            return Verdict(one.name, holds=node is None, node=node, unknown=unsure)
        case Claim.BY_ITSELF:
            return _by_itself(graph, one)
        case Claim.MOVES_ON:
            return _moves_on(graph, one)
        case Claim.RESTS:
            return _rests(graph, one)
        case Claim.RECALLS:
            return _recalls(graph, one)
        case Claim.BOUNDED:
            return _bounded(graph, one)
        case Claim.TAKES:
            return Verdict(one.name, holds=one.name in graph.taken)


def _by_itself(graph: StateSpace, one: Property) -> Verdict:
    when: Question = one.when or bool
    waiting = {n for n in range(len(graph.nodes)) if not asked(graph, n, one.then)}
    asked_for = [n for n in sorted(waiting) if asked(graph, n, when)]
    inside = reached_within(graph, asked_for, waiting)
    unsure = False
    stuck: list[tuple[int, tuple[Move, ...]]] = []
    for number in sorted(inside):
        node = graph.nodes[number]
        if node.out is None:
            unsure = True
        elif not any(not move.is_external for move, _ in moves_of(node)):
            stuck.append((number, ()))
            break
    for part in cycles(graph, inside, by_itself_move):
        if is_fair(graph, part, by_itself_move):
            stuck.append((part[0], tuple(round_trip(graph, part, by_itself_move))))
            break
    if stuck:
        number, path = min(stuck)
        return Verdict(one.name, holds=False, node=number, path=path)
    return Verdict(one.name, holds=True, unknown=unsure)


def _moves_on(graph: StateSpace, one: Property) -> Verdict:
    index = index_of(graph.chart)
    for number, node in enumerate(graph.nodes):
        machine = node.position.snapshot
        if node.out is None or node.out or machine.status is not Status.RUNNING:
            continue
        if any(any(index.stances[machine.configuration, event][0]) for event in graph.unsent):
            continue  # an event that was not sent may move it on
        refused = sorted(event for at, event in graph.refused if at == number)
        why = f"; guards refuse {quoted(refused)}" if refused else ""
        words = f"{where(machine)}: nothing moves it on{why}"
        return Verdict(one.name, holds=False, node=number, words=words)
    return Verdict(one.name, holds=True)


def _rests(graph: StateSpace, one: Property) -> Verdict:
    """Find work that is begun again and again without a pause, or a machine that nothing but its own timers moves."""
    everywhere = set(range(len(graph.nodes)))
    for part in cycles(graph, everywhere, lambda move: move.fails_at_once):
        way = round_trip(graph, part, lambda move: move.fails_at_once)
        if goes_on(graph, part[0], way):
            words = f"{where(graph.nodes[part[0]].position.snapshot)}: fails again and again without a pause"
            return Verdict(one.name, holds=False, node=part[0], path=tuple(way), words=words)
    for part in cycles(graph, everywhere, by_itself_move):
        inside = set(part)
        moves = [(move, to) for number in part for move, to in graph.nodes[number].out or ((None, -1),)]
        if all(move is not None and not move.is_external and to in inside for move, to in moves):
            way = round_trip(graph, part, by_itself_move)
            words = f"{where(graph.nodes[part[0]].position.snapshot)}: loops for ever without an event"
            return Verdict(one.name, holds=False, node=part[0], path=tuple(way), words=words)
    return Verdict(one.name, holds=True)


ROUNDS = 100
"""How often a machine goes round in a cycle before it counts as one without an end."""


def goes_on(graph: StateSpace, number: int, way: Sequence[Move]) -> bool:
    """Whether a real machine goes round in the cycle again and again; a counter may end what looks like one."""
    player = graph.player()
    exact = Keys(graph.chart, k=ROUNDS)
    at = graph.nodes[number].position
    seen = {exact.of(at)}
    for _ in range(ROUNDS):
        for move in way:
            played = player.play(at, move)
            if played.position is None:
                return False
            at = played.position
        key = exact.of(at)
        if key in seen:
            return True
        seen.add(key)
    return True


def _recalls(graph: StateSpace, one: Property) -> Verdict:
    """Find a deferred event that is never processed, whatever happens."""
    names = sorted({kept.event for node in graph.nodes for kept in node.position.snapshot.deferred})
    found: list[tuple[int, str]] = []
    for name in names:
        has = [any(kept.event == name for kept in node.position.snapshot.deferred) for node in graph.nodes]
        reaching = can_reach(graph, graph.recalling.get(name, ()))
        found += [(number, name) for number, there in enumerate(has) if there and number not in reaching][:1]
    if not found:
        return Verdict(one.name, holds=True)
    number, name = min(found)
    words = f"{where(graph.nodes[number].position.snapshot)}: '{name}' is deferred, and never taken from here on"
    return Verdict(one.name, holds=False, node=number, words=words)


def _bounded(graph: StateSpace, one: Property) -> Verdict:
    """Find a cycle of timers and outcomes that makes the machine larger at each round."""
    for part in cycles(graph, range(len(graph.nodes)), by_itself_move):
        way = round_trip(graph, part, by_itself_move)
        name = growing(graph, part[0], way)
        if name:
            place = where(graph.nodes[part[0]].position.snapshot)
            words = f"{place}: {name} grows at each round, until the snapshot is too large to be stored"
            return Verdict(one.name, holds=False, node=part[0], path=tuple(way), words=words)
    return Verdict(one.name, holds=True)


GROWTH = 12
"""Rounds after which a part that was larger after each of the latest ones counts as one that grows."""


def growing(graph: StateSpace, number: int, way: Sequence[Move]) -> str:
    """The part of a machine that grows at each round of a cycle; empty if there is none."""
    player = graph.player()
    at = graph.nodes[number].position
    sizes: dict[str, list[int]] = {}
    for _ in range(GROWTH):
        for move in way:
            played = player.play(at, move)
            if played.position is None:
                return ""
            at = played.position
        snapshot = at.snapshot
        parts: dict[str, Json] = {"work to be undone": [one.id for one in snapshot.undo]}
        if isinstance(snapshot.data, dict):
            parts.update({f"$.{name}": value for name, value in snapshot.data.items()})
        for name, value in parts.items():
            sizes.setdefault(name, []).append(len(canonical(value)))
    latest = {name: found[GROWTH // 2 :] for name, found in sizes.items()}
    return next((name for name, found in latest.items() if all(a < b for a, b in pairwise(found))), "")


def where(machine: Snapshot) -> str:
    """The innermost states of a machine, for people."""
    return " + ".join(machine.configuration)


def takes(transition: str) -> Property:
    """Claim that a transition, named by its key, is taken."""
    return Property(transition, Claim.TAKES, bool)


def may_fill(graph: StateSpace) -> list[tuple[int, str]]:
    """Deferred events that only an event from outside lets a machine take: senders alone may fill the list until then.

    For each the number of a configuration in which it is so.
    """
    found: list[tuple[int, str]] = []
    for name in sorted({kept.event for node in graph.nodes for kept in node.position.snapshot.deferred}):
        reaching = can_reach(graph, graph.recalling_alone.get(name, ()), by_itself_move)
        for number, node in enumerate(graph.nodes):
            machine = node.position.snapshot
            waits = any(kept.event == name for kept in machine.deferred)
            if waits and number not in reaching and machine.status is Status.RUNNING:
                found.append((number, name))
                break
    return found


MOVES_ON = Property("it is never stuck", Claim.MOVES_ON, bool)
RESTS = Property("nothing fails again and again without a pause", Claim.RESTS, bool)
RECALLS = Property("a deferred event can be processed later", Claim.RECALLS, bool)
BOUNDED = Property("nothing grows by itself without end", Claim.BOUNDED, bool)
BUILT_IN = (MOVES_ON, RESTS, RECALLS, BOUNDED)

_WITHOUT_SENDERS = (Claim.BY_ITSELF, Claim.RESTS, Claim.BOUNDED)


def by_itself_move(move: Move) -> bool:
    """Whether a move needs no sender."""
    return not move.is_external


def reached_within(graph: StateSpace, starts: list[int], allowed: set[int]) -> set[int]:
    """The nodes that timers and outcomes reach from some, through allowed ones only."""
    found = set(starts)
    pending = list(starts)
    while pending:
        for move, to in moves_of(graph.nodes[pending.pop()]):
            if not move.is_external and to in allowed and to not in found:
                found.add(to)
                pending.append(to)
    return found


def asked(graph: StateSpace, number: int, question: Question) -> bool:
    """The answer of a question about a node.

    Raises:
        Raised: The question raised.
        BadProofs: It reads something that machines of this chart do not have.
    """
    moment = graph.moment(number)
    try:
        return bool(question(moment))
    except AttributeError as error:
        if isinstance(error.obj, Moment) or error.obj is vars(moment).get("data"):
            near = _near(error)
            raise BadProofs(
                f"a property reads '{error.name}', which {_thing(error, graph)} does not have.{near}", 3
            ) from error
        raise Raised(number, _last_line(error)) from error
    except Exception as error:
        raise Raised(number, _last_line(error)) from error


def _near(error: AttributeError) -> str:
    known = [name for name in dir(error.obj) if not name.startswith("_")]
    near = difflib.get_close_matches(str(error.name), known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def _thing(error: AttributeError, graph: StateSpace) -> str:
    return "a machine" if isinstance(error.obj, Moment) else f"the data of {graph.chart.name}"


def _last_line(error: Exception) -> str:
    return traceback.format_exception_only(error)[-1].strip()
