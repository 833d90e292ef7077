"""The fate of one machine under a build: the verdict, and what happens to the machine in the turn that meets it first.

The build's own functions decide. `upgrade` finds the chart and translates the machine, its data are loaded as the step
loads them, and a `Turn` settles the machine as the host does with the next event. Nothing is predicted beside them, except
whether the machine can still end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from durable_fsm.core.author_code import ANYTHING, named
from durable_fsm.core.chart import Activity, Chart, Timer
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.events import PLATFORM_NAMES, Event, Origin
from durable_fsm.core.migration import Migration, path_from
from durable_fsm.core.program import index_of
from durable_fsm.core.redact import without
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot, Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import Upgrade, Upgraded, upgrade
from durable_fsm.core.values import Misfit, changed
from durable_fsm.core.working import typed
from durable_fsm.diagram.words import duration
from durable_fsm.errors import DurableFSMError, VersionError, quoted
from durable_fsm.plan.mentions import mentioned_in
from durable_fsm.plan.plan_file import PlanVerdict
from durable_fsm.plan.reachability import Reachability

KEPT_WAYS = 64
"""Charts whose ways are remembered: where each machine has a chart of its own, there may be many."""


class Fate(NamedTuple):
    """The effect of a build on one machine. Machines of the same fate are of one kind.

    Attributes:
        version: the one in which the machine is stored.
        states: its active leaves as they are stored.
        becomes: its active leaves afterwards; those that are stored, if nothing changes, and none, if it is blocked.
        words: what happens, one clause each; the reason, if it is blocked, stranded or held.
        needs_you: whether a person has to decide something: it is blocked, stranded or held, or it loses something.
    """

    verdict: PlanVerdict
    version: str
    states: tuple[str, ...]
    becomes: tuple[str, ...]
    words: tuple[str, ...] = ()
    needs_you: bool = False


class Judge:
    """Finds the fates of the machines of one chart.

    Args:
        chart: the chart of the build.
        earlier: charts of builds that are or were deployed, as far as they are known; they may have no code. Only what
            such a chart declares otherwise can be reported as a change.
        others: the other charts of the build, which may raise private events of this one.
    """

    def __init__(self, chart: Chart, earlier: Iterable[Chart] = (), others: Iterable[Chart] = ()) -> None:
        self.chart = chart
        self.earlier = tuple(earlier)
        self._by_digest = {old.digest: old for old in self.earlier}
        self._by_version = {old.version: old for old in reversed(self.earlier)}
        self._mentioned = mentioned_in([*chart.served, *others])
        self._reachability: dict[str, Reachability] = {}

    def fate(self, machine: Snapshot, *, now: datetime | None = None) -> Fate:
        """The fate of a machine; *now* is the time that callbacks of the new turn may read."""
        try:
            found = upgrade(self.chart, machine)
            if machine.status is Status.DONE:
                return Fate(PlanVerdict.OVER, machine.version, machine.configuration, machine.configuration)
            found = found._replace(machine=_loaded(found))
        except DurableFSMError as error:
            return self._blocked(machine, _reason(error))
        except Misfit as error:
            return self._blocked(machine, f"data: {error.problem} at {error.path}")
        old = self.earlier_of(machine)
        held = [one.id for one in machine.activities if _holds(old or self.chart, one, machine)]
        if held:
            words = f"exclusive work {quoted(held)} runs: it follows when that ends; keep the deployment that runs it"
            return _fate(PlanVerdict.HELD, machine, machine.configuration, (words,), needs_you=True)
        try:
            return self._going_on(old, machine, found, now)
        except DurableFSMError as error:
            return self._blocked(machine, _reason(error))
        except ANYTHING as error:  # of the author's code, where the host would answer 500, too
            return self._blocked(machine, named(error))

    def earlier_of(self, machine: Snapshot) -> Chart | None:
        """The chart under which the machine was stored, if it is known."""
        return self._by_digest.get(machine.digest) or self._by_version.get(machine.version)

    def turn(self, found: Upgraded, now: datetime | None = None) -> Turn:
        """The turn with which the host settles a machine, up to the first exclusive activity that it would call."""
        turn = Turn(found.chart, found.machine, seed="plan", now=now if found.chart.reads_clock else None)
        if found.upgrade is not None:
            turn.migrate(found.upgrade)
        turn.begin()
        turn.next_call()
        return turn

    def reachability(self, chart: Chart) -> Reachability:
        found = self._reachability.get(chart.digest)
        if found is None:
            if len(self._reachability) >= KEPT_WAYS:
                self._reachability.clear()
            found = self._reachability[chart.digest] = Reachability(chart, self._mentioned)
        return found

    def _blocked(self, machine: Snapshot, problem: str) -> Fate:
        secrets = self.chart.redaction.texts([machine.data, *(kept.payload for kept in machine.deferred)])
        words = (without(problem, secrets),)
        return _fate(PlanVerdict.BLOCKED, machine, (), words, needs_you=True)

    def _going_on(self, old: Chart | None, machine: Snapshot, found: Upgraded, now: datetime | None) -> Fate:
        chart = found.chart
        after = found.machine
        lost: list[str] = []
        words: list[str] = []
        if found.upgrade is not None or machine.activities:
            turn = self.turn(found, now)
            after = turn.machine
            words += _settled(machine, after, found.upgrade, turn)
            lost += [one.event for one in turn.log if one.failure is not None and one.failure.type == "lost"]
        if (problem := incompatibility(chart, after)) is not None:
            return self._blocked(machine, f"it could not be read any more once it is here: {problem.rstrip('.')}")
        losses = [f"work {name.removeprefix('error.invoke.')} counts as lost" for name in lost]
        losses += _deferred_in_vain(chart, after)
        differs = list(_differences(old, chart, machine, after)) if old is not None else []
        if after.status is Status.RUNNING and (why := self._stranded(old, machine, chart, after)):
            return _fate(PlanVerdict.STRANDED, machine, after.configuration, (why,), needs_you=True)
        moves = machine.version != chart.version
        reconciled = found.upgrade is not None and any(found.upgrade.differences)
        if losses or differs or reconciled:
            told = (*losses, *differs, *words)
            return _fate(PlanVerdict.CHANGES, machine, after.configuration, told, needs_you=bool(losses))
        verdict = PlanVerdict.MOVES if moves else PlanVerdict.STAYS
        return _fate(verdict, machine, after.configuration, tuple(words))

    def _stranded(self, old: Chart | None, machine: Snapshot, chart: Chart, after: Snapshot) -> str:
        """Why a machine could never end, or never do anything, although it could before; empty if it can."""
        pending = {timer.event for timer in after.timers} | {kept.event for kept in after.deferred}
        pending |= {f"{how}.invoke.{one.id}" for one in after.activities for how in ("done", "error")}
        pending |= {f"{how}.invoke.{one.id}" for one in after.machines for how in ("done", "error")}
        here = self.reachability(chart).outlook(after.configuration, pending)
        if here.ends and here.moves:
            return ""
        before = (
            self.reachability(old).outlook(machine.configuration)
            if old is not None
            else self.reachability(chart).beginning()
        )
        if here.moves and not before.ends:
            return ""
        if not here.moves and not before.moves:
            return ""
        if here.shut:
            lead = "leads" if len(here.shut) == 1 else "lead"
            return f"only {quoted(here.shut)} {lead} on, and no sender may send it any more"
        if not here.moves:
            return "nothing leads on from here any more"
        return "it continues, and no way leads to an end any more"


def _fate(
    verdict: PlanVerdict,
    machine: Snapshot,
    becomes: tuple[str, ...],
    words: tuple[str, ...],
    *,
    needs_you: bool = False,
) -> Fate:
    return Fate(verdict, machine.version, machine.configuration, becomes, words, needs_you)


def _reason(error: DurableFSMError) -> str:
    """The reason without what every such error says."""
    if isinstance(error, VersionError) and not error.problem:
        return f"no migration leads here from version '{error.stored}'"
    problem = str(getattr(error, "problem", "") or error.what).rstrip(".")
    return problem[:1].lower() + problem[1:] if isinstance(error, VersionError) else problem


def _loaded(found: Upgraded) -> Snapshot:
    """The machine with its data as the host completes them; raises Misfit if they do not fit their type."""
    type_, machine = found.chart.data, found.machine
    completed = type_.completed(machine.data)
    if completed is not None:
        machine = changed(machine, data=completed.value)
    type_.load({} if machine.data is None else machine.data)
    return machine


def _holds(chart: Chart, running: Running, machine: Snapshot) -> bool:
    """Whether an invocation holds the machine's key while it runs this activity."""
    activity = chart.activities.get(running.id)
    if activity is None or not activity.exclusive or running.parked or running.failed or running.waiting:
        return False
    return all(timer.activity != running.token for timer in machine.timers)


# ── what the turn does ────────────────────────────────────────────────────────────────────────────────────────────────


def _settled(before: Snapshot, after: Snapshot, done: Upgrade | None, turn: Turn) -> Iterator[str]:
    """The clauses about timers, work and transitions of the turn that settles the machine."""
    if done is None:
        return
    yield from _work_words(before.activities, after)
    yield from _timer_words(before, after)
    gone = {child.token for child in before.machines} - {child.token for child in after.machines}
    yield from (f"machine {child.id} is stopped" for child in before.machines if child.token in gone)
    if done.dropped:
        yield f"forgets {quoted(done.dropped)}"
    taken = sum(1 for microstep in turn.trace if microstep.event is None and microstep.transitions)
    if taken:
        yield "one eventless transition is taken" if taken == 1 else f"{taken} eventless transitions are taken"
    if after.status is not before.status:
        yield "ends" if after.status is Status.DONE else "fails"


def _work_words(before: tuple[Running, ...], after: Snapshot) -> Iterator[str]:
    kept = {one.token: one for one in after.activities}
    told: dict[str, None] = {}
    for one in before:
        now = kept.pop(one.token, None)
        if now is None:
            told[f"work {one.id} is stopped"] = None
        elif now.id != one.id:
            told[f"the work continues as {now.id}"] = None
    told |= {f"begins work {one.id}": None for one in kept.values()}
    yield from told


def _timer_words(before: Snapshot, after: Snapshot) -> Iterator[str]:
    kept = {one.token: one for one in after.timers if one.activity is None}
    told: dict[str, None] = {}
    for one in before.timers:
        if one.activity is not None:
            continue
        now = kept.pop(one.token, None)
        if now is None:
            told[f"timer {one.event} ends"] = None
        elif now.event != one.event:
            told[f"timer {one.event} continues as {now.event}"] = None
        else:
            told[f"timer {one.event} keeps its time"] = None
    told |= {f"begins timer {one.event}{_length(one)}": None for one in kept.values()}
    yield from told


def _length(timer: PendingSend) -> str:
    return "" if timer.at_text is not None else f" ({duration(timer.after)})"


def _deferred_in_vain(chart: Chart, machine: Snapshot) -> Iterator[str]:
    """Deferred events that cannot be processed any more; paths and expected types are reported, not the values."""
    for kept in machine.deferred:
        try:
            typed(chart, Event(kept.event, kept.payload, Origin.EXTERNAL))
        except DurableFSMError as error:
            where = getattr(error, "path", "")
            yield f"the deferred {kept.event} is dropped: its payload does not fit{f' at {where}' if where else ''}"


# ── what a changed chart does to those who come later ─────────────────────────────────────────────────────────────────


def _differences(old: Chart, chart: Chart, machine: Snapshot, after: Snapshot) -> Iterator[str]:
    """How the active states, and what runs in them, are declared otherwise than when the machine came to them."""
    if old.digest == chart.digest:
        return
    told: dict[str, None] = {}
    kept = {timer.token for timer in after.timers}
    for armed in machine.timers:
        if armed.state is not None and armed.activity is None and armed.token in kept:
            now = next(timer for timer in after.timers if timer.token == armed.token)
            told |= dict.fromkeys(_timer_differs(_timer_of(old, armed), _timer_of(chart, now)))
    running = {one.token: one for one in after.activities}
    for one in machine.activities:
        if one.token in running:
            before, now_ = old.activities.get(one.id), chart.activities.get(running[one.token].id)
            told |= dict.fromkeys(_work_differs(before, now_))
    path = path_from(machine.version, chart.version, chart.hosting.migrations) or ()
    told |= dict.fromkeys(_edges_differ(old, chart, machine.configuration, after.configuration, path))
    yield from told


def _timer_of(chart: Chart, armed: PendingSend) -> Timer | None:
    state = chart.states.get(armed.state or "")
    return next((timer for timer in state.timers if timer.event == armed.event), None) if state is not None else None


def _timer_differs(before: Timer | None, now: Timer | None) -> Iterator[str]:
    if before is None or now is None or before.when is not None or now.when is not None:
        return
    if before.after != now.after:
        yield f"timer {now.event} is {duration(now.after)} for new ones, {duration(before.after)} for these"


def _work_differs(before: Activity | None, now: Activity | None) -> Iterator[str]:
    if before is None or now is None:
        return
    if before.exclusive != now.exclusive:
        words = "exclusive" if now.exclusive else "in the background"
        yield f"work {now.id} is {words} for new ones, and continues as it began"
    if before.undo is not None and now.undo is None:
        yield f"work {now.id} can no longer be undone"
    if before.deadline != now.deadline:
        yield f"the deadline of work {now.id} is {_within(now)} for new ones, {_within(before)} for these"
    if before.retry.attempts != now.retry.attempts:
        yield f"work {now.id} has {_attempts(now)} for new ones, {_attempts(before)} for these"


def _within(activity: Activity) -> str:
    return duration(activity.deadline) if activity.deadline is not None else "none"


def _attempts(activity: Activity) -> str:
    many = activity.retry.attempts
    return "attempts without end" if many is None else "1 attempt" if many == 1 else f"{many} attempts"


def _edges_differ(
    old: Chart, chart: Chart, before: tuple[str, ...], after: tuple[str, ...], path: tuple[Migration, ...]
) -> Iterator[str]:
    """Events that led on from these states and do not any more, or lead elsewhere. New ones do no harm."""
    stays = {_renamed(leaf, (migration.states for migration in path)) for leaf in before} == {*after}
    if not stays or any(leaf not in old.states for leaf in before):
        return
    here, there = _edges_from(old, before), _edges_from(chart, after)
    for name, targets in here.items():
        event = _renamed(name, (migration.events for migration in path))
        renamed = {frozenset(_renamed(id, (one.states for one in path)) for id in each) for each in targets}
        if event not in there:
            yield f"{event} no longer leads on"
        elif not renamed & there[event]:
            yield f"{event} leads to {_places(there[event])}, and not to {_places(renamed)}"
        elif old.events[name].public and not chart.events[event].public:
            yield f"no sender may send {event} any more"


def _renamed(name: str, names: Iterable[Mapping[str, str]]) -> str:
    """A name after several migrations."""
    for each in names:
        name = each.get(name, name)
    return name


def _edges_from(chart: Chart, leaves: tuple[str, ...]) -> dict[str, set[frozenset[str]]]:
    """The targets of transitions out of these leaves and the states around them, by event that a person names."""
    index = index_of(chart)
    found: dict[str, set[frozenset[str]]] = {}
    for leaf in leaves:
        for id in (leaf, *index.ancestors[leaf]):
            for edge in index.transitions[id]:
                for event in edge.events:
                    if event in chart.events and edge.targets and not event.startswith(PLATFORM_NAMES):
                        found.setdefault(event, set()).add(frozenset(edge.targets))
    return found


def _places(targets: Iterable[frozenset[str]]) -> str:
    return " or ".join(sorted({", ".join(sorted(each)) for each in targets}))
