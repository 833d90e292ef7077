"""Activities and child machines: begun when the macrostep ends, stopped when their state is left.

Both begin for the states that were entered and are still active then. A fan-out begins one run, or one machine, for each
of its items, and joins their outcomes.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import UNSET

from durable_fsm.core import saga, timers
from durable_fsm.core.callbacks import attempt, execute
from durable_fsm.core.chart import Activity, Callback, Child, Each, Spawn, State
from durable_fsm.core.codec import plain
from durable_fsm.core.deliveries import too_late
from durable_fsm.core.effects import Post, StartActivity, StartMachine, StopActivity, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.fan_out import MOST_ITEMS, MOST_MACHINES, Joining, excess, items_in, kept, of_kept, shortage
from durable_fsm.core.limits import checked_priority
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Running, Status
from durable_fsm.core.values import Json, changed
from durable_fsm.core.working import Working
from durable_fsm.errors import UnknownWork


def invoke(machine: Working) -> None:
    """Start the activities and machines of the states that were entered and are still active."""
    for id in machine.index.in_order(machine.to_invoke):
        state = machine.index.states[id]
        for activity in state.activities:
            start_activity(machine, state, activity)
        start_machines(machine, state)
    machine.to_invoke.clear()


def resume_work(machine: Working, *, machines_of: Collection[str] | None = None) -> None:
    """Begin what the active states declare and what neither runs nor has finished.

    Machines only of the states *machines_of*, if that is given: the snapshot does not say which machines have ended.
    """
    for id in machine.index.in_order(machine.active):
        state = machine.index.states[id]
        finished = machine.finished.get(id, ())
        armed = {timer.event for timer in machine.timers.values() if timer.state == id and timer.activity is None}
        for timer in state.timers:
            if timer.event not in armed and timer.event not in finished:
                timers.start(machine, id, timer)
        running = {running.id for running in machine.activities.values()}
        for activity in state.activities:
            if activity.id not in running and activity.id not in finished:
                start_activity(machine, state, activity)
        wanted = machines_of is None or id in machines_of
        if wanted and not any(child.state == id for child in machine.machines.values()):
            start_machines(machine, state)


def end_of(machine: Working, id: str) -> None:
    """A state is left: nothing that began with it continues."""
    machine.to_invoke.discard(id)
    if id in machine.finished:
        machine.finished = {other: names for other, names in machine.finished.items() if other != id}
    for timer in [timer for timer in machine.timers.values() if timer.state == id and timer.activity is None]:
        timers.disarm(machine, timer)
    for running in [running for running in machine.activities.values() if running.state == id]:
        stop_activity(machine, running)
    for child in [child for child in machine.machines.values() if child.state == id]:
        stop_machine(machine, child)


def end_all(machine: Working) -> None:
    """The machine ends: nothing of it may arrive, run or be waited for any more.

    Failed activities and children stay in the snapshot, to be repaired; stopping work keeps its deadline after a failure.
    """
    for child in list(machine.machines.values()):
        if machine.status is Status.DONE or not child.failed:
            stop_machine(machine, child)
    for running in [running for running in machine.activities.values() if not running.failed]:
        if running.state is None:
            timers.forget(machine, running)
        else:
            stop_activity(machine, running)
    for timer in list(machine.timers.values()):
        if machine.status is Status.DONE or timer.activity not in machine.stopping:
            timers.disarm(machine, timer)


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


def start_activity(machine: Working, state: State, activity: Activity, entry: int | None = None) -> None:
    """Begin an activity; if its input fails that is an `error.execution`, and nothing is begun.

    *entry* is that of an earlier run which this one repeats under the same stable id.
    """
    machine.scope.state = state
    machine.mark_begun(state.id, activity.id)
    priority = activity.priority
    if isinstance(priority, Callback):
        computed = attempt(machine, priority, checked_priority)
        if computed is None:
            return
        priority = computed
    given: Json = None
    if activity.input is not None:
        made = attempt(machine, activity.input, _boxed)
        if made is None:
            return
        (given,) = made
    items = None
    if activity.each is not None:
        found_in = machine.scope.data if activity.input is None else given
        items = _items(machine, f"activity '{activity.id}'", activity.id, activity.each, found_in, MOST_ITEMS)
        if not items:
            machine.mark_finished(state.id, activity.id)
            return
    running = Running(machine.token(), activity.id, state.id, machine.seq if entry is None else entry)
    machine.activities[running.token] = running
    if activity.undoes is None:
        start = StartActivity(
            running.token, activity.id, running.entry, activity.exclusive, given, items, priority=priority
        )
        machine.effects.append(start)
        saga.began(machine, activity, running)
    timers.arm_deadline(machine, running, activity)
    if activity.undoes is not None:
        saga.go_on(machine, running)


def start_detached(machine: Working, work: str, payload: object) -> None:
    """Begin work that no state waits for. Its outcome is awaited only if the chart takes it.

    Raises:
        UnknownWork: the chart does not declare it.
        TypeError: its priority is not a whole number.
        ValueError: it has too many items, or too few.
    """
    activity = machine.chart.detached.get(work)
    if activity is None:
        raise UnknownWork(chart=machine.chart.name, work=work, known=_startable(machine))
    awaited = any(machine.index.knows(f"{outcome}.invoke.{work}") for outcome in ("done", "error"))
    given = plain(payload)
    items = None
    if activity.each is not None:
        items = items_in(activity.each.items(given))
        if problem := excess(items) or shortage(items, activity.each.join):
            raise ValueError(f"work '{work}' was not started: {problem}")
        if not items:
            if awaited:
                machine.enqueue(machine.typed(Event(f"done.invoke.{work}", [], Origin.PLATFORM)))
            return
    priority = activity.priority
    if isinstance(priority, Callback):
        priority = checked_priority(priority.call(machine.scope))
    token = machine.token()
    if awaited:
        machine.activities[token] = Running(token, work, None, machine.seq)
    start = StartActivity(token, work, machine.seq, False, given, items, detached=True, priority=priority)  # noqa: FBT003
    machine.effects.append(start)


def stop_activity(machine: Working, running: Running) -> None:
    """No transition handles the outcome any more; for an undo it may still matter whether the work succeeded."""
    stopping = saga.stopped(machine, running)
    timers.forget(machine, running)
    if not (stopping or running.waiting):
        machine.effects.append(StopActivity(running.token))


def deadline_missed(machine: Working, running: Running, timer: PendingSend, last: object) -> None:
    """An activity took too long: it is stopped, and its failure is the event of the macrostep.

    Args:
        last: the failure of its last attempt, if the host knows of one.
    """
    del machine.timers[timer.token]
    facts = None if machine.chart.activities[running.id].undoes is None else saga.progress(machine, running)
    stop_activity(machine, running)
    machine.mark_finished(running.state, running.id)
    timers.deliver(machine, timer, changed(too_late(running, timer, last), metadata=facts))


def resume_deadlines(machine: Working) -> None:
    """Give a deadline to each activity that is to have one by now, and has none."""
    for running in machine.activities.values():
        if running.state is not None and not timers.has_deadline(machine, running.token):
            timers.arm_deadline(machine, running, machine.chart.activities[running.id])


def _boxed(value: object) -> tuple[Json]:
    """A value that may be None, told apart from a failure."""
    return (plain(value),)


def _items(machine: Working, what: str, id: str, each: Each, found_in: object, most: int) -> tuple[Json, ...] | None:
    """The items of a fan-out. Without any, with too many or with too few, it ends where it would begin."""
    items = attempt(machine, Callback(each.name, lambda _: each.items(found_in)), items_in)
    if items is None:
        return None
    many, few = excess(items, most), shortage(items, each.join)
    if many or few:
        failure = Failure(
            "TooManyItems" if many else "TooFewItems", f"{what} was not started: {many or few}", source=id
        )
        machine.enqueue(Event(f"error.invoke.{id}", failure, Origin.PLATFORM))
        return None
    if not items:
        machine.enqueue(machine.typed(Event(f"done.invoke.{id}", [], Origin.PLATFORM)))
    return items


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def start_machines(machine: Working, state: State) -> None:
    """Begin the children of a state; one that fails on the way is an `error.execution`, and is not begun."""
    for place, child in enumerate(state.machines):
        if child.on_demand:
            continue
        machine.scope.state = state
        spawn = attempt(machine, child, _spawn)
        if spawn is None:
            continue
        if child.each is None:
            _begin(machine, state, place, spawn, spawn.id, spawn.data)
            continue
        items = _items(machine, f"machine '{spawn.id}'", spawn.id, child.each, machine.scope.data, MOST_MACHINES)
        for part, item in enumerate(items or ()):
            _begin(machine, state, place, spawn, f"{spawn.id}.{part}", item, part)


def start_on_demand(machine: Working, id: str, payload: object, name: str) -> None:
    """Begin a machine that a state declares for callbacks to start.

    Raises:
        UnknownWork: the chart does not declare it.
        ValueError: its state is not active, a machine of this name runs already, or too many run.
    """
    if id not in machine.chart.on_demand:
        raise UnknownWork(chart=machine.chart.name, work=id, known=_startable(machine))
    declared = ((state, *found) for state in machine.chart.states.values() for found in enumerate(state.machines))
    state, place, child = next(found for found in declared if found[2].on_demand and found[2].id == id)
    if state.id not in machine.active:
        raise ValueError(f"machine '{id}' was not started: state '{state.id}', which runs it, is not active")
    running = [one for one in machine.machines.values() if (one.state, one.place) == (state.id, place)]
    if any(one.name == name for one in running):
        raise ValueError(f"machine '{id}' was not started: one with the name '{name}' is already running")
    if len(running) >= MOST_MACHINES:
        raise ValueError(f"machine '{id}' was not started: {MOST_MACHINES:,} are running already, which is the maximum")
    _begin(machine, state, place, _spawn(child.call(machine.scope)), f"{id}.{name}", plain(payload), name=name)


def stop_on_demand(machine: Working, id: str, name: str) -> None:
    """End a machine that a callback started; nothing, if it has ended already."""
    for child in [one for one in machine.machines.values() if one.name == name and one.id == f"{id}.{name}"]:
        stop_machine(machine, child)


def _startable(machine: Working) -> tuple[str, ...]:
    return (*machine.chart.detached, *machine.chart.on_demand)


def _begin(
    machine: Working,
    state: State,
    place: int,
    spawn: Spawn,
    id: str,
    data: Json,
    part: int | None = None,
    name: str | None = None,
) -> None:
    token = machine.token()
    id = id or f"{state.id}.{token}"
    machine.machines[token] = ChildMachine(token, id, spawn.chart.name, state.id, place, part, name=name)
    machine.effects.append(StartMachine(token, id, spawn.chart, data))


def _spawn(value: object) -> Spawn:
    if not isinstance(value, Spawn):
        raise TypeError(f"expected a Spawn, got {type(value).__name__}")
    return value


def declared(machine: Working, child: ChildMachine) -> Child:
    """The child as its state declares it."""
    return machine.index.states[child.state].machines[child.place]


def stop_machine(machine: Working, child: ChildMachine) -> None:
    del machine.machines[child.token]
    if not child.ended:
        machine.effects.append(StopMachine(child.token))


def heard_from(machine: Working, child: ChildMachine) -> None:
    """The event of the macrostep is a message of a child, or its end: run what finalizes it."""
    machine.event = changed(
        machine.event, invokeid=child.id, sender=f"{child.chart}.{child.token}", child=child.name or ""
    )
    machine.scope.event = machine.event
    machine.scope.state = machine.index.states[child.state]
    execute(machine, declared(machine, child).finalize)


def part_ended(machine: Working, child: ChildMachine, part: int, each: Each) -> bool:
    """One of several machines ended. True if the event of the macrostep is now the outcome of all.

    Those that still run then are stopped.
    """
    outcome = machine.event.payload
    ending = outcome if isinstance(outcome, Failure) else plain(outcome)
    parts = [one for one in machine.machines.values() if (one.state, one.place) == (child.state, child.place)]
    joining = Joining(each.join, len(parts))
    for place, one in enumerate(parts):
        if one.result is not UNSET:
            joining.ends(place, of_kept(each.join, one.result))
    decided = joining.ends(part, ending)
    machine.machines[child.token] = changed(child, result=kept(each.join, ending))
    if not decided:
        return False
    for one in parts:
        stop_machine(machine, machine.machines[one.token])
    id = child.id.removesuffix(f".{part}")
    if joining.failure is None:
        machine.event = changed(machine.event, name=f"done.invoke.{id}", payload=joining.result, invokeid=id)
    else:
        machine.heard = child
        machine.event = changed(machine.event, name=f"error.invoke.{id}", payload=joining.failure, invokeid=id)
    return True


def forward(machine: Working) -> bool:
    """Send the event on to the children that want to see all of them; False if there are none."""
    keen = [child for child in machine.machines.values() if declared(machine, child).autoforward]
    event = machine.event
    for child in keen:
        machine.effects.append(Post(child.token, event.name, plain(event.payload), event.sendid))
    return bool(keen)
