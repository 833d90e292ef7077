"""Makes one move after the other with the turns that the host runs, and reports the result of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from durable_fsm.core.address import is_address
from durable_fsm.core.chart import Chart, Guard, Transition
from durable_fsm.core.codec import canonical, snapshot_from_json
from durable_fsm.core.effects import Effect, Post, StartActivity
from durable_fsm.core.events import UNREACHABLE, Event, Origin
from durable_fsm.core.limits import GRANTED
from durable_fsm.core.messages import ChildEnd, Message, Parent, Returned
from durable_fsm.core.program import index_of
from durable_fsm.core.questions import UnknownPayload
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Bounced, Turn
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError, DurableFSMError, EventError, MachineError
from durable_fsm.explore.moves import Move, MoveKind, Situation, outcome_of, returned_of, timer_of

KEY = "explored"
"""Key of the machine. With its number of turns it seeds the ids that callbacks draw, here as in `Rehearsal`."""

LIFE = "rehearsed"
BEGAN = datetime(2000, 1, 1, tzinfo=UTC)


class Held(Struct, frozen=True):
    """An exclusive activity that holds its machine, and how its turn came there: a turn is made again, not copied."""

    id: str
    origin: Position
    first: Move
    answers: tuple[Move, ...] = ()


class Position(Struct, frozen=True):
    """A machine between two moves.

    Attributes:
        turns: how many turns it has had.
        now: its clock.
        due: when each timer is due, by token.
        held: the exclusive activity that holds the machine, if one does.
        posted: messages to other machines that may still come back; none where the chart does not listen.
        key, life, parent: of the machine, and the session of the one that runs it as its child.
        members: the machines that run inside this one, where these are explored too; see `family.py`.
        post: deliveries between them that wait until an exclusive activity of their receiver has ended.
    """

    snapshot: Snapshot
    turns: int = 0
    now: timedelta = timedelta(0)
    due: dict[str, timedelta] = {}
    held: Held | None = None
    posted: tuple[Post, ...] = ()
    key: str = KEY
    life: str = LIFE
    parent: str = ""
    members: tuple[FamilyMember, ...] = ()
    post: tuple[FamilyPost, ...] = ()

    @property
    def situation(self) -> Situation:
        """As far as the next moves depend on it."""
        held = self.held.id if self.held is not None else ""
        return Situation(self.snapshot, held, self.due, self.posted, self.now)


class FamilyMember(Struct, frozen=True):
    """A machine that runs inside another one.

    Attributes:
        path: the ids that lead to it from the outermost machine, separated by slashes.
        link: the machine that runs it, as messages find it.
    """

    path: str
    chart: str
    link: Parent
    at: Position


class Birth(Struct, frozen=True, tag="birth", tag_field="kind"):
    """The news that a machine begins, with this data."""

    data: Json = None


class FamilyPost(Struct, frozen=True):
    """Something on its way to the machine with this key."""

    to: str
    news: Birth | Message | ChildEnd | Returned


to_bytes = msgspec.msgpack.Encoder().encode
from_bytes = msgspec.msgpack.Decoder(Position).decode


class Played(NamedTuple):
    """The result of a move.

    Attributes:
        position: after it; None if it was refused, or failed.
        transitions: keys of the transitions that were taken.
        recalled: deferred events that were processed.
        fault: how the chart's own code failed.
        refused: whether the machine did not take it.
        error: with which it refused.
        effects: what it asks of other machines.
        bounced: letters of messages that it had deferred, and drops, each with the error.
    """

    position: Position | None
    transitions: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()
    fault: str = ""
    refused: bool = False
    error: DurableFSMError | None = None
    effects: tuple[Effect, ...] = ()
    bounced: tuple[Bounced, ...] = ()


class GuardAnswers:
    """How often each guard of each transition has said yes, and no."""

    def __init__(self) -> None:
        self.said: set[tuple[str, str, bool]] = set()

    def listening(self, chart: Chart) -> Chart:
        """The chart, with guards whose answers are heard."""
        edges = tuple(
            replace(edge, guards=tuple(self._heard(edge, guard) for guard in edge.guards)) if edge.guards else edge
            for edge in chart.transitions
        )
        return replace(chart, transitions=edges)

    def _heard(self, edge: Transition, guard: Guard) -> Guard:
        call = guard.call

        def answer(scope: Any) -> object:  # Any: a Scope
            said = call(scope)
            if not isinstance(scope.event.payload, UnknownPayload):
                self.said.add((edge.key, guard.label, bool(said) is not guard.negated))
            return said

        return replace(guard, call=answer)


class Player:
    """Makes moves on machines of one chart.

    Args:
        tells: Whether the effects for other machines are wanted.
    """

    def __init__(self, chart: Chart, *, tells: bool = False) -> None:
        self._tells = tells
        self.answers = GuardAnswers()
        self.chart = self.answers.listening(chart)
        self._listens = index_of(chart).knows(UNREACHABLE)
        self._grants = frozenset(id for id in chart.activities if index_of(chart).hears_grant(id))

    def begin(self, first: Move) -> Played:
        """Create a machine, or begin with a snapshot of one, as the first move of a path says.

        Raises:
            MachineError: The snapshot does not fit the chart.
        """
        if first.kind is MoveKind.SNAPSHOT:
            return self._restored(first)
        return self.create(nowhere(self.chart), first)

    def create(self, at: Position, first: Move) -> Played:
        """Create a machine that does not exist yet."""
        turn = Turn(self.chart, None, seed=f"{at.key}/1", now=self._time(at.now))
        return self._made(at, turn, first, lambda: self._act(turn, at, first, at.now), at.now, 1)

    def _restored(self, first: Move) -> Played:
        """Begin with a snapshot, as `Rehearsal(snapshot=…)` does: it is migrated, and lost work is found out."""
        machine = upgrade(self.chart, snapshot_from_json(self.chart, first.payload)).machine
        turn = Turn(self.chart, machine, seed=f"{KEY}/1", now=self._time(timedelta(0)))
        began = Position(machine, due=due_after(machine, {}, timedelta(0)))
        played = self._made(began, turn, first, lambda: self._act(turn, began, first, began.now), began.now, 1)
        return Played(changed(began, turns=1)) if played.refused else played

    def play(self, at: Position, move: Move) -> Played:
        """Make one move."""
        if at.held is not None and move.kind is not MoveKind.LOST:
            return self._answered(at.held, move, at.now)
        origin = changed(at, held=None, turns=at.turns + (at.held is not None), members=(), post=())
        turns, now = origin.turns + 1, self._clock(origin, move)
        turn = Turn(self.chart, at.snapshot, seed=f"{at.key}/{turns}", now=self._time(now))
        return self._made(origin, turn, move, lambda: self._act(turn, origin, move, now), now, turns)

    def _act(self, turn: Turn, at: Position, move: Move, now: timedelta) -> None:
        match move.kind:
            case MoveKind.EVENT if is_creation(move):
                text = canonical(move.payload) if move.payload not in (None, {}) else ""
                turn.create(move.payload, life=at.life, created_from=text, parent=at.parent)
            case MoveKind.SNAPSHOT:
                upgraded = upgrade(self.chart, snapshot_from_json(self.chart, move.payload)).upgrade
                if upgraded is not None:
                    turn.migrate(upgraded)
                turn.begin()
            case MoveKind.EVENT:
                origin = Origin.SOURCE if move.source else Origin.EXTERNAL
                turn.take(Event(move.name, move.payload, origin))
            case MoveKind.TIMER:
                timer = timer_of(at.snapshot, move)
                due, came = BEGAN + at.due[timer.token], BEGAN + now
                turn.deliver(Event("timer", origin=Origin.PLATFORM, token=timer.token, due=due, came=came))
            case MoveKind.LOST:
                turn.begin()
            case MoveKind.NEWS:
                self._hear(turn, at, _news_of(move))
            case MoveKind.RETURNED:
                turn.deliver(returned_of(self.chart, at.snapshot, at.key, sent_by(at.posted, move)))
            case _:
                turn.deliver(outcome_of(at.snapshot, move))

    def _hear(self, turn: Turn, at: Position, news: Birth | Message | ChildEnd | Returned) -> None:
        match news:
            case Birth():
                turn.create(news.data, life=at.life, created_from="", parent=at.parent)
            case Message():
                if not news.family:
                    turn.autostart(life=at.life)
                turn.take(news.for_receiver())
            case ChildEnd():
                turn.deliver(news.for_receiver())
            case Returned():
                event = news.for_receiver(self.chart)
                if event is not None:
                    turn.deliver(event)

    def _answered(self, held: Held, move: Move, later: timedelta) -> Played:
        """Make the turn again up to the activity that holds the machine, and continue with its outcome."""
        origin = held.origin
        turns, now = origin.turns + 1, self._clock(origin, held.first)
        before = None if is_creation(held.first) else origin.snapshot
        turn = Turn(self.chart, before, seed=f"{origin.key}/{turns}", now=self._time(now))
        self._act(turn, origin, held.first, now)
        for answer in held.answers:
            turn.next_call()
            turn.deliver(outcome_of(turn.machine, answer))
        turn.next_call()
        turn.trace.clear()
        earlier = turn.take_effects()  # performed when the activity began
        turn.bounced.clear()
        if later > now:
            now, turn.time = later, self._time(later)  # machines inside this one have moved meanwhile
        deliver: Callable[[], object] = lambda: turn.deliver(outcome_of(turn.machine, move))  # noqa: E731
        return self._made(origin, turn, held.first, deliver, now, turns, (*held.answers, move), earlier)

    def _made(
        self,
        origin: Position,
        turn: Turn,
        first: Move,
        act: Callable[[], object],
        now: timedelta,
        turns: int,
        answers: tuple[Move, ...] = (),
        earlier: Sequence[Effect] = (),
    ) -> Played:
        before = turn.snapshot
        try:
            act()
            call = turn.next_call()
        except (EventError, MachineError) as error:
            return Played(None, refused=True, error=error)
        except ActionError as error:
            return Played(None, fault=str(error))
        if turn.parked:
            return Played(None, fault=str(turn.parked[-1].error))
        after = turn.machine
        taken = tuple(key for microstep in turn.trace for key in microstep.transitions)
        recalled = tuple(one.event for one in turn.log if one.token and one.outcome == "taken")
        if after is before:
            return Played(None, refused=True)
        effects = turn.take_effects() if self._listens or self._grants or self._tells else []
        posted = origin.posted
        if self._listens:
            if first.kind is MoveKind.RETURNED:
                posted = tuple(one for one in posted if one is not sent_by(posted, first))
            posted += tuple(one for one in (*earlier, *effects) if isinstance(one, Post) and is_address(one.to))
        held = None
        if call is not None:
            turns -= 1  # the turn is not over
            held = Held(call.id, origin, first, answers)
        elif self._grants:
            starts = [effect for effect in effects if isinstance(effect, StartActivity)]
            for start in starts:
                if start.id in self._grants and any(one.token == start.token for one in after.activities):
                    turns += 1
                    granted = Turn(self.chart, after, seed=f"{origin.key}/{turns}", now=self._time(now))
                    granted.deliver(Event(f"{GRANTED}{start.id}", origin=Origin.PLATFORM, token=start.token))
                    granted.next_call()
                    after = granted.machine
                    taken += tuple(key for microstep in granted.trace for key in microstep.transitions)
        due = due_after(after, origin.due, now)
        position = Position(after, turns, now, due, held, posted, origin.key, origin.life, origin.parent)
        return Played(position, taken, recalled, effects=tuple(effects), bounced=tuple(turn.bounced))

    def _clock(self, at: Position, move: Move) -> timedelta:
        """The time after a move: a timer is never delivered before it is due."""
        if move.kind is not MoveKind.TIMER:
            return at.now + timedelta(milliseconds=move.after_ms)
        return max(at.now, at.due[timer_of(at.snapshot, move).token])

    def _time(self, now: timedelta) -> datetime | None:
        return BEGAN + now if self.chart.reads_clock else None


def nowhere(chart: Chart) -> Position:
    """A machine that does not exist yet."""
    return Position(Snapshot(chart.name, "", "", (), None, 0, Status.RUNNING))


def _news_of(move: Move) -> Birth | Message | ChildEnd | Returned:
    """The delivery of a move; it is kept as JSON, since a held machine remembers its moves."""
    found: Birth | Message | ChildEnd | Returned = msgspec.convert(move.payload, Birth | Message | ChildEnd | Returned)
    return found


def move_of(news: Birth | Message | ChildEnd | Returned) -> Move:
    """The move that delivers something."""
    name = news.event if isinstance(news, Message) else type(news).__name__
    return Move(MoveKind.NEWS, name, msgspec.to_builtins(news))


def is_creation(move: Move) -> bool:
    """Whether a move creates a machine."""
    return (move.kind, move.name) in ((MoveKind.EVENT, "create"), (MoveKind.NEWS, Birth.__name__))


def sent_by(posted: tuple[Post, ...], move: Move) -> Post:
    """The message that comes back."""
    return [one for one in posted if one.event == move.name][move.place]


def due_after(snapshot: Snapshot, before: dict[str, timedelta], now: timedelta) -> dict[str, timedelta]:
    """When each timer is due: those that are new count from now."""
    if not snapshot.timers:
        return {}
    due: dict[str, timedelta] = {}
    for timer in snapshot.timers:
        known = before.get(timer.token)
        if known is None:
            known = now + timer.after if timer.at is None else timer.at - BEGAN
        due[timer.token] = known
    return due
