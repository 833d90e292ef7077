"""A machine together with those that run inside it.

Each has its own turns, and all have one clock. Messages between them arrive at once, in the order in which they were sent,
unless an exclusive activity holds the receiver: then they wait until the activity has ended. `Rehearsal` carries messages in
the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from durable_fsm.core.address import as_part, child_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import Effect, Post, StartMachine, StopMachine
from durable_fsm.core.events import Letter
from durable_fsm.core.messages import ChildEnd, Message, Parent, Returned, route
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import changed
from durable_fsm.errors import DurableFSMError
from durable_fsm.explore.domains import BadProofs, charts_inside
from durable_fsm.explore.moment import Moment
from durable_fsm.explore.moves import Move
from durable_fsm.explore.player import (
    BEGAN,
    Birth,
    FamilyMember,
    FamilyPost,
    Played,
    Player,
    Position,
    move_of,
    nowhere,
)

MOST_DELIVERIES = 1_000
"""Deliveries after one move; with more of them, two machines send each other messages without end."""


class FamilyPlayer(Player):
    """Makes moves on machines of one chart, and on those that run inside them."""

    def __init__(self, chart: Chart) -> None:
        super().__init__(chart, tells=True)
        self._players: dict[str, Player] = {}
        for one in charts_inside(chart):
            self._players.setdefault(one.name, Player(one, tells=True))

    def player_of(self, chart: str) -> Player:
        """The player of the machines of a chart that runs inside.

        Raises:
            BadProofs: The chart is not known in this process.
        """
        if chart not in self._players:
            raise BadProofs(f"the chart '{chart}' of a child is only known when it begins: leave out --processes.")
        return self._players[chart]

    def begin(self, first: Move) -> Played:
        """Create a machine; those inside it begin with it."""
        return self._followed(super().begin(first), Family((), ()), "")

    def play(self, at: Position, move: Move) -> Played:
        """Make one move of the machine, or of one inside it."""
        family = Family(at.members, at.post)
        if not move.inside:
            return self._followed(super().play(at, move), family, "")
        member = family.at_path(move.inside)
        played = self.player_of(member.chart).play(changed(member.at, now=at.now), changed(move, inside=""))
        if played.position is None:
            return played
        now = played.position.now
        root = changed(at, now=now, members=(), post=())
        run = _FamilyMove(self, root, family.moved(member.path, played.position))
        run.perform(member.path, played)
        return run.settled()

    def _followed(self, played: Played, family: Family, path: str) -> Played:
        """Carry what a turn of the outermost machine asks of others."""
        if played.position is None:
            return played
        run = _FamilyMove(self, played.position, family)
        run.transitions += played.transitions
        run.recalled += played.recalled
        run.perform(path, played)
        return run.settled()

    def learn(self, chart: Chart) -> None:
        """Know a chart that was not known before the machine began."""
        self._players.setdefault(chart.name, Player(chart, tells=True))


class Family(NamedTuple):
    """The machines that run inside another one, and what is on its way between them."""

    members: tuple[FamilyMember, ...]
    post: tuple[FamilyPost, ...]

    def at_path(self, path: str) -> FamilyMember:
        return next(member for member in self.members if member.path == path)

    def moved(self, path: str, at: Position) -> Family:
        """The same, after a move of one of them."""
        return self._replace(members=tuple(changed(one, at=at) if one.path == path else one for one in self.members))


class _FamilyMove:
    """One move, and everything that follows from it at once."""

    def __init__(self, player: FamilyPlayer, root: Position, family: Family) -> None:
        self.player = player
        self.root = root
        self.members = {member.at.key: member for member in family.members}
        self.post = list(family.post)
        self.transitions: tuple[str, ...] = ()
        self.recalled: tuple[str, ...] = ()
        self.fault = ""

    # ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def perform(self, path: str, played: Played) -> None:
        """Do what a turn asks of other machines, and tell the parent of one that has ended."""
        for effect in played.effects:
            self._perform(path, *self._who(path), effect)
        at, link, _ = self._who(path)
        for letter, error in played.bounced:
            self._take_back(letter, error)
        if link is not None and at.snapshot.status is not Status.RUNNING and at.held is None:
            self._remove(at.key)
            self.post.append(FamilyPost(link.key, ChildEnd.of(at.snapshot, link)))

    def _who(self, path: str) -> tuple[Position, Parent | None, str]:
        if not path:
            return self.root, None, self.root.snapshot.chart
        member = next(one for one in self.members.values() if one.path == path)
        return member.at, member.link, member.chart

    def _perform(self, path: str, at: Position, link: Parent | None, chart: str, effect: Effect) -> None:
        match effect:
            case StartMachine():
                self.player.learn(effect.chart)
                key = child_key(at.key, effect.id, effect.token)
                inner = f"{path}/{as_part(effect.id)}" if path else as_part(effect.id)
                begins = changed(
                    nowhere(effect.chart), key=key, life=effect.token, parent=at.snapshot.session, now=self.root.now
                )
                parent = Parent(chart, at.key, effect.token, effect.id)
                self.members[key] = FamilyMember(inner, effect.chart.name, parent, begins)
                self.post.append(FamilyPost(key, Birth(effect.data)))
            case StopMachine():
                for member in list(self.members.values()):
                    if (member.link.key, member.link.token) == (at.key, effect.token):
                        self._remove(member.at.key)
            case Post():
                self._send(at, link, effect)
            case _:
                pass

    def _send(self, at: Position, link: Parent | None, effect: Post) -> None:
        children = {child.token: child for child in at.snapshot.machines}
        found = route(effect, at.snapshot, at.key, children, link)
        if found is not None and (found.key in self.members or self._is_root(found.chart, found.key)):
            self.post.append(FamilyPost(found.key, found.message))
            if effect in at.posted:  # it has a receiver here, so it does not come back from elsewhere
                place = at.posted.index(effect)
                self._keep(changed(at, posted=(*at.posted[:place], *at.posted[place + 1 :])))

    def _keep(self, at: Position) -> None:
        if at.key == self.root.key:
            self.root = at
        else:
            self.members[at.key] = changed(self.members[at.key], at=at)

    def _is_root(self, chart: str, key: str) -> bool:
        return (chart, key) == (self.root.snapshot.chart, self.root.key)

    def _take_back(self, letter: Letter, error: DurableFSMError) -> None:
        """Tell the sender of a message that it was refused, if its chart listens."""
        at = self._at(letter.key)
        if at is None or at.snapshot.chart != letter.chart or at.life != letter.life:
            return
        news = Returned.of(letter, type(error).__name__, str(error))
        player = self.player if at is self.root else self.player.player_of(at.snapshot.chart)
        if news.for_receiver(player.chart) is not None:
            self.post.append(FamilyPost(letter.key, news))

    def _at(self, key: str) -> Position | None:
        if key == self.root.key:
            return self.root
        member = self.members.get(key)
        return None if member is None else member.at

    def _remove(self, key: str) -> None:
        """Forget a machine, those inside it, and what is on its way to them."""
        for member in list(self.members.values()):
            if member.link.key == key:
                self._remove(member.at.key)
        self.members.pop(key, None)
        self.post = [delivery for delivery in self.post if delivery.to != key]

    # ── deliveries ────────────────────────────────────────────────────────────────────────────────────────────────────

    def settled(self) -> Played:
        """Deliver everything that can be delivered; the machine and its family after it."""
        for _ in range(MOST_DELIVERIES):
            place = next((n for n, one in enumerate(self.post) if not self._is_held(one.to)), None)
            if place is None or self.fault:
                break
            self._deliver(self.post.pop(place))
        else:
            self.fault = (
                f"{MOST_DELIVERIES:,} messages follow from one move: two machines answer each other without end"
            )
        if self.fault:
            return Played(None, fault=self.fault)
        members = tuple(changed(one, at=changed(one.at, now=self.root.now)) for one in self.members.values())
        position = changed(self.root, members=members, post=tuple(self.post))
        return Played(position, self.transitions, self.recalled)

    def _is_held(self, key: str) -> bool:
        at = self._at(key)
        return at is not None and at.held is not None

    def _deliver(self, delivery: FamilyPost) -> None:
        at, news = self._at(delivery.to), delivery.news
        if at is None:
            return
        exists = at.turns > 0
        is_running = exists and at.snapshot.status is Status.RUNNING
        is_for_those_who_run = isinstance(news, ChildEnd | Returned) or (isinstance(news, Message) and news.family)
        if is_for_those_who_run and not is_running:
            return
        path = "" if at is self.root else self.members[delivery.to].path
        player: Player = self.player if at is self.root else self.player.player_of(self.members[delivery.to].chart)
        begins = changed(at, members=(), post=(), now=self.root.now)
        move = move_of(news)
        played = player.create(begins, move) if not exists else Player.play(player, begins, move)
        if played.fault and not isinstance(news, Birth | Message):
            self.fault = played.fault
            return
        if played.position is None:
            self._refused(delivery, at, played)
            return
        if at is self.root:
            self.root = played.position
            self.transitions += played.transitions
            self.recalled += played.recalled
        else:
            self.members[delivery.to] = changed(self.members[delivery.to], at=played.position)
        self.perform(path, played)

    def _refused(self, delivery: FamilyPost, at: Position, played: Played) -> None:
        """Count the turn that has changed nothing, and tell the sender of a message, or the parent of a child."""
        self._keep(changed(at, turns=at.turns + 1))
        error = played.error
        if error is None:
            return
        if isinstance(delivery.news, Message):
            self._take_back(delivery.news.letter, error)
        elif isinstance(delivery.news, Birth):
            member = self.members[delivery.to]
            self._remove(delivery.to)
            lost = ChildEnd.lost(member.chart, member.link, type(error).__name__, str(error))
            self.post.append(FamilyPost(member.link.key, lost))


def moment_of(chart: Chart, at: Position) -> Moment:
    """A machine as properties see it, with those that run inside it."""
    charts = {one.name: one for one in charts_inside(chart)} if at.members else {}
    inside = {
        member.path: Moment(charts[member.chart], member.at.snapshot, _now(charts[member.chart], at.now))
        for member in at.members
        if member.chart in charts
    }
    return Moment(chart, at.snapshot, _now(chart, at.now), inside)


def _now(chart: Chart, now: timedelta) -> datetime | None:
    return BEGAN + now if chart.reads_clock else None


def player_for(chart: Chart, *, with_children: bool) -> Player:
    """A player of a chart, with or without the machines that run inside its machines."""
    return FamilyPlayer(chart) if with_children else Player(chart)


def positions_inside(at: Position) -> Iterator[tuple[FamilyMember, Position]]:
    """The machines inside another one, each with its clock."""
    for member in at.members:
        yield member, changed(member.at, now=at.now)
