"""Upgrades of stored machines: find the chart that a machine continues under, and translate the machine for it.

`upgrade` applies the migrations, which only rename and change data. `settle` then makes timers and work agree with the
states that are active: a macrostep of its own, in the turn that uses the machine first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from durable_fsm.core import invocation, saga, timers
from durable_fsm.core.author_code import ANYTHING, named
from durable_fsm.core.chart import ROOT, Chart, Kind
from durable_fsm.core.codec import canonical, plain
from durable_fsm.core.compatibility import has_child, incompatibility
from durable_fsm.core.effects import Cancel, Effect, Outcome, Step, StopActivity, StopMachine
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.macrostep import Macrostep
from durable_fsm.core.migration import Migration, OldActivity, OldEvent, OldMachine, OldTimer, path_from
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Running, Snapshot, Status, Stopping, Undoable
from durable_fsm.core.step import chart_for
from durable_fsm.core.values import Json, Misfit, changed
from durable_fsm.errors import DurableFSMError, MigrationError, VersionError

T = TypeVar("T")


# ── finding the chart ─────────────────────────────────────────────────────────────────────────────────────────────────


class Differences(NamedTuple):
    """The timers, by event, and activities, by id, that a changed chart begins and ends in a machine of its version."""

    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def note(self) -> dict[str, Json]:
        return {name: list(names) for name, names in self._asdict().items() if names}


def differences_of(chart: Chart, machine: Snapshot) -> Differences:
    """Compare what the active states declare with what the machine waits for."""
    if machine.status is not Status.RUNNING:
        ended = machine.status is Status.DONE and chart.hosting.after_end is not None and not machine.timers
        return Differences((timers.AFTER_END,) if ended else ())
    begins: list[str] = []
    ends: list[str] = []
    for id in index_of(chart).active_in_order[machine.configuration]:
        state, finished = chart.states[id], machine.finished.get(id, ())
        armed = [timer.event for timer in machine.timers if timer.state == id and timer.activity is None]
        running = [one.id for one in machine.activities if one.state == id]
        for declared, there in (
            ([timer.event for timer in state.timers], armed),
            ([activity.id for activity in state.activities], running),
        ):
            begins += [name for name in declared if name not in there and name not in finished]
            ends += [name for name in there if name not in declared]
    due = [one for one in machine.activities if one.state is not None and one.id not in ends]
    guarded = {timer.activity for timer in machine.timers}
    for one in due:
        activity = chart.activities[one.id]
        if activity.deadline is not None and not activity.exclusive and one.token not in guarded and not one.failed:
            begins.append(f"error.invoke.{one.id}")
    return Differences(tuple(begins), tuple(ends))


class Upgrade(NamedTuple):
    """The part of an upgrade that is left for `settle`.

    Attributes:
        path: the versions on the way, the machine's own first.
        ended: effects that end what the new chart does not have.
        entered: the active states that were not active before under any name.
        dropped: names of events and histories that the new chart does not know.
        differences: what a chart of the same version begins and ends; empty for another version.
        was: the active leaves before, by their old names.
        renames: new names of states by old ones.
        reason: why an operator asked for it; empty if it came with another request.
    """

    path: tuple[str, ...]
    ended: tuple[Effect, ...]
    entered: frozenset[str]
    dropped: tuple[str, ...]
    differences: Differences = Differences()
    was: tuple[str, ...] = ()
    renames: Mapping[str, str] = MappingProxyType({})
    reason: str = ""

    @property
    def names(self) -> dict[str, Json]:
        """The states before and their new names, for a history that records them."""
        return {"renames": dict(self.renames), "was": list(self.was)}

    @property
    def note(self) -> dict[str, Json]:
        """For the machine's history."""
        note: dict[str, Json] = {"from": self.path[0], "to": self.path[-1], **self.differences.note}
        note |= {"dropped": list(self.dropped)} if self.dropped else {}
        return note | ({"reason": self.reason} if self.reason else {})


class Upgraded(NamedTuple):
    """A stored machine and the chart under which it continues; with the upgrade, if that is another version."""

    chart: Chart
    machine: Snapshot
    upgrade: Upgrade | None = None


def upgrade(chart: Chart, machine: Snapshot) -> Upgraded:
    """Find the chart for a stored machine: the one to which migrations lead, or one that is kept for it.

    Raises:
        VersionError: there is none, or the machine does not fit it.
        MigrationError: a migration cannot be done.
    """
    for one in chart.served:
        path = path_from(machine.version, one.version, one.hosting.migrations)
        if path:
            return _translated(one, machine, path)
        if path is not None:
            own = _own_chart(chart, one, machine)
            problem = incompatibility(own, machine)
            if problem is None:
                return _reconciled(own, machine)
            raise _unserved(chart, machine, problem)
    raise _unserved(chart, machine, "")


def _own_chart(chart: Chart, served: Chart, machine: Snapshot) -> Chart:
    try:
        return chart_for(served, machine.data)
    except DurableFSMError as error:
        raise _unserved(chart, machine, f"Its chart cannot be compiled any more: {error.what}") from error


def _reconciled(chart: Chart, machine: Snapshot) -> Upgraded:
    """A machine of this version whose chart may have changed since: its states may declare other timers and work."""
    differences = Differences() if machine.digest == chart.digest else differences_of(chart, machine)
    if not any(differences):
        return Upgraded(chart, machine)
    found = _translated(chart, machine, ())
    assert found.upgrade is not None
    return found._replace(upgrade=found.upgrade._replace(differences=differences))


def _unserved(chart: Chart, machine: Snapshot, problem: str) -> VersionError:
    served = [one for each in chart.served for one in (each.version, *(way.source for way in each.hosting.migrations))]
    return VersionError(chart=chart.name, stored=machine.version, served=tuple(dict.fromkeys(served)), problem=problem)


def settle(chart: Chart, machine: Snapshot, upgrade: Upgrade, *, seed: str, now: datetime | None = None) -> Step:
    """Make an upgraded machine agree with its chart: a macrostep of its own.

    Begins what its active states declare and what neither runs nor has finished; timers count from now. Then eventless
    transitions are taken, as after any event.

    Raises:
        MigrationError: a callback raised and nothing handled it.
    """
    try:
        run = Macrostep.resume(chart, machine, Event("migrated", origin=Origin.PLATFORM, seed=seed, at=now))
        run.effects.extend(upgrade.ended)
        if run.status is Status.RUNNING:
            invocation.resume_work(run, machines_of=upgrade.entered)
            invocation.resume_deadlines(run)
            saga.resume(run)
            run.complete()
        timers.arm_end(run)
        return run.finish(Outcome.TAKEN)
    except DurableFSMError as error:
        raise _refusal(chart, upgrade.path[0], error.what) from error


def _refusal(chart: Chart, source: str, problem: str) -> MigrationError:
    return MigrationError(chart=chart.name, source=source, to=chart.version, problem=problem)


# ── translating ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _translated(chart: Chart, machine: Snapshot, path: tuple[Migration, ...]) -> Upgraded:
    translation = _Translation(chart, machine)
    for migration in path:
        translation.rename(migration)
        translation.change(migration)
    return translation.result(tuple([migration.source for migration in path] + [chart.version]))


class _Translation:
    """One machine on its way from its own version to that of the chart."""

    def __init__(self, chart: Chart, machine: Snapshot) -> None:
        self.chart = chart
        self.machine = machine
        self.dropped: dict[str, None] = {}
        self.leaves = list(machine.configuration)
        self.renames: dict[str, str] = {}
        self.finished = {state: list(names) for state, names in machine.finished.items()}
        self.children = {child.token: child for child in machine.machines}
        self.undo, self.stopping = machine.undo, machine.stopping
        self.running = machine.activities
        deadlines = [timer for timer in machine.timers if timer.activity is not None]
        self.deadlines = {timer.activity: timer for timer in deadlines}
        self.old = OldMachine(
            version=machine.version,
            status=machine.status.value,
            configuration=list(machine.configuration),
            data=json.loads(canonical(machine.data)),
            history={id: list(states) for id, states in machine.history.items()},
            timers=[
                OldTimer(timer.event, timer.state, timer.payload, timer.token, timer.to)
                for timer in machine.timers
                if timer.activity is None and machine.status is not Status.DONE
            ],
            activities=[OldActivity(running.id, running.state, running.token) for running in machine.activities],
            deferred=[OldEvent(kept.event, kept.payload, kept.token) for kept in machine.deferred],
        )

    # ── one migration ─────────────────────────────────────────────────────────────────────────────────────────────────

    def rename(self, migration: Migration) -> None:
        old, states, events = self.old, migration.states, migration.events

        def work(id: str, state: str | None) -> str:
            return migration.activities.get(id, states.get(id, id) if id == state else id)

        def pending(name: str, state: str) -> str:
            return events[name] if name in events else work(name, state)

        later = {id: new for id, new in states.items() if id not in self.renames.values()}
        self.renames = later | {old: states.get(new, new) for old, new in self.renames.items()}
        old.version = migration.source
        old.configuration = [states.get(id, id) for id in old.configuration]
        old.history = {
            states.get(id, id): [states.get(known, known) for known in remembered]
            for id, remembered in old.history.items()
        }
        for timer in old.timers:
            timer.event = events.get(timer.event, timer.event) if timer.to is None else timer.event
            timer.state = _renamed(timer.state, states)
        for running in old.activities:
            running.id = work(running.id, running.state)
            running.state = _renamed(running.state, states)
        for kept in old.deferred:
            kept.event = events.get(kept.event, kept.event)
        self.finished = {
            states.get(state, state): [pending(name, state) for name in names] for state, names in self.finished.items()
        }
        self.children = {
            token: changed(child, state=states.get(child.state, child.state)) for token, child in self.children.items()
        }
        self.running = tuple(
            changed(one, id=work(one.id, one.state), state=_renamed(one.state, states)) for one in self.running
        )
        self.undo = tuple(
            changed(done, id=work(done.id, done.state), state=states.get(done.state, done.state)) for done in self.undo
        )
        self.stopping = tuple(
            changed(one, id=work(one.id, one.state), state=states.get(one.state, one.state)) for one in self.stopping
        )
        self.leaves = [states.get(id, id) for id in self.leaves]

    def change(self, migration: Migration) -> None:
        if migration.change is None:
            return
        try:
            migration.change(self.old)
        except ANYTHING as error:
            name = getattr(migration.change, "__name__", "the migration")
            raise self.refusal(f"{name} raised {named(error)}.") from error

    # ── results ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def result(self, path: tuple[str, ...]) -> Upgraded:
        """The machine as its new chart has it, checked; raises MigrationError."""
        try:
            return self._result(path)
        except MigrationError:
            raise
        except ANYTHING as error:
            raise self.refusal(f"it left values of the wrong type: {named(error)}.") from error

    def _result(self, path: tuple[str, ...]) -> Upgraded:
        chart, machine = self.chart, self.machine
        leaves = self.configuration()
        active = index_of(chart).active[leaves]
        activities = self.activities(active)
        stopping = self.still_stopping(activities)
        machines = tuple(child for child in self.children.values() if self.has_place(child, active))
        jobs: dict[str, Running | Stopping] = {one.token: one for one in stopping}
        jobs |= {one.token: one for one in activities}
        timers = self.timers(active, jobs, machines)
        after = changed(
            machine,
            version=chart.version,
            digest=chart.digest,
            configuration=leaves,
            data=self.data(),
            history=dict(self.history()),
            timers=timers,
            activities=activities,
            machines=machines,
            deferred=tuple(
                changed(kept, event=old.event, payload=plain(old.payload))
                for old, kept in self.originals(self.old.deferred, machine.deferred)
                if self.knows(old.event)
            ),
            finished=self.still_finished(active),
            undo=self.still_to_be_undone(jobs),
            stopping=stopping,
        )
        ended: tuple[Effect, ...] = (
            *(Cancel(token) for token in _missing(machine.timers, timers)),
            *(
                StopActivity(running.token)
                for running in machine.activities
                if not running.failed and all(running.token != other.token for other in activities)
            ),
            *(StopMachine(token) for token in _missing(machine.machines, machines)),
        )
        stayed = index_of(chart).active[tuple(id for id in leaves if id in self.leaves)]
        upgrade = Upgrade(path, ended, active - stayed, tuple(self.dropped))
        return Upgraded(chart, after, upgrade._replace(was=machine.configuration, renames=self.renames))

    def configuration(self) -> tuple[str, ...]:
        chart, found = self.chart, list(dict.fromkeys(self.old.configuration))
        for id in found:
            state = chart.states.get(id)
            if state is None or id == ROOT:
                raise self.refusal(f"it leads to state '{id}', which the chart does not have.")
            if not state.kind.is_leaf:
                raise self.refusal(f"it leads to '{id}', which is not a leaf: name a state inside it.")
            if state.parent == ROOT and state.kind is Kind.FINAL and self.machine.status is Status.RUNNING:
                raise self.refusal(f"'{id}' is final: a machine ends by its own transitions only.")
        if discord := index_of(chart).discord[tuple(found)]:
            raise self.refusal(discord)
        return index_of(chart).leaves(found)

    def data(self) -> Json:
        if self.old.version == self.chart.version:
            return self.machine.data  # whether it fits is found when the step loads it
        type_ = self.chart.data
        try:
            data = plain(self.old.data)
            checked = type_.dump(type_.load(data))
            # A migration runs again after a crash: the host draws open defaults once.
            return checked if type_.completed(data) is None else data
        except Misfit as error:
            problem = f"its data does not fit {type_.name}: {error.problem} at {error.path}."
            raise self.refusal(problem) from error

    def history(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for id, remembered in sorted(self.old.history.items()):
            state = self.chart.states.get(id)
            if (
                state is None
                or not state.kind.is_history
                or not all(self.is_inside(one, state.parent) for one in remembered)
            ):
                self.dropped[id] = None
            else:
                yield id, tuple(index_of(self.chart).in_order(remembered))

    def is_inside(self, id: str, parent: str | None) -> bool:
        return id in self.chart.states and parent is not None and index_of(self.chart).is_descendant(id, parent)

    def activities(self, active: frozenset[str]) -> tuple[Running, ...]:
        found = self.originals(self.old.activities, self.machine.activities)
        return tuple(changed(kept, id=old.id, state=old.state) for old, kept in found if self.is_declared(old, active))

    def still_stopping(self, kept: tuple[Running, ...]) -> tuple[Stopping, ...]:
        """Work whose end is still of interest: what was stopping, and what the migration stops and could have to undo."""
        left = {running.token for running in kept}
        stopped = [
            Stopping(one.token, one.id, one.state, one.entry)
            for one in self.running
            if one.token not in left and one.state is not None and self.matters(one)
        ]
        for stopping in (*self.stopping, *stopped):
            if stopping.id not in self.chart.activities or stopping.state not in self.chart.states:
                what = f"activity '{stopping.id}' of state '{stopping.state}' is stopping"
                raise self.refusal(f"{what}, which the chart does not have.")
        return (*self.stopping, *stopped)

    def matters(self, stopped: Running) -> bool:
        """Whether the end of work that is stopped will be reported, and is of interest: it can be undone, or undoes."""
        activity = self.chart.activities.get(stopped.id)
        if activity is None or stopped.failed or stopped.waiting:
            return False
        ends = not activity.exclusive or stopped.token in self.deadlines
        return ends and (activity.undo is not None or activity.undoes is not None)

    def still_to_be_undone(self, jobs: Mapping[str, Running | Stopping]) -> tuple[Undoable, ...]:
        """The stack of completed work: none of it may be lost. Work whose undo does not run any more is undone again."""
        for done in self.undo:
            activity = self.chart.activities.get(done.id)
            if activity is None or activity.undo is None or done.state not in self.chart.states:
                problem = f"activity '{done.id}' of state '{done.state}' can be undone, and the chart does not say how."
                raise self.refusal(problem)
        return tuple(done if done.undoing in jobs else changed(done, undoing="") for done in self.undo)

    def is_declared(self, old: OldActivity, active: frozenset[str]) -> bool:
        if old.state is None:
            return old.id in self.chart.detached
        return old.state in active and any(one.id == old.id for one in self.chart.states[old.state].activities)

    def timers(
        self, active: frozenset[str], jobs: Mapping[str, Running | Stopping], machines: tuple[ChildMachine, ...]
    ) -> tuple[PendingSend, ...]:
        """The sends that are still to come, in the order in which they were armed."""
        if self.machine.status is Status.DONE:
            return self.machine.timers if self.chart.hosting.after_end is not None else ()
        kept: dict[str, PendingSend] = {}
        gone = {child.token for child in self.machine.machines} - {child.token for child in machines}
        for old, timer in self.originals(
            self.old.timers, tuple(timer for timer in self.machine.timers if timer.activity is None)
        ):
            renamed = changed(timer, event=old.event, state=old.state, payload=plain(old.payload))
            if old.state is not None:
                declared = old.state in active and any(
                    one.event == old.event for one in self.chart.states[old.state].timers
                )
            else:
                declared = timer.to not in gone if timer.to is not None else self.knows(old.event)
            if declared:
                kept[timer.token] = renamed
        for token, timer in self.deadlines.items():
            job = jobs.get(token or "")
            if job is not None and self.chart.activities[job.id].deadline is not None:
                kept[timer.token] = changed(timer, event=f"error.invoke.{job.id}", state=job.state)
        return tuple(kept[timer.token] for timer in self.machine.timers if timer.token in kept)

    def has_place(self, child: ChildMachine, active: frozenset[str]) -> bool:
        """Whether a child continues: its state is active, and declares a machine in its place, which must be this one."""
        if child.state not in active or child.place >= len(self.chart.states[child.state].machines):
            return False
        if not has_child(self.chart, child):
            raise self.refusal(
                f"its child '{child.id}' of state '{child.state}' runs '{child.chart}', and the chart now declares another machine"
                " there. Leave the state before you deploy, or give the new machine a state of its own."
            )
        return True

    def knows(self, event: str) -> bool:
        known = index_of(self.chart).knows(event)
        if not known:
            self.dropped[event] = None
        return known

    def still_finished(self, active: frozenset[str]) -> dict[str, tuple[str, ...]]:
        found = {id: self.declared(names, id) for id, names in sorted(self.finished.items()) if id in active}
        return {id: names for id, names in found.items() if names}

    def declared(self, names: list[str], id: str) -> tuple[str, ...]:
        """Those of the names that are activities of a state, or events of its timers."""
        state = self.chart.states[id]
        known = {one.id for one in state.activities} | {timer.event for timer in state.timers}
        return tuple(name for name in names if name in known)

    def originals(self, shown: list[Any], stored: tuple[T, ...]) -> Iterator[tuple[Any, T]]:
        """The parts of *stored* that the migration left, each with its view. `Any`: each kind has a view of its own."""
        left = {getattr(one, "token"): one for one in stored}  # noqa: B009 - they have nothing but this in common
        for old in shown:
            one = left.pop(old.token, None)
            if one is None:
                raise self.refusal(
                    "it added something that was not pending before; the chart itself begins what is new."
                )
            yield old, one

    def refusal(self, problem: str) -> MigrationError:
        return _refusal(self.chart, self.machine.version, problem)


def _renamed(name: str | None, names: Mapping[str, str]) -> str | None:
    return None if name is None else names.get(name, name)


def _missing(
    before: tuple[PendingSend | ChildMachine, ...], after: tuple[PendingSend | ChildMachine, ...]
) -> list[str]:
    kept = {one.token for one in after}
    return [one.token for one in before if one.token not in kept]
