"""The moves of a machine: an event, a timer that is due, the outcome of work, a child's end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from datetime import timedelta
from enum import StrEnum
from traceback import format_exception_only
from typing import TypeVar

from msgspec import Struct

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, failure_from_json, failure_to_json, plain
from durable_fsm.core.effects import Post
from durable_fsm.core.events import Event, Letter, Origin
from durable_fsm.core.messages import Returned
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Running, Snapshot, Status, Stopping
from durable_fsm.core.values import Json, changed
from durable_fsm.diagram.words import duration
from durable_fsm.explore.domains import BadProofs, Domains
from durable_fsm.explore.moment import Moment

ANY_ORDER = "any order"
IN_ORDER = "in order"

Waited = TypeVar("Waited", Running, Stopping, ChildMachine)


class MoveKind(StrEnum):
    """Kinds of moves, in the words of story files. NEWS between machines travels with other moves, and is in no story."""

    EVENT = "event"
    TIMER = "timer"
    DONE = "done"
    ERROR = "error"
    LOST = "lost"
    RETURNED = "returned"
    SNAPSHOT = "snapshot"
    NEWS = "news"


class Move(Struct, frozen=True, omit_defaults=True):
    """One thing that happens to a machine.

    Attributes:
        name: of the event, or of the timer's event; the id of the activity or the child; the event of a message.
        payload: of the event; the result, or the failure as JSON.
        late: whether the work was stopped before.
        place: among timers of the same event, or messages of one, in the order in which they were armed, or sent.
        source: whether the event comes from a topic or a webhook, because senders may not send it.
        immediate: whether a timer takes no time.
        child: whether it is a child machine that ends, which takes its time.
        after_ms: how far the clock moves first.
        inside: ids of the child machines that lead to the one that moves, separated by slashes.
    """

    kind: MoveKind
    name: str
    payload: Json = None
    late: bool = False
    place: int = 0
    source: bool = False
    immediate: bool = False
    child: bool = False
    after_ms: int = 0
    inside: str = ""

    @property
    def is_external(self) -> bool:
        """Whether it needs a sender; timers and outcomes come by themselves."""
        return self.kind in (MoveKind.EVENT, MoveKind.RETURNED)

    @property
    def fails_at_once(self) -> bool:
        """Whether it is a failure, or a timer of no length: neither makes a pause, and neither is work that was done."""
        return (self.kind in (MoveKind.ERROR, MoveKind.LOST) and not self.child) or (
            self.kind is MoveKind.TIMER and self.immediate
        )

    @property
    def words(self) -> str:
        """The move for people: `done charging {"receipt":"c"}`."""
        before = f"after {duration(timedelta(milliseconds=self.after_ms))}: " if self.after_ms else ""
        before += f"{self.inside}: " if self.inside else ""
        if self.kind is MoveKind.TIMER and self.name.startswith("error.invoke."):
            return f"{before}deadline {self.name.removeprefix('error.invoke.')}"
        late = " late" if self.late else ""
        kind = "" if self.kind is MoveKind.EVENT else f"{self.kind.value} "
        shown = "" if self.payload is None or self.kind is MoveKind.ERROR else f" {canonical(self.payload)}"
        return f"{before}{kind}{self.name}{late}{shown}"

    @property
    def task(self) -> tuple[str, str]:
        """The work or the timer that this move ends; other outcomes of the same work have the same."""
        kind = "timer" if self.kind is MoveKind.TIMER else "work"
        return kind, f"{self.inside}:{self.name}" if self.inside else self.name


class Situation(Struct):
    """A machine, as far as its next moves depend on it.

    Attributes:
        held: id of the exclusive activity that holds the machine; empty if none does.
        due: when each timer is due, by token.
        posted: messages to other machines that may still come back.
        now: its clock.
    """

    snapshot: Snapshot
    held: str
    due: dict[str, timedelta]
    posted: tuple[Post, ...] = ()
    now: timedelta = timedelta(0)


class Moves:
    """Lists the moves that a chart and its domains allow."""

    def __init__(self, chart: Chart, domains: Domains, timers: str = ANY_ORDER) -> None:
        self.chart = chart
        self.domains = domains
        self.timers = timers
        hosting = chart.hosting
        sources = {event for topic in hosting.sources for event in topic.events}
        sources |= {event for webhook in hosting.webhooks for event in webhook.events}
        named = {event for event in sources if event in chart.events and not chart.events[event].public}
        self._events = [(name, False) for name in chart.public_events] + [(name, True) for name in sorted(named)]

    def of(self, at: Situation) -> Iterator[Move]:
        """Every move of a machine, in an order that is always the same."""
        snapshot = at.snapshot
        if at.held:
            yield from self._outcomes(at.held, late=False, snapshot=snapshot)
            yield Move(MoveKind.LOST, at.held)
            return
        later = self._later(at)
        for move in self._at_rest(at):
            yield move
            if move.kind is not MoveKind.TIMER:
                yield from (changed(move, after_ms=after_ms) for after_ms in later)

    def _later(self, at: Situation) -> list[int]:
        """How far the clock may move before the next move, beside not at all: no timer is due on the way."""
        if not self.chart.reads_clock:
            return []
        first = min(at.due.values(), default=None)
        return [ms for ms in self.domains.clock_ms if first is None or at.now + timedelta(milliseconds=ms) < first]

    def _at_rest(self, at: Situation) -> Iterator[Move]:
        """Every move of a machine that nothing holds."""
        snapshot = at.snapshot
        if snapshot.status is Status.RUNNING:
            yield from self._sent(snapshot)
            for running in _first_of_each(snapshot.activities):
                if not (running.failed or running.waiting or running.parked):
                    yield from self._outcomes(running.id, late=False, snapshot=snapshot)
            for child in _first_of_each(snapshot.machines):
                if not (child.ended or child.failed):
                    for move in self._outcomes(child.id, late=False, snapshot=snapshot):
                        yield changed(move, child=True)
        for stopping in _first_of_each(snapshot.stopping):
            yield from self._outcomes(stopping.id, late=True, snapshot=snapshot)
        yield from self._timers(at)
        if snapshot.status is Status.RUNNING:
            for place, sent in enumerate(at.posted):
                earlier = sum(other.event == sent.event for other in at.posted[:place])
                yield Move(MoveKind.RETURNED, sent.event, place=earlier)

    def events(self, snapshot: Snapshot) -> list[str]:
        """Events that some active state hears; all others are refused or ignored, whatever their payload."""
        index = index_of(self.chart)
        heard: list[str] = []
        for name, _ in self._events:
            candidates, stances = index.stances[snapshot.configuration, name]
            if any(candidates) or any(stance.value == "defer" for stance in stances):
                heard.append(name)
        return heard

    def _sent(self, snapshot: Snapshot) -> Iterator[Move]:
        heard = set(self.events(snapshot))
        for name, source in self._events:
            if name in heard:
                for payload in self._made(name, self.domains.payloads(name), snapshot):
                    yield Move(MoveKind.EVENT, name, payload, source=source)

    def _outcomes(self, id: str, *, late: bool, snapshot: Snapshot) -> Iterator[Move]:
        for result in self._made(id, self.domains.results(id), snapshot):
            yield Move(MoveKind.DONE, id, result, late)
        for failure in self.domains.failures(id):
            yield Move(MoveKind.ERROR, id, failure_to_json(failure), late)

    def _timers(self, at: Situation) -> Iterator[Move]:
        snapshot = at.snapshot
        if snapshot.status is Status.DONE:
            return  # what is left deletes the machine
        first = min(at.due.values(), default=None)
        seen: set[object] = set()
        places = Counter[str]()
        for timer in snapshot.timers:
            place = places[timer.event]
            places[timer.event] += 1
            alike = (timer.event, timer.activity is None, timer.state, canonical(timer.payload), timer.deferred)
            if alike in seen or (snapshot.status is Status.FAILED and timer.activity is None):
                continue
            if self.timers == IN_ORDER and at.due[timer.token] != first:
                continue
            seen.add(alike)
            yield Move(MoveKind.TIMER, timer.event, place=place, immediate=timer.after_ms == 0 and timer.at is None)

    def _made(self, name: str, values: tuple[object, ...], snapshot: Snapshot) -> Iterator[Json]:
        """The values of a domain; those that depend on the machine are worked out for it."""
        for value in values:
            if not callable(value):
                yield plain(value)
                continue
            try:
                made = plain(value(Moment(self.chart, snapshot)))
            except Exception as error:
                last = format_exception_only(error)[-1].strip()
                raise BadProofs(f"domain('{name}', …): its function raised {last}", 3) from error
            self.domains.check(name, made)
            yield made


def _first_of_each(waited: tuple[Waited, ...]) -> Iterator[Waited]:
    """The oldest work of each id: one that is like another is counted once."""
    seen: set[Hashable] = set()
    for one in waited:
        if one.id not in seen:
            seen.add(one.id)
            yield one


def timer_of(snapshot: Snapshot, move: Move) -> PendingSend:
    """The timer that a move delivers."""
    return [timer for timer in snapshot.timers if timer.event == move.name][move.place]


def returned_of(chart: Chart, snapshot: Snapshot, key: str, sent: Post) -> Event:
    """The news that a message was refused."""
    letter = Letter(chart.name, key, snapshot.life, sent.event, sent.to, sent.sendid)
    event = Returned.of(letter, "EventRejected", f"event '{sent.event}' was refused.").for_receiver(chart)
    assert event is not None  # only a chart that listens remembers what it has sent
    return event


def outcome_of(snapshot: Snapshot, move: Move) -> Event:
    """The delivery of a move that ends work, or a child."""
    waited: list[Running | Stopping | ChildMachine] = list(snapshot.stopping)
    if not move.late:
        waited = [*snapshot.activities, *snapshot.machines]
    one = next(one for one in waited if one.id == move.name)
    payload: object = move.payload
    if move.kind is MoveKind.ERROR and isinstance(move.payload, dict):
        payload = failure_from_json(move.payload)
    invokeid = one.id if isinstance(one, ChildMachine) else ""
    name = f"{move.kind.value}.invoke.{move.name}"
    return Event(name, payload, Origin.PLATFORM, token=one.token, invokeid=invokeid)
