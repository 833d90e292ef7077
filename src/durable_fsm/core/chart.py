"""The chart: the immutable definition of a machine. Charts are values; they can be compared and exported."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.calls import checked_type
from durable_fsm.core.compiler import Compiler
from durable_fsm.core.durations import Backoff
from durable_fsm.core.export import OMIT_IF_DEFAULT, exported
from durable_fsm.core.limits import Limit
from durable_fsm.core.migration import Migration
from durable_fsm.core.redact import Redaction
from durable_fsm.core.retention import AfterEnd, History
from durable_fsm.core.sources import Kafka, Webhook
from durable_fsm.core.values import Json, Location, ValueType

ROOT = ""
"""Id of the root state: the chart itself, as a compound state that is always active and never listed."""


Query: TypeAlias = Callable[[Any], object]  # Any: data of the author's type, or None


class Kind(StrEnum):
    """Kinds of states, in the words of SCXML."""

    ATOMIC = "atomic"
    COMPOUND = "compound"
    PARALLEL = "parallel"
    FINAL = "final"
    SHALLOW_HISTORY = "shallow_history"
    DEEP_HISTORY = "deep_history"

    @property
    def is_leaf(self) -> bool:
        return self in (Kind.ATOMIC, Kind.FINAL)

    @property
    def is_history(self) -> bool:
        return self in (Kind.SHALLOW_HISTORY, Kind.DEEP_HISTORY)


@dataclass(frozen=True, slots=True)
class Callback:
    """An action: a name for people and a function for the step. Two callbacks are equal if their names are."""

    name: str
    call: Callable[[Any], object] = field(compare=False, repr=False)  # Any: a `Scope`, whose module imports this one
    location: Location | None = field(default=None, compare=False, repr=False)

    def exported(self) -> Json:
        return self.name


@dataclass(frozen=True, slots=True)
class Guard(Callback):
    """A question that permits a transition. `negated` is the `unless` of the libraries."""

    negated: bool = False

    @property
    def label(self) -> str:
        """As diagrams print it: `has_items`, `!has_items`."""
        return f"!{self.name}" if self.negated else self.name

    def exported(self) -> Json:
        return self.label


@checked_type
@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed step is retried, and how long to wait in between.

    Only failures of the work itself count: outages of the platform, deployments and kills do not use up an attempt.

    Attributes:
        attempts: the number of tries, including the first; None means until it succeeds.
        initial: the wait before the second try.
        factor: each wait is this many times as long as the one before.
        maximum: the longest wait.
        give_up_on: types of exceptions that are final. An attempt that takes too long counts as a `TimeoutError`.
    """

    attempts: int | None = None
    initial: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    maximum: timedelta = timedelta(minutes=1)
    give_up_on: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would never try, or wait for no time or without end.

        Raises:
            ValueError: *attempts* is less than 1, *factor* less than 1 or not finite, or a wait is negative.
        """
        if self.attempts is not None and self.attempts < 1:
            remedy = "use 1 or more, or None to try until it succeeds"
            raise ValueError(f"attempts={self.attempts} would never try; {remedy}")
        if not 1 <= self.factor < math.inf:
            raise ValueError(f"factor={self.factor} does not make waits grow; use a number from 1 on")
        for name, wait in (("initial", self.initial), ("maximum", self.maximum)):
            if wait < timedelta(0):
                raise ValueError(f"{name}={wait} is a negative wait; use timedelta(0) or more")

    def delay(self, attempt: int) -> timedelta:
        """How long to wait after the failed try number *attempt* (from 1)."""
        return Backoff(self.initial, self.factor, self.maximum).delay(attempt - 1)

    def gives_up(self, error: BaseException) -> bool:
        """Whether another try is useless after this error."""
        return isinstance(error, self.give_up_on)


Join: TypeAlias = Literal["all", "any", "majority", "settle"] | int
"""How many items of a fan-out must succeed; a number is a quorum. With `settle` none has to, and all run to their end."""


@dataclass(frozen=True, slots=True)
class Each:
    """An activity runs once for each of some items, `at_once` of them at a time; its result lists theirs in order.

    `items` takes them from the input of the activity, without changing it. `join` says when the fan-out has succeeded or
    failed; items that still run then are stopped.
    """

    name: str
    items: Callable[[object], object] = field(compare=False, repr=False)
    at_once: int = 10
    join: Join = "all"


@dataclass(frozen=True, slots=True)
class Undo:
    """How to undo the work of an activity. The core never calls `run`; a host does, elsewhere.

    The work can be undone once the activity has succeeded. With `first` it can be undone from its start on, even if its
    outcome never arrives. `retry` is for the undo alone.
    """

    name: str
    run: Callable[..., object] = field(compare=False, repr=False)
    retry: Retry = Retry()
    first: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """Outside work of a state. The core never calls `run`; a host does, elsewhere.

    An *exclusive* activity holds its machine: events wait at the platform until it ends. A background one leaves the
    machine responsive and is stopped when its state is left; `deadline` counts from the entry of the state. `timeout`
    limits one attempt. `input` computes the input of the work from the machine's data when it starts; without it the work
    receives the data. At most `limit` runs of it are under way at once: over all machines of the chart, or over everything
    that shares the limit, if that has a name. The lowest `priority` comes first; a callback computes it from the data.

    One that `undoes` does no work of its own: it undoes the completed work of the state with this id, the latest first.
    """

    id: str
    name: str
    run: Callable[..., object] = field(compare=False, repr=False)
    exclusive: bool = False
    retry: Retry = Retry()
    deadline: timedelta | None = timedelta(days=1)
    location: Location | None = field(default=None, compare=False, repr=False)
    input: Callback | None = None
    timeout: timedelta | None = None
    limit: int | Limit | None = None
    each: Each | None = None
    undo: Undo | None = field(default=None, metadata={OMIT_IF_DEFAULT: True})
    undoes: str | None = field(default=None, metadata={OMIT_IF_DEFAULT: True})
    priority: int | Callback = field(default=0, metadata={OMIT_IF_DEFAULT: True})


@dataclass(frozen=True, slots=True)
class Spawn:
    """The machine that a state starts; decided at the end of the macrostep that entered the state.

    `id` names the child to its parent (`done.invoke.<id>`, messages to `#_<id>`); empty lets the step make one up.
    `data` is input for the chart's data type; None takes its defaults.
    """

    chart: Chart
    data: Json = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Child(Callback):
    """A machine of its own that runs as long as its state is active; `call` returns the `Spawn`.

    With `on_demand` none begins with the state: callbacks start machines, each by a name, and `call` says of which chart.
    `autoforward` sends it every event from outside. `finalize` runs on each of its messages before transitions
    are chosen. `id` and `chart` are those of the `Spawn`, where they are known beforehand. With `each` there is one
    machine for each of some items, which is its data; all begin together, and their outputs are joined in order.
    """

    autoforward: bool = False
    finalize: tuple[Callback, ...] = ()
    id: str = field(default="", compare=False)
    chart: Chart | None = field(default=None, compare=False, repr=False)
    each: Each | None = None
    on_demand: bool = False

    def exported(self) -> Json:
        more: dict[str, Json] = {} if self.each is None else {"each": exported(self.each)}
        if self.on_demand:
            more["on_demand"] = True
        return {"name": self.name, "autoforward": self.autoforward, "finalize": exported(self.finalize), **more}


class Missed(StrEnum):
    """How to treat ticks of a recurring timer that were due while the machine could not take them.

    SKIP: none of them is processed. ONCE: one is processed for all of them. ALL: each is processed, one after the other.
    """

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Timer:
    """A delay that starts when its state is entered and ends with it. The chart takes `event` when it is over.

    `when` computes it instead of `after`, each time the timer starts: a timedelta, an aware datetime, or None for no
    timer this time; `instant` says that its author means a datetime. A timer of a `calendar` has a `when` of this name.

    A *recurring* timer starts again whenever it is over, as long as its state stays active, and counts from the moment
    at which it was due. `missed` says what happens if it was much too late.
    """

    event: str
    after: timedelta = timedelta(0)
    when: Callback | None = None
    recurring: bool = False
    instant: bool = False
    calendar: Calendar | None = field(default=None, compare=False, repr=False)
    missed: Missed = field(default=Missed.ONCE, metadata={OMIT_IF_DEFAULT: True})


@dataclass(frozen=True, slots=True)
class Transition:
    """An edge of the chart.

    `targets` is empty for a transition that stays where it is, and has several states for a fork. `events` holds
    descriptors as in SCXML (`pay`, `order.*`, `*`); it is empty for an eventless transition. `key` names the edge
    within its chart and does not move when another one is inserted.

    Callbacks run in the order validators, guards, before, (states are left), actions, (states are entered), after. A
    validator that raises rejects the sender's event with its reason; a `before` that raises stops the transition.
    """

    key: str
    source: str
    targets: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    before: tuple[Callback, ...] = ()
    actions: tuple[Callback, ...] = ()
    after: tuple[Callback, ...] = ()
    internal: bool = False
    location: Location | None = field(default=None, compare=False, repr=False)
    validators: tuple[Callback, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """A node of the chart.

    `initial` is the default transition of a compound or history state; without one a compound state begins in its first
    child and a history state where its parent begins. `done` are the entry actions of a final state, whose results are
    the output of the state. Children and everything else are in document order: as the author wrote them.

    `defers` and `ignores` are descriptors of events from outside that the state keeps for later, or ignores.
    """

    id: str
    kind: Kind
    parent: str | None
    name: str = ""
    children: tuple[str, ...] = ()
    initial: Transition | None = None
    entry: tuple[Callback, ...] = ()
    exit: tuple[Callback, ...] = ()
    activities: tuple[Activity, ...] = ()
    timers: tuple[Timer, ...] = ()
    done: tuple[Callback, ...] = ()
    tags: frozenset[str] = frozenset()
    location: Location | None = field(default=None, compare=False, repr=False)
    machines: tuple[Child, ...] = ()
    defers: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventType:
    """A declared event: its payload type, and whether senders outside the machine may use it."""

    name: str
    payload: ValueType | None = field(default=None, compare=False)
    public: bool = True
    doc: str = ""


class Unexpected(StrEnum):
    """How an event that no transition accepts is answered."""

    REJECT = "reject"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Policies:
    """How the algorithm runs this chart.

    `catch_errors`: an exception of a callback becomes `error.execution` (SCXML); otherwise it fails the step at once.
    `scxml`: follow SCXML to the letter where durable machines are stricter: an error event that no transition handles is dropped,
    a machine that ends runs the exit actions of its last states, and the end of a child arrives even if it was left.
    """

    unexpected: Unexpected = Unexpected.REJECT
    catch_errors: bool = True
    scxml: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedBehaviour:
    """The part of hosting that changes how machines behave. It is part of the digest.

    Attributes:
        handlers: other public names for events: `{"setUp": "set_up"}`.
        create_first: refuse events for a machine that was not created; otherwise the first accepted one creates it.
        cancel_timers_over: timers at least this long are cancelled at the platform when their state is left; shorter ones
            are only dropped when they arrive.
        history: how much of its history a machine keeps; None keeps none.
        after_end: when a machine that has ended is deleted; None keeps it.
        defer_for: how long an event is deferred at most; None is for ever.
        defer_while_paused: whether an event is deferred while an operator has paused the machine, instead of refused.
    """

    handlers: Mapping[str, str] = field(default_factory=dict[str, str])
    create_first: bool = False
    cancel_timers_over: timedelta = timedelta(0)
    history: History | None = History()  # noqa: RUF009 - it is frozen
    after_end: AfterEnd | None = None
    defer_for: timedelta | None = None
    defer_while_paused: bool = False


# eq=False: charts compare by what is in their digest, which is the inherited part
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hosting(HostedBehaviour):
    """How a chart is hosted. The fields of this class are not part of the digest, and equal charts may differ in them.

    Attributes:
        sources: Kafka topics whose records are events of the machine.
        webhooks: providers that post their events.
        redact: members of data and payloads that errors, logs and history never show.
        operators_only: handlers that the ingress does not serve.
        migrations: how machines of other versions become machines of this one.
        index: fields of the data by which operators find machines.
        clock: read the time when a turn begins, and after each wait of the turn; callbacks find it in `event.at`.
        workflow: host a workflow `<name>.workflow` beside the machines; as an id, that of the state whose end answers it.
        flow: host a service `<name>.flow`, which runs a machine without a key.
        queries: handlers that answer from the data, by name.
    """

    sources: tuple[Kafka, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    redact: tuple[str, ...] = ()
    operators_only: tuple[str, ...] = ()
    migrations: tuple[Migration, ...] = ()
    index: tuple[str, ...] = ()
    clock: bool = False
    workflow: bool | str = False
    flow: bool = False
    queries: Mapping[str, Query] = field(default_factory=dict[str, Query])


@dataclass(frozen=True)
class Chart:
    """An immutable definition, from which the host, the diagram, the API and the proofs are made.

    `states` maps ids to states in document order, the root (id `""`) first. Builds of a chart are distinguished by
    `version`, which the author chooses, and by `digest`, which follows from everything that shows. `work` is what
    callbacks may start, apart from any state. `kept` are charts of other versions under which machines live on; with a
    `compiler` each machine has a chart of its own, like this one.
    """

    name: str
    states: Mapping[str, State]
    transitions: tuple[Transition, ...]
    events: Mapping[str, EventType]
    data: ValueType = field(compare=False)
    version: str = "1"
    doc: str = ""
    policies: Policies = Policies()
    work: tuple[Activity, ...] = ()
    hosting: Hosting = Hosting()
    kept: tuple[Chart, ...] = field(default=(), compare=False)
    compiler: Compiler | None = field(default=None, compare=False, repr=False)

    @property
    def root(self) -> State:
        return self.states[ROOT]

    @cached_property
    def served(self) -> tuple[Chart, ...]:
        """This chart and those that are kept for machines of other versions."""
        return (self, *self.kept)

    def of(self, version: str) -> Chart:
        """The chart that is served for machines of a version; this one, if none is."""
        return next((chart for chart in self.served if chart.version == version), self)

    @cached_property
    def redaction(self) -> Redaction:
        """The members of data and payloads that errors, logs and history never show."""
        return Redaction.of(self.hosting.redact)

    @cached_property
    def reads_clock(self) -> bool:
        """Whether every turn reads the time: callbacks ask for it, or timers follow a calendar."""
        timers = (timer for state in self.states.values() for timer in state.timers)
        return self.hosting.clock or any(timer.calendar is not None for timer in timers)

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits that change whenever the exported chart does."""
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def activities(self) -> Mapping[str, Activity]:
        """Every activity of the chart by id, in document order; detached work last."""
        of_states = (activity for state in self.states.values() for activity in state.activities)
        return {activity.id: activity for activity in (*of_states, *self.work)}

    @cached_property
    def detached(self) -> Mapping[str, Activity]:
        """The work that callbacks may start, by id."""
        return {activity.id: activity for activity in self.work}

    @cached_property
    def on_demand(self) -> tuple[str, ...]:
        """Ids of the machines that callbacks may start, in document order."""
        return tuple(child.id for state in self.states.values() for child in state.machines if child.on_demand)

    @cached_property
    def public_events(self) -> tuple[str, ...]:
        """Names of the events that anyone may send, sorted."""
        return tuple(sorted(event.name for event in self.events.values() if event.public))

    def to_json(self) -> dict[str, Json]:
        """The chart as plain JSON: names of callbacks, no code and no places in files."""
        events = [
            {
                "name": event.name,
                "public": event.public,
                "doc": event.doc,
                "payload": event.payload.schema() if event.payload else None,
            }
            for event in self.events.values()
        ]
        hosted = {spec.name: getattr(self.hosting, spec.name) for spec in fields(HostedBehaviour)}
        optional = {
            "work": self.work,
            **{name: hosted.pop(name) for name in ("after_end", "defer_for", "defer_while_paused")},
        }
        handlers = hosted.pop("handlers")
        policies = {spec.name: getattr(self.policies, spec.name) for spec in fields(Policies)}
        return {
            **{name: exported(value) for name, value in optional.items() if value},
            "name": self.name,
            "version": self.version,
            "doc": self.doc,
            "data": cast("Json", self.data.schema()),
            "policies": exported({**policies, **hosted}),
            "handlers": exported(handlers),
            "events": exported(events),
            "states": exported(list(self.states.values())),
            "transitions": exported(self.transitions),
        }
