"""Whether a chart can continue with a stored snapshot of its own version."""

from __future__ import annotations

from durable_fsm.core.chart import Chart, Child, Kind
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import ChildMachine, Snapshot, Status


def incompatibility(chart: Chart, snapshot: Snapshot) -> str | None:
    """Why this chart cannot continue with a snapshot of its version, as a sentence; None if it can.

    Every state, history, timer and activity that the snapshot names must still exist with the same kind. States that
    the chart has gained since do no harm.
    """
    for leaf in snapshot.configuration:
        state = chart.states.get(leaf)
        if state is None or state.kind not in (Kind.ATOMIC, Kind.FINAL):
            return f"It is in state '{leaf}', which the chart no longer has as a leaf."
    if discord := index_of(chart).discord[snapshot.configuration]:
        return f"Its configuration is wrong: {discord}"
    for memory, remembered in snapshot.history.items():
        state = chart.states.get(memory)
        if state is None or not state.kind.is_history or any(id not in chart.states for id in remembered):
            return f"It remembers history '{memory}', which the chart no longer has in this form."
    for timer in snapshot.timers:
        if timer.state is not None and timer.state not in chart.states:
            return f"A timer of state '{timer.state}' is pending, which the chart no longer has."
        own = timer.activity is None and timer.to is None and snapshot.status is not Status.DONE
        if own and not index_of(chart).knows(timer.event):
            return f"Event '{timer.event}' is pending, which the chart no longer knows."
    for running in snapshot.activities:
        if running.state is None:
            if running.id not in chart.detached:
                return f"Work '{running.id}' is running, which the chart no longer declares."
        elif running.id not in chart.activities or running.state not in chart.states:
            return f"Activity '{running.id}' of state '{running.state}' is running, which the chart no longer has."
    for done in snapshot.undo:
        activity = chart.activities.get(done.id)
        if activity is None or activity.undo is None or done.state not in chart.states:
            return f"Activity '{done.id}' of state '{done.state}' can be undone, and the chart no longer says how."
    for stopping in snapshot.stopping:
        if stopping.id not in chart.activities or stopping.state not in chart.states:
            return f"Activity '{stopping.id}' of state '{stopping.state}' is stopping, which the chart no longer has."
    for kept in snapshot.deferred:
        if not index_of(chart).knows(kept.event):
            return f"Event '{kept.event}' is deferred, which the chart no longer knows."
    for child in snapshot.machines:
        if not has_child(chart, child):
            return f"Machine '{child.id}' of state '{child.state}' is running, which the chart no longer has."
    return None


def has_child(chart: Chart, child: ChildMachine) -> bool:
    """Whether the chart declares this child where it runs."""
    state = chart.states.get(child.state)
    return state is not None and child.place < len(state.machines) and not _differs(state.machines[child.place], child)


def _differs(declared: Child, child: ChildMachine) -> bool:
    """Whether it is of another chart, or one is for a list, or begins on demand, and the other is not."""
    of_another = declared.chart is not None and declared.chart.name != child.chart
    of_another |= declared.on_demand is (child.name is None)
    return of_another or (declared.each is None) is not (child.part is None)
