"""The words of diagrams: for durations, events, guards and actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from durable_fsm.core.chart import Activity, Chart, Each, Kind, State, Timer, Transition
from durable_fsm.core.limits import GRANTED, Limit
from durable_fsm.core.program import index_of
from durable_fsm.diagram.graph import EdgeKind, Part, Role, Row

LONGEST = 44
"""The longest part, in characters. Longer ones are cut; the tooltip has the whole text."""

MANY = 4
"""Arrows that lead from everywhere to the same place; fewer are drawn one by one."""

_UNITS = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("min", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
    ("µs", timedelta(microseconds=1)),
)


def duration(length: timedelta) -> str:
    """A duration in words: `15 min`, `1 h 30 min`, `7 d`."""
    words: list[str] = []
    rest = length
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words) or "0 s"


def timed(timer: Timer) -> str:
    """When a timer fires: `after 15 min`, `every 1 h`; or by name if computed: `after patience`, `at due_date`."""
    length = duration(timer.after) if timer.when is None else timer.when.name
    word = "every" if timer.recurring else "at" if timer.instant else "after"
    return f"{word} {length}"


def cut(text: str) -> str:
    """The text, cut to `LONGEST` characters with an ellipsis."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def conditions_of(transition: Transition) -> list[str]:
    """The validators and guards of a transition."""
    return [*(f"valid: {check.name}" for check in transition.validators), *(guard.label for guard in transition.guards)]


def actions_of(transition: Transition) -> list[str]:
    """The names of the actions of a transition, in the order in which they run."""
    return [action.name for action in (*transition.before, *transition.actions, *transition.after)]


def _limit_of(activity: Activity) -> list[Row]:
    """How many runs there may be at once, and how the next one is chosen: `limit bank, 20 at once`, `next lowest urgency`."""
    if activity.limit is None:
        return []
    limit, priority = activity.limit, activity.priority
    text = f"{limit.name}, {limit.slots} at once" if isinstance(limit, Limit) else f"{limit} at once"
    rows: list[Row] = [(Part(Role.KEYWORD, "limit"), Part(Role.TEXT, cut(text)))]
    if priority != 0:
        word, name = ("priority", str(priority)) if isinstance(priority, int) else ("next", f"lowest {priority.name}")
        rows.append((Part(Role.KEYWORD, word), Part(Role.TEXT, cut(name))))
    return rows


def shared_actions(chart: Chart) -> tuple[str, ...]:
    """The actions that every transition of a chart has, in order; none in a chart of fewer than three transitions."""
    first, *others = [actions_of(transition) for transition in chart.transitions] or [[]]
    if len(others) < 2:
        return ()
    return tuple(name for name in dict.fromkeys(first) if all(name in other for other in others))


def automatic_events(chart: Chart) -> frozenset[str]:
    """The private events `to_<state>` that a library added, each with a transition from every state that can be left."""
    sources: dict[str, set[str]] = {}
    for edge in chart.transitions:
        if len(edge.events) == len(edge.targets) == 1 and edge.events[0] == f"to_{edge.targets[0].replace('.', '_')}":
            sources.setdefault(edge.events[0], set()).add(edge.source)
    top = {id for id in chart.root.children if chart.states[id].kind is not Kind.FINAL}
    private = {name for name, event in chart.events.items() if not event.public}
    return frozenset(event for event, found in sources.items() if event in private and found >= top)


def edges_from_anywhere(chart: Chart) -> frozenset[str]:
    """The keys of the transitions that lead out of every state that can be left, in the same way to the same place."""
    alike: dict[tuple[object, ...], list[Transition]] = {}
    for edge in chart.transitions:
        if edge.targets:
            alike.setdefault((edge.events, edge.targets, *conditions_of(edge), *actions_of(edge)), []).append(edge)
    top = {id for id in chart.root.children if chart.states[id].kind is not Kind.FINAL}
    found: set[str] = set()
    for edges in alike.values():
        sources = {edge.source for edge in edges}
        if len(sources) >= MANY and sources.issuperset(top - set(edges[0].targets)):
            found.update(edge.key for edge in edges)
    return frozenset(found)


class Words:
    """The words for the transitions and states of one chart."""

    def __init__(self, chart: Chart, *, once: frozenset[str] = frozenset()) -> None:
        """Make the words; the actions named in *once* are left out of labels, because a picture shows them once."""
        self.chart = chart
        self.once = once
        self.homes = {activity.id: state for state in chart.states.values() for activity in state.activities}
        self.homes |= {child.id: state for state in chart.states.values() for child in state.machines if child.id}
        self.timers: dict[str, list[tuple[str, Timer]]] = {}
        for state in chart.states.values():
            for timer in state.timers:
                self.timers.setdefault(timer.event, []).append((state.id, timer))

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def kind(self, transition: Transition) -> EdgeKind:
        """The kind of the first of its events."""
        if not transition.events:
            return EdgeKind.ALWAYS
        return EdgeKind(self._event(transition, transition.events[0]).role.value)

    def row(self, transition: Transition, shorten: Callable[[str], str] = cut) -> Row:
        """The parts of the label on an edge: `checkout, buy`, `[has_items]`, `/ reserve`."""
        parts = [self._event(transition, event) for event in transition.events]
        merged: list[Part] = []
        for part in parts:
            if merged and merged[-1].role == part.role == Role.EVENT:
                merged[-1] = Part(Role.EVENT, f"{merged[-1].text}, {part.text}")
            elif part not in merged:
                merged.append(part)
        if conditions := conditions_of(transition):
            merged.append(Part(Role.GUARD, f"[{', '.join(conditions)}]"))
        if actions := [name for name in actions_of(transition) if name not in self.once]:
            merged.append(Part(Role.ACTION, f"/ {', '.join(actions)}"))
        return tuple(Part(part.role, shorten(part.text)) for part in merged)

    def events(self, transition: Transition) -> str:
        """Only the events of a transition: `pay, cancel`, `after 15 min`, `always`."""
        return ", ".join(self._event(transition, event).text for event in transition.events) or "always"

    def tooltip(self, transition: Transition) -> str:
        """The whole transition on one line, including the names of the events that the label words otherwise."""
        targets = ", ".join(transition.targets) or "stays"
        row = self.row(transition, str)
        text = " ".join(part.text for part in row) or "always"
        shown = {part.text for part in row}
        behind = [event for event in transition.events if event not in ", ".join(shown).split(", ")]
        events = f" ({', '.join(behind)})" if behind else ""
        internal = ", internal" if transition.internal and transition.targets else ""
        return f"{transition.source} → {targets}{internal}: {text}{events}"

    def _event(self, transition: Transition, event: str) -> Part:
        timers = self.timers_for(transition.source, event)
        if timers:
            return Part(Role.AFTER, " or ".join(dict.fromkeys(map(timed, timers))))
        for kind, role, word in (("done", Role.DONE, "done"), ("error", Role.ERROR, "error")):
            activity = self._suffix(event, f"{kind}.invoke.", self.homes)
            if activity is not None:
                home = self.homes[activity]
                alone = home.id == transition.source and len(home.activities) + len(home.machines) == 1
                return Part(role, word if alone else f"{word} {activity}")
        if (activity := self._suffix(event, GRANTED, self.homes)) is not None:
            home = self.homes[activity]
            around = (transition.source, *index_of(self.chart).ancestors[transition.source])
            alone = home.id in around and len(home.activities) + len(home.machines) == 1
            return Part(Role.DONE, "granted" if alone else f"granted {activity}")
        state = self._suffix(event, "done.state.", self.chart.states)
        if state is not None:
            return Part(Role.DONE, "done" if state == transition.source else f"done {state}")
        if event.startswith("done."):
            return Part(Role.DONE, event)
        if event in ("error", "error.*"):
            return Part(Role.ERROR, "any error")
        if event.startswith("error.") or event in ("error_execution", "error_communication"):
            return Part(Role.ERROR, event.replace("_", "."))
        return Part(Role.EVENT, event)

    def timers_for(self, source: str, event: str) -> list[Timer]:
        """The timers of a state that raise *event*; those of other states, if it has none itself."""
        armed = self.timers.get(event, [])
        return [timer for state, timer in armed if state == source] or [timer for _, timer in armed]

    @staticmethod
    def _suffix(event: str, prefix: str, known: Mapping[str, object]) -> str | None:
        """The known id behind a prefix, or None: `charging` in `done.invoke.charging` or `done_invoke_charging`."""
        for spelling in (prefix, prefix.replace(".", "_")):
            if event.startswith(spelling) and event[len(spelling) :] in known:
                return event[len(spelling) :]
        return None

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, state: State, staying: Iterable[Transition]) -> tuple[Row, ...]:
        """The rows inside a state: entry, exit, activities, machines, timers for other states, targetless transitions."""
        rows: list[Row] = []
        for word, callbacks in (("entry", (*state.entry, *state.done)), ("exit", state.exit)):
            if callbacks:
                names = cut(", ".join(callback.name for callback in callbacks))
                rows.append((Part(Role.KEYWORD, word), Part(Role.TEXT, f"/ {names}")))
        for activity in state.activities:
            role = Role.EXCLUSIVE if activity.exclusive else Role.INVOKE
            word = "invoke" if activity.undoes is None else "undo"
            name = activity.name if activity.undoes is None else activity.undoes or "everything"
            word = f"{word}, exclusive" if activity.exclusive else word
            rows += self._run(role, word, name, activity.each)
            rows += _limit_of(activity)
            if activity.undo is not None:
                word = "undo, from the beginning" if activity.undo.first else "undo"
                rows.append((Part(Role.KEYWORD, word), Part(Role.TEXT, cut(f"/ {activity.undo.name}"))))
        for child in state.machines:
            if child.on_demand:
                text = Part(Role.TEXT, cut(f"{child.name}, on demand"))
                rows.append((Part(Role.INVOKE, "machine"), Part(Role.MANY, "×N"), text))
            else:
                rows += self._run(Role.INVOKE, "machine", child.name, child.each)
        own = {event for edge in self.chart.transitions if edge.source == state.id for event in edge.events}
        rows += [
            (Part(Role.AFTER, timed(timer)), Part(Role.ACTION, f"→ {timer.event}"))
            for timer in state.timers
            if timer.event not in own
        ]
        rows += [self.row(transition) for transition in staying]
        for word, descriptors in (("defers", state.defers), ("ignores", state.ignores)):
            if descriptors:
                rows.append((Part(Role.KEYWORD, word), Part(Role.TEXT, cut(", ".join(descriptors)))))
        return tuple(rows)

    @staticmethod
    def _run(role: Role, word: str, name: str, each: Each | None) -> list[Row]:
        """The row of an activity or a machine: `invoke charge`; of a fan-out `invoke ×N charge, each of cards`, `join any`."""
        if each is None:
            return [(Part(role, word), Part(Role.TEXT, cut(name)))]
        return [
            (Part(role, word), Part(Role.MANY, "×N"), Part(Role.TEXT, cut(f"{name}, each of {each.name}"))),
            (Part(Role.KEYWORD, "join"), Part(Role.TEXT, f"{each.join}")),
        ]
