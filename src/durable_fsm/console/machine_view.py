"""One machine as its page shows it: what `facts` decoded, without what is redacted, in the words of `describing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from msgspec import UnsetType

from durable_fsm.admin.past import EntryRecord, PastMoment, changed_by, data_at, no_chart, past_of
from durable_fsm.console.describing import CLASS_OF, Describer
from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.redaction import Redactor, ShownData, compact, data_of
from durable_fsm.core.address import child_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Json
from durable_fsm.restate.stored.failing import FailingStep

NOWHERE = ("", "")


@dataclass(frozen=True, slots=True)
class ShownFailure:
    """A failure for people; `message` is empty where texts may not be shown."""

    type: str
    message: str
    place: str = ""
    attempts: int = 0

    @property
    def line(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class ShownMoment:
    """A line of the history.

    Attributes:
        label: what happened, in words; `event` is its name.
        left, entered: the innermost states before and after, of those that changed; equal if it stayed.
        segment: the states in which the machine was then, for the timeline.
        who: who sent it, as far as that is recorded.
        payload: what came with it, as far as that is recorded; one line of JSON.
        changes: paths of the data that it changed, as far as that is recorded.
    """

    n: int
    seq: int
    at: int | None
    event: str
    label: str
    kind: str
    outcome: str
    left: str
    entered: str
    moved: bool
    segment: str
    active: tuple[str, ...]
    taken: tuple[str, ...]
    effects: tuple[str, ...]
    failed: bool
    failures: tuple[ShownFailure, ...]
    note: str
    who: str
    payload: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownTimer:
    """A timer that runs: `total` and `due` are milliseconds; `due` is None if the host has not noted it yet."""

    event: str
    declared: str
    state: str
    leads_to: str
    due: int | None
    total: int
    deadline_of: str = ""


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step of an activity that fails, and is tried again."""

    step: str
    item: int | None
    attempt: int
    attempts: int | None
    since: int
    at: int
    next: int
    failure: ShownFailure


@dataclass(frozen=True, slots=True)
class ShownActivity:
    """Work that runs, stops, or has failed with its machine."""

    id: str
    state: str
    status: str
    since: int | None
    steps: tuple[ShownStep, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownItem:
    """A deferred event, a parked delivery, work that can be undone, or a child: a name, and more about it."""

    name: str
    detail: str = ""
    value: str = ""
    link: tuple[str, str] = NOWHERE


@dataclass(frozen=True)
class ShownMachine:
    """Everything that a page may say about a machine.

    Attributes:
        n: the entry that a time traveller looks at; None for the present.
        recorded: whether its history tells what came in and what that changed.
        first: number of the earliest moment here; `kept` is that of the earliest that is kept at all.
    """

    chart: str
    key: str
    known: KnownChart | None
    describer: Describer
    redactor: Redactor
    status: str
    problem: str = ""
    gone: bool = False
    version: str = ""
    digest: str = ""
    life: str = ""
    seq: int = 0
    size: int = 0
    moments: tuple[ShownMoment, ...] = ()
    entries: int = 0
    leaves_now: tuple[str, ...] = ()
    active_now: tuple[str, ...] = ()
    data: ShownData | None = None
    data_why: str = ""
    output: str = ""
    failure: ShownFailure | None = None
    paused: ShownItem | None = None
    stuck: str = ""
    timers: tuple[ShownTimer, ...] = ()
    activities: tuple[ShownActivity, ...] = ()
    deferred: tuple[ShownItem, ...] = ()
    parked: tuple[ShownItem, ...] = ()
    undo: tuple[ShownItem, ...] = ()
    children: tuple[ShownItem, ...] = ()
    parent: tuple[str, str] = NOWHERE
    waiters: int = 0
    letters: int = 0
    recorded: bool = False
    n: int | None = None

    @cached_property
    def moment(self) -> ShownMoment | None:
        """The moment that is shown: the one looked at, or the latest."""
        if self.n is None:
            return self.moments[-1] if self.moments else None
        return next((one for one in self.moments if one.n == self.n), None)

    @property
    def is_live(self) -> bool:
        return self.n is None

    @property
    def active(self) -> tuple[str, ...]:
        return self.active_now if self.is_live or self.moment is None else self.moment.active

    @property
    def leaves(self) -> tuple[str, ...]:
        return self.leaves_now if self.is_live else self.describer.leaves(self.active)

    @property
    def taken(self) -> tuple[str, ...]:
        return () if self.moment is None else self.moment.taken

    @cached_property
    def since(self) -> int | None:
        """When it came where it is now, in milliseconds since 1970."""
        if not self.is_live:
            return None if self.moment is None else self.moment.at
        return next((one.at for one in reversed(self.moments) if one.moved), self.created)

    @property
    def created(self) -> int | None:
        return self.moments[0].at if self.moments and self.moments[0].n == 1 else None

    @property
    def last(self) -> int:
        return self.moments[-1].n if self.moments else 0

    @property
    def first(self) -> int:
        return self.moments[0].n if self.moments else 0

    @property
    def mark(self) -> str:
        return f"{self.life}.{self.seq}"


def shown_of(
    facts: MachineFacts,
    entries: Sequence[EntryRecord],
    known: KnownChart | None,
    *,
    n: int | None = None,
    hide_data: bool = False,
    stuck: str = "",
) -> ShownMachine:
    """Everything that a page may say about a machine.

    Args:
        entries: those of its history, consecutive, up to the latest.
        n: the entry to look at; None for the present.
    """
    chart = None if known is None else known.chart
    describer, redactor = Describer(chart), Redactor(known, facts, hide_data=hide_data)
    found = ShownMachine(facts.chart, facts.key, known, describer, redactor, "unreadable", facts.problem, facts.gone)
    stored = facts.stored
    if stored is None:
        return replace(found, status="gone" if facts.gone else "unreadable", size=facts.size, letters=facts.letters)
    past = past_of(entries, stored.configuration, chart, no_chart if known is None else known.of)
    moments = tuple(_moment(one, describer, redactor) for one in past)
    active = describer.leaves(stored.configuration)
    looked_at = next((one for one in moments if one.n == n), None)
    data, why = _data(stored.data, redactor, looked_at or (moments[-1] if moments else None), n, entries)
    return replace(
        found,
        status=stored.status.value,
        version=stored.version,
        digest=stored.digest,
        life=stored.life,
        seq=stored.seq,
        size=facts.size,
        moments=moments,
        entries=stored.log.entries if stored.log is not None else 0,
        leaves_now=active,
        active_now=_with_ancestors(chart, stored.configuration),
        data=data,
        data_why=why,
        output="" if stored.output is None else compact(redactor.value(stored.output)),
        failure=None if stored.failure is None else _failure(stored.failure, redactor),
        paused=None
        if stored.paused is None
        else ShownItem(redactor.text(stored.paused.reason), str(stored.paused.view["since"])),
        stuck=redactor.text(stuck) if stuck else "",
        timers=_timers(facts, describer),
        activities=_activities(facts, redactor, moments),
        deferred=tuple(ShownItem(one.event, value=_value(one.payload, redactor)) for one in stored.deferred),
        parked=tuple(_parked(one, redactor) for one in facts.parked),
        undo=tuple(ShownItem(one.id, value=_value(one.result, redactor)) for one in reversed(stored.undo)),
        children=tuple(_child(one, facts, redactor) for one in stored.machines),
        parent=NOWHERE if stored.run_by is None else (stored.run_by.chart, stored.run_by.key),
        waiters=facts.waiters,
        letters=facts.letters,
        recorded=bool(entries) and "seed" in entries[-1],
        n=n,
    )


def _with_ancestors(chart: Chart | None, leaves: Sequence[str]) -> tuple[str, ...]:
    if chart is None or any(leaf not in chart.states for leaf in leaves):
        return tuple(leaves)
    return index_of(chart).active_in_order[tuple(leaves)]


def _moment(one: PastMoment, describer: Describer, redactor: Redactor) -> ShownMoment:
    left, entered = describer.way(one)
    record = one.record
    failures = [record[name] for name in ("failure", "error") if isinstance(record.get(name), dict)]
    caught = [
        {"type": f"in {bad.get('callback')}", "message": bad.get("problem", "")} for bad in record.get("errors", ())
    ]
    return ShownMoment(
        n=one.n,
        seq=one.seq,
        at=one.at,
        event=one.event,
        label=describer.event(one),
        kind=CLASS_OF[one.kind],
        outcome=str(record.get("outcome", "taken")),
        left=left,
        entered=entered,
        moved=one.moved,
        segment=" · ".join(describer.name(leaf) for leaf in describer.leaves(one.after)),
        active=tuple(sorted(one.after)),
        taken=one.taken,
        effects=describer.effects(one),
        failed=one.failed,
        failures=tuple(_failure_in(bad, redactor) for bad in (*failures, *caught)),
        note=_note(record.get("note"), redactor),
        who=_who(record.get("by")),
        payload=_value(record["in"], redactor) if "in" in record and "failure" not in record else "",
        changes=tuple(str(change[0]) for change in changed_by(record)),
    )


def _who(by: object) -> str:
    return str(by or "").removeprefix("operator:")


def _note(note: Any, redactor: Redactor) -> str:  # Any: JSON of the host
    """The facts that the host noted: `undone charging`, `reason: asked by phone`."""
    if not isinstance(note, dict):
        return ""
    words = [f"{name.replace('_', ' ')}: {_words(value)}" for name, value in cast("dict[str, Any]", note).items()]
    return redactor.text(" · ".join(words))


def _words(value: Any) -> str:  # Any: JSON of the host
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(_words, value))  # pyright: ignore[reportUnknownArgumentType]
    return compact(value)


def _value(value: Json, redactor: Redactor) -> str:
    if value is None or not redactor.is_open:
        return ""
    return compact(redactor.value(value))


def _failure(failure: Any, redactor: Redactor) -> ShownFailure:  # Any: a `Failure`
    return ShownFailure(failure.type, redactor.text(failure.message), failure.place, failure.attempts)


def _failure_in(bad: dict[str, Any], redactor: Redactor) -> ShownFailure:  # Any: JSON of an entry
    message = redactor.text(str(bad.get("message", "")))
    return ShownFailure(str(bad.get("type", "")), message, str(bad.get("place", "")), int(bad.get("attempts", 0)))


def _data(
    present: Json, redactor: Redactor, moment: ShownMoment | None, n: int | None, entries: Sequence[EntryRecord]
) -> tuple[ShownData | None, str]:
    """The data at the moment that is shown, or why it is not known."""
    if not redactor.is_open:
        return None, redactor.why
    changed = () if moment is None else moment.changes
    if n is None:
        return data_of(redactor.value(present), changed), ""
    value, problem = data_at(entries, n)
    if isinstance(value, UnsetType):
        return None, problem
    return data_of(redactor.value(value), changed), ""


def _timers(facts: MachineFacts, describer: Describer) -> tuple[ShownTimer, ...]:
    stored = facts.stored
    assert stored is not None
    found: list[ShownTimer] = []
    for one in stored.timers:
        due = stored.due.get(one.token)
        if one.at is not None:
            due = int(one.at.timestamp() * 1_000)
        deadline = one.event.removeprefix("error.invoke.") if one.activity is not None else ""
        to = "" if one.to is None else f"sends {one.event} to {one.to}"
        leads = to or describer.leads_to(one.state, one.event)
        found.append(
            ShownTimer(one.event, describer.timer(one.event), one.state or "", leads, due, one.after_ms, deadline)
        )
    return tuple(sorted(found, key=lambda timer: (bool(timer.deadline_of), timer.due or 0)))


def _activities(facts: MachineFacts, redactor: Redactor, moments: Sequence[ShownMoment]) -> tuple[ShownActivity, ...]:
    stored = facts.stored
    assert stored is not None
    begun = {one.seq: one.at for one in moments}
    by_token: dict[str, list[FailingStep]] = {}
    for step in facts.failing:
        by_token.setdefault(step.token, []).append(step)
    found: list[ShownActivity] = []
    for run in stored.activities:
        status = "failed" if run.failed else "parked" if run.parked else "waiting" if run.waiting else "running"
        found.append(_activity(run, status, begun, by_token.pop(run.token, []), redactor))
    for stopping in stored.stopping:
        status = "overdue" if stopping.overdue else "stopping"
        found.append(_activity(stopping, status, begun, by_token.pop(stopping.token, []), redactor))
    for steps in by_token.values():
        shown = tuple(_step(step, redactor) for step in steps)
        found.append(ShownActivity(steps[0].work, "", "detached" if steps[0].detached else "undoing", None, shown))
    return tuple(found)


def _activity(
    run: Any, status: str, begun: dict[int, int | None], steps: list[FailingStep], redactor: Redactor
) -> ShownActivity:  # Any: a run that continues, or stops
    shown = tuple(_step(step, redactor) for step in steps)
    return ShownActivity(run.id, run.state or "", status, begun.get(run.entry), shown)


def _step(step: FailingStep, redactor: Redactor) -> ShownStep:
    failure = ShownFailure(step.type, redactor.text(step.message), step.place, step.attempt)
    return ShownStep(step.step, step.part, step.attempt, step.attempts, step.since, step.at, step.next, failure)


def _parked(one: Any, redactor: Redactor) -> ShownItem:  # Any: a `ParkedDelivery`
    view = one.view
    reason = f"{one.type}: {redactor.text(one.reason)}" if one.type else ""
    detail = f"tried {one.tries} times since {view['since']}, next at {view['next']}"
    return ShownItem(str(view["event"]), detail, reason)


def _child(one: Any, facts: MachineFacts, redactor: Redactor) -> ShownItem:  # Any: a `ChildMachine`
    detail = "failed" if one.failed else "ended" if one.ended else "runs"
    value = _value(one.result, redactor) if one.ended else ""
    link = (one.chart, child_key(facts.key, one.id, one.token))
    return ShownItem(one.name or one.id, f"{one.chart}, {detail}, begun in {one.state}", value, link)
