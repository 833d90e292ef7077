"""What a machine is made of: the chart (immutable definition), the snapshot (one machine at rest), events and effects.

Everything here is a value. Charts can be compared and exported; snapshots and effects go through JSON unchanged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeAlias, Union

if TYPE_CHECKING:
    from durable_fsm.core.index import Index
    from durable_fsm.core.migrate import Migration
    from durable_fsm.core.plan import Plans
    from durable_fsm.core.redact import Redaction
    from durable_fsm.core.scope import Scope
    from durable_fsm.core.sources import Kafka, Webhook

Json: TypeAlias = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]

UNUSUAL = "exported only if it has not its default"
"""Marks fields of a definition that came later: where they are not used, the chart's digest is what it was."""

ROOT = ""
"""Id of the root state: the chart itself, as a compound state that is always active and never listed."""


class Changeable:
    """A frozen dataclass without slots, of which every event makes a changed one."""

    def changed(self, **changes: object) -> Self:
        """What `dataclasses.replace` would return, without its detour."""
        changed = object.__new__(type(self))
        vars(changed).update(vars(self), **changes)
        return changed


# ── types of data and payloads ────────────────────────────────────────────────────────────────────────────────────────


class Misfit(ValueError):
    """A value does not fit its declared type. `path` is JSONPath, `problem` says what was expected and what came."""

    def __init__(self, problem: str, path: str = "$") -> None:
        super().__init__(f"{problem} at {path}")
        self.problem = problem
        self.path = path


class ValueType(Protocol):
    """The declared type of a machine's data or of an event's payload.

    `load` turns plain JSON into a fresh value of the type and `dump` the value back into canonical JSON (sets sorted),
    checked against the type. Both raise `Misfit`.
    """

    @property
    def name(self) -> str: ...

    def load(self, stored: Json) -> object: ...

    def dump(self, value: object) -> Json: ...

    def schema(self) -> dict[str, Json] | None: ...


# ── the chart ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Kind(StrEnum):
    """What a state is; the words of SCXML."""

    ATOMIC = "atomic"
    COMPOUND = "compound"
    PARALLEL = "parallel"
    FINAL = "final"
    SHALLOW_HISTORY = "shallow_history"
    DEEP_HISTORY = "deep_history"

    @property
    def is_history(self) -> bool:
        return self in (Kind.SHALLOW_HISTORY, Kind.DEEP_HISTORY)


@dataclass(frozen=True, slots=True)
class Location:
    """Where the author wrote something; `file` as Python reports it, `line` from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Callback:
    """An action: a name for people and a function for the step. Two callbacks are equal if their names are."""

    name: str
    call: Callable[[Scope], object] = field(compare=False, repr=False)
    location: Location | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Guard(Callback):
    """A question that permits a transition. `negated` is the `unless` of the libraries."""

    negated: bool = False

    @property
    def label(self) -> str:
        """As diagrams print it: `has_items`, `!has_items`."""
        return f"!{self.name}" if self.negated else self.name


@dataclass(frozen=True, slots=True)
class Retry:
    """How often failed work is tried again, and how long to wait in between.

    `attempts` counts the first try; None means until it succeeds. Only failures of the work itself count: outages of
    the platform, deployments and kills do not use up an attempt. Exceptions of the types `give_up_on` are final at once;
    an attempt that takes too long counts as a `TimeoutError`.
    """

    attempts: int | None = None
    initial: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    maximum: timedelta = timedelta(minutes=1)
    give_up_on: tuple[type[Exception], ...] = ()

    def delay(self, attempt: int) -> timedelta:
        """How long to wait after the failed try number *attempt* (from 1)."""
        try:
            return min(self.initial * self.factor ** (attempt - 1), self.maximum)
        except OverflowError:
            return self.maximum

    def gives_up(self, error: Exception) -> bool:
        """Whether another try is useless after this error."""
        return isinstance(error, self.give_up_on)


@dataclass(frozen=True, slots=True)
class Each:
    """An activity is run once for each of some items, `at_once` of them together, and its result is theirs in order.

    `items` finds them in what the activity is given, without changing it. The first item that fails for good stops the
    others, unless they are to `settle`: then all run to their end, and each result says how.
    """

    name: str
    items: Callable[[object], object] = field(compare=False, repr=False)
    at_once: int = 10
    settle: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """How what an activity has done is undone. The core never calls `run`; a host does, elsewhere.

    It may be undone once the activity has succeeded; `first` means from its beginning on, whatever becomes of it then.
    `retry` is for the undoing alone.
    """

    name: str
    run: Callable[..., object] = field(compare=False, repr=False)
    retry: Retry = Retry()
    first: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """Outside work of a state. The core never calls `run`; a host does, elsewhere.

    An *exclusive* activity holds its machine: events wait at the platform until it is over. A background one leaves
    the machine responsive and is stopped when its state is left; `deadline` counts from the entry of the state.
    `timeout` is what one attempt may take. `input` makes what the work receives out of the machine's data when it
    starts; without it the work receives the data. At most `limit` runs of it are under way at once, over all machines of
    the chart.

    One that `undoes` does no work of its own: it undoes what was done in the state of this id, one after the other.
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
    limit: int | None = None
    each: Each | None = None
    undo: Undo | None = field(default=None, metadata={UNUSUAL: True})
    undoes: str | None = field(default=None, metadata={UNUSUAL: True})


@dataclass(frozen=True, slots=True)
class Spawn:
    """Which machine a state begins, decided when the state has been entered and the macrostep is at rest.

    `id` names the child to its parent (`done.invoke.<id>`, messages to `#_<id>`); empty lets the step make one up.
    `data` is input for the chart's data type; None takes its defaults.
    """

    chart: Chart
    data: Json = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Child(Callback):
    """A machine of its own that runs as long as its state is active; `call` returns the `Spawn`.

    `autoforward` hands every event from outside on to it. `finalize` runs on each of its messages before transitions
    are chosen. `id` and `chart` are those of the `Spawn`, where they are known beforehand. With `each` there is one
    machine for each of some items, which is its data; all begin together, and their outputs are joined in order.
    """

    autoforward: bool = False
    finalize: tuple[Callback, ...] = ()
    id: str = field(default="", compare=False)
    chart: Chart | None = field(default=None, compare=False, repr=False)
    each: Each | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """A delay that starts when its state is entered and ends with it. The chart takes `event` when it is over.

    `when` computes it instead of `after`, each time the timer starts: a timedelta, an aware datetime, or None for no
    timer this time; `instant` says that its author means a datetime. A *recurring* timer starts again whenever it is
    over, as long as its state stays active.
    """

    event: str
    after: timedelta = timedelta(0)
    when: Callback | None = None
    recurring: bool = False
    instant: bool = False


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
    what the state leaves behind. Children and everything else stand in document order: as the author wrote them.

    `defers` and `ignores` are descriptors of events from outside that the state keeps for later, or takes no notice of.
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
    """What happens to an event that nothing takes."""

    REJECT = "reject"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class History:
    """How long the record of what a machine has done is kept: so many entries, and so long; None is for ever."""

    entries: int | None = 1_000
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class AfterEnd:
    """What becomes of a machine that has ended: it is deleted `after` a time.

    Then its key is *free* for a new life; or a mark is left, and the key is never used again.
    """

    after: timedelta
    free: bool


@dataclass(frozen=True, slots=True)
class Policies:
    """Choices an author makes for a whole chart.

    `catch_errors`: an exception of a callback becomes `error.execution` (SCXML); otherwise it fails the step at once.
    `scxml`: follow SCXML to the letter where durable machines are stricter: an error event that nothing takes is dropped,
    a machine that ends runs the exit actions of its last states, and the end of a child arrives even if it was left.
    `cancel_timers_over`: timers at least this long are cancelled at the platform when their state is left; shorter
    ones are only dropped when they arrive. `history` is None where no record is kept.
    """

    unexpected: Unexpected = Unexpected.REJECT
    create_first: bool = False
    catch_errors: bool = True
    scxml: bool = False
    cancel_timers_over: timedelta = timedelta(0)
    history: History | None = History()


@dataclass(frozen=True)
class Chart:
    """An immutable definition, from which the host, the diagram, the API and the proofs are made.

    `states` maps ids to states in document order, the root (id `""`) first. Builds of a chart are told apart by
    `version`, which the author chooses, and by `digest`, which follows from everything that shows. `handlers` gives
    public names to events: `{"setUp": "set_up"}`. `work` is what callbacks may start, apart from any state. `sources` and
    `webhooks` bring events to a hosted machine, `redact` names what nobody is to read of it, and `operators_only` handlers
    that nobody outside reaches; they are no part of what it is, and so not of the digest. Nor are `migrations`, by which
    machines of other versions come to this one, and the charts `kept` for those that do not. Without `after_end` a machine
    that has ended stays as it is. `workflow` gives the chart a workflow beside its machines, `flow` a service that runs it
    without a key.
    """

    name: str
    states: Mapping[str, State]
    transitions: tuple[Transition, ...]
    events: Mapping[str, EventType]
    data: ValueType = field(compare=False)
    version: str = "1"
    doc: str = ""
    policies: Policies = Policies()
    handlers: Mapping[str, str] = field(default_factory=dict[str, str])
    work: tuple[Activity, ...] = ()
    sources: tuple[Kafka, ...] = field(default=(), compare=False)
    webhooks: tuple[Webhook, ...] = field(default=(), compare=False)
    redact: tuple[str, ...] = field(default=(), compare=False)
    operators_only: tuple[str, ...] = field(default=(), compare=False)
    migrations: tuple[Migration, ...] = field(default=(), compare=False)
    kept: tuple[Chart, ...] = field(default=(), compare=False)
    after_end: AfterEnd | None = None
    workflow: bool = field(default=False, compare=False)
    flow: bool = field(default=False, compare=False)

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
    def index(self) -> Index:
        """Lookup tables of the algorithm, computed once."""
        from durable_fsm.core.index import Index

        return Index(self)

    @cached_property
    def plans(self) -> Plans:
        """What taking transitions comes to, worked out once for each configuration."""
        from durable_fsm.core.plan import Plans

        return Plans(self.index)

    @cached_property
    def redaction(self) -> Redaction:
        """What is kept out of whatever people read."""
        from durable_fsm.core.redact import Redaction

        return Redaction.of(self.redact)

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
    def public_events(self) -> tuple[str, ...]:
        """Names of the events that anyone may send, sorted."""
        return tuple(sorted(event.name for event in self.events.values() if event.public))

    def to_json(self) -> Json:
        """The chart as plain JSON: names of callbacks, no code and no places in files."""
        from durable_fsm.core.export import chart_to_json

        return chart_to_json(self)


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Origin(StrEnum):
    """Who made an event: a sender outside, another machine, the machine itself, or the platform (timers, outcomes)."""

    EXTERNAL = "external"
    MACHINE = "machine"
    INTERNAL = "internal"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Event(Changeable):
    """Something that happened.

    `payload` is plain JSON when it comes from outside; the step loads it into its declared type. `seed` feeds the ids
    and random numbers of the step. `token` ties a timer or an outcome to the entry that is waiting for it: if that
    entry is gone, so is the event. `cause` is the exception behind an `error.execution`.
    """

    name: str
    payload: object = None
    origin: Origin = Origin.EXTERNAL
    seed: str = ""
    at: float | None = None
    token: str | None = None
    cause: Exception | None = field(default=None, compare=False, repr=False)
    sendid: str = ""
    invokeid: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an activity failed; what callbacks receive as `error`.

    `type` is the exception's class name, or `lost`, `deadline`, `timeout`, `cancelled` or `killed` where no exception was
    raised. `source` is the activity's id or the callback's name.

    A final state whose entry action returns a failure ends the machine with that: its parent gets `error.invoke.<id>`, and
    whoever runs it as a workflow or a flow an error with this message, and `code` as its status (500 without one).
    """

    type: str
    message: str
    code: int | None = None
    metadata: Json = None
    source: str = ""


# ── the snapshot ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Status(StrEnum):
    """Running; done, by reaching a final state of the root; failed, by an outcome that nothing handled."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Armed:
    """A send that has not arrived yet: a timer of `state`, or a message the machine sent itself.

    `id` is the author's name for it, if any; `after` counts from the end of the step that armed it, `at` is an instant
    and takes its place. `activity` is the token of the activity whose deadline this is. `to` is where a message to
    another machine goes when it is due.
    """

    token: str
    event: str
    after: timedelta
    state: str | None = None
    id: str | None = None
    payload: Json = None
    activity: str | None = None
    to: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """An activity whose outcome is awaited. `entry` is the macrostep that entered its state.

    `parked` means that the outcome of an exclusive activity has come, but could not be taken yet; `failed` that it
    has failed, and the machine with it: an operator may let it run again. Detached work has no `state`, and `entry` is
    the macrostep that started it.

    An activity that undoes has the token of the one run that is under way, and says what is `undone` already; it is
    `waiting` while none can be, because it is not over what there is to undo.
    """

    token: str
    id: str
    state: str | None
    entry: int
    parked: bool = False
    failed: bool = False
    waiting: bool = False
    undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undoable:
    """Something done that can be undone; the snapshot has the latest last.

    `token` and `entry` are those of the run that did it. It has no `result` if its undo was registered before the work
    began. `undoing` is the token of the run that undoes it, empty if there is none.
    """

    token: str
    id: str
    state: str
    entry: int
    result: Json = None
    undoing: str = ""


@dataclass(frozen=True, slots=True)
class Stopping:
    """A run that was told to stop, and whose end decides about what is to be undone: it may have been too late.

    It is `overdue` when nobody waits for its end any longer. That end counts nonetheless, should it come.
    """

    token: str
    id: str
    state: str
    entry: int
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """An event from outside that an active state keeps for later."""

    token: str
    event: str
    payload: Json = None


@dataclass(frozen=True, slots=True)
class Invoked:
    """A child machine that has not ended. `place` counts among the machines of its state, from 0.

    One of several that were begun for a list is a `part` of them, from 0. Once it has `ended`, its `result` waits for those of
    the others.
    """

    token: str
    id: str
    chart: str
    state: str
    place: int
    part: int | None = None
    ended: bool = False
    result: Json = None


@dataclass(frozen=True)
class Snapshot(Changeable):
    """One machine at rest, as plain values: all there is to store, and all there is to resume from.

    `configuration` holds the active leaves in document order. `life` tells one existence of a key from the next. `seq`
    counts the macrosteps taken. `failure` says why `status` is failed, or in what a machine that is done has failed. `parent` is the session of the machine that
    runs this one as its child, if any. `over` names activities, and events of timers, that have come to their end while
    their state stays active: nothing that begins again what is missing may begin them.
    """

    chart: str
    version: str
    digest: str
    life: str
    configuration: tuple[str, ...]
    data: Json
    history: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    timers: tuple[Armed, ...] = ()
    activities: tuple[Running, ...] = ()
    seq: int = 0
    status: Status = Status.RUNNING
    output: Json = None
    failure: Failure | None = None
    created_from: str = ""
    machines: tuple[Invoked, ...] = ()
    parent: str = ""
    deferred: tuple[Deferred, ...] = ()
    over: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    undo: tuple[Undoable, ...] = ()
    stopping: tuple[Stopping, ...] = ()

    @property
    def session(self) -> str:
        """Names this existence of the machine among all machines."""
        return f"{self.chart}.{self.life}"


# ── effects and steps ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Send:
    """Deliver what `token` arms in the snapshot to this machine, `after` the end of the step or `at` an instant.

    Zero is at once. May arrive late, never early.
    """

    token: str
    event: str
    after: timedelta
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget the send with this token; it may have left already."""

    token: str


@dataclass(frozen=True, slots=True)
class StartActivity:
    """Run the activity `id`; its outcome comes back under `token`. `entry` makes its stable id.

    `input` is what the work receives, if the activity declares one, or if it is *detached*, which nothing stops; otherwise
    it receives the machine's data. `items` are those of a fan-out. With `undo` it is not the work that is run, but what
    undoes this.
    """

    token: str
    id: str
    entry: int
    exclusive: bool
    input: Json = None
    items: tuple[Json, ...] | None = None
    detached: bool = False
    undo: Undoable | None = None


@dataclass(frozen=True, slots=True)
class StopActivity:
    """Stop the activity behind this token; its outcome is not wanted any more."""

    token: str


@dataclass(frozen=True, slots=True)
class StartMachine:
    """Begin a child of `chart`; its end comes back under `token`, and so does what it sends to its parent."""

    token: str
    id: str
    chart: Chart
    data: Json = None


@dataclass(frozen=True, slots=True)
class StopMachine:
    """End the child behind this token; nothing of it is wanted any more."""

    token: str


PARENT = "#_parent"
"""Where a child sends what is for the machine that runs it."""


@dataclass(frozen=True, slots=True)
class Post:
    """Deliver an event to another machine: `PARENT`, the child with the token `to`, or any: `Parcel/p-1`."""

    to: str
    event: str
    payload: Json = None
    sendid: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """Tell the sender of the event this."""

    value: Json


Effect: TypeAlias = Send | Cancel | StartActivity | StopActivity | StartMachine | StopMachine | Post | Reply


class Microstep(NamedTuple):
    """One set of transitions: what was left, taken and entered, in order, and the events raised meanwhile.

    `event` is None for eventless transitions and for the start of a machine.
    """

    event: str | None
    exited: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()


class Outcome(StrEnum):
    """What became of an event: taken by a transition, deferred or ignored by declaration, or stale (its cause is gone)."""

    TAKEN = "taken"
    DEFERRED = "deferred"
    IGNORED = "ignored"
    STALE = "stale"


class Step(NamedTuple):
    """The result of one event: the next snapshot, what the world is asked to do, and how it came about."""

    snapshot: Snapshot
    effects: tuple[Effect, ...] = ()
    trace: tuple[Microstep, ...] = ()
    outcome: Outcome = Outcome.TAKEN

    @property
    def reply(self) -> Json:
        """The last reply of the step, or None."""
        replies = [effect.value for effect in self.effects if isinstance(effect, Reply)]
        return replies[-1] if replies else None
