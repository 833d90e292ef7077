"""Declarations that authors add to their library's own: `durable`, `event`, `after`, `defer`, `activity` and others.

This module does not import a statechart library. It keeps each declaration on the library's own object, where the
front-end finds it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, TypeVar, Unpack, cast, overload

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.calls import checked, require
from durable_fsm.core.chart import ROOT, Activity, Callback, Each, Join, Missed, Retry, Undo
from durable_fsm.core.durations import bounded
from durable_fsm.core.limits import Limit, checked_priority
from durable_fsm.core.retention import AfterEnd
from durable_fsm.core.values import Location
from durable_fsm.frontends.options import OPTION_TYPES, ClassChartOptions, ClassOptions

if TYPE_CHECKING:
    from statemachine import Event, State
    from statemachine.state import _FromState, _ToState  # pyright: ignore[reportPrivateUsage]
    from statemachine.transition_list import TransitionList

    SomeTransitions: TypeAlias = TransitionList | _ToState | _FromState
    """Transitions, as the library types them: of `compound.to(x)` it says `_ToState`, and means a list, too."""

    Transitions: TypeAlias = SomeTransitions | Sequence[SomeTransitions]

P = TypeVar("P")
C = TypeVar("C", bound=type)

Input = str | tuple[str, ...] | Callable[[Any], object]  # Any: the data, of whatever type the chart declares
Items = str | Callable[[Any], Iterable[object]]  # Any: what the activity receives
Priority = int | str | Callable[[Any], int]  # Any: the data, of whatever type the chart declares

OPTIONS = "__durable__"
DECLARATION = "durable_declaration"
STANCE = "durable_stance"
DAY = timedelta(days=1)


def durable(**options: Unpack[ClassOptions]) -> Callable[[C], C]:
    """Set how the machines of a statechart class are hosted. A class without it has the defaults.

    Args:
        version: the version of the chart. Change it when this chart cannot continue the machines of the old one.
        migrations: how machines of other versions become machines of this one.
        versions: definitions of other versions. Their machines continue under them until they end.
        name: the name of the chart and of its virtual object; the class name, if not given.
        create_first: reject events until `create` has made the machine; by default the first event creates it.
        index: fields of the data, such as `"customer"` or `"address.city"`: `durable-fsm list --where customer=ada` finds
            machines by them, however many there are.
        queries: functions that answer a question from a machine's data, as handlers: `{"whereIsIt": where}`.
        redact: members of data and payloads that errors, logs and history hide: `"card_number"`, `"customer.email"`.
        history: how many entries of its history each machine keeps, and how long; None keeps none.
        after_end: what happens to a machine that has ended: `keep()`, `free(ttl)` or `gone(ttl)`.
        workflow: also host a workflow `<name>.workflow`, whose `run` lasts as long as the machine of its key, or, with
            the id of a state, until a final state inside it is entered.
        flow: also host a service `<name>.flow`, whose `run` runs a machine without a key from beginning to end.
        work: work that callbacks may start by `effects.start(id, payload)`: `[activity(send_mail)]`. No state waits for it.
        sources: Kafka topics whose records are events of the machine.
        webhooks: providers that post their events.
        handlers: other public names for events: `{"setUp": "set_up"}`.
        operators_only: handlers that the ingress does not serve, such as `"repair"` and `"delete"`: only other services
            reach them.
        defers: events that are kept for later in every state that does not accept them: `"cancel"`, `"note.*"`, `"*"`.
        defer_for: the longest time for which an event is deferred; then it is dropped, and a waiting caller gets an
            error.
        defer_while_paused: defer events while an operator has paused the machine. By default they get 503.
        ignores: events that are dropped in every state that does not accept them; they need no transition.
        unexpected: `"ignore"` drops every event that no transition accepts, including unknown events. `"reject"`
            returns an error to the sender, even if the class sets `allow_event_without_transition`.
        clock: give callbacks the time as `event.at`. Restate stores each reading, so a step that runs again reads the
            same time. This costs about two milliseconds per event.
        services: attributes that are not data, in a class without a data type, such as a client that `__init__`
            creates. They are not stored; `__init__` creates them again for each read. You need not list loggers.
        cancel_timers_over: cancel timers of at least this length at the platform; shorter ones are dropped on arrival.
    """
    unknown = next((name for name in options if name not in ClassOptions.__annotations__), None)
    if unknown is not None:
        close = difflib.get_close_matches(unknown, ClassOptions.__annotations__, n=1)
        raise TypeError(f"durable() has no option '{unknown}'." + "".join(f" Did you mean '{name}'?" for name in close))
    for name, value in options.items():
        require("durable()", name, value, OPTION_TYPES[name])
    said = ClassChartOptions(**cast("dict[str, Any]", options))

    def mark(cls: C) -> C:
        setattr(cls, OPTIONS, said)
        return cls

    return mark


def keep() -> None:
    """Keep a machine that has ended: it can be read, and answers events with 410."""


@checked
def free(ttl: timedelta) -> AfterEnd:
    """Delete a machine *ttl* after its end, and free its key for a new machine.

    Raises:
        ValueError: *ttl* is negative, or longer than any timer can be.
    """
    return AfterEnd(_not_negative(ttl), free=True)


@checked
def gone(ttl: timedelta) -> AfterEnd:
    """Delete a machine *ttl* after its end, except for a mark: its key answers everything with 410 from then on.

    Raises:
        ValueError: *ttl* is negative, or longer than any timer can be.
    """
    return AfterEnd(_not_negative(ttl), free=False)


def _not_negative(ttl: timedelta) -> timedelta:
    if ttl < timedelta(0):
        raise ValueError(f"nothing can be deleted {ttl} after its end; use timedelta(0) or more")
    return bounded(ttl, "ttl")


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declaration of `event`, `after`, `at` or `every` for a list of transitions."""

    payload: Any = None  # Any: whatever type pydantic can validate
    after: Delay | Calendar | None = None
    public: bool = True
    recurring: bool = False
    instant: bool = False
    missed: Missed = Missed.ONCE


TimerFunction: TypeAlias = Callable[..., timedelta | datetime | None]
"""Computes a delay or an instant; it may ask for the same names as a callback. None starts no timer this time."""

Delay: TypeAlias = timedelta | str | TimerFunction
"""A fixed delay, or a function or the name of a method that computes one."""


if TYPE_CHECKING:

    class EventOf(Event, Generic[P]):
        """An event whose payload is a `P`; senders are checked against it."""

        def __get__(self, instance: Any, owner: Any) -> Self: ...

else:

    class EventOf(Generic[P]):
        """An event whose payload is a `P`; senders are checked against it."""


@overload
def event(transitions: Transitions, payload: type[P], *, public: bool = True) -> EventOf[P]: ...


@overload
def event(transitions: Transitions, payload: None = None, *, public: bool = True) -> EventOf[None]: ...


@checked
def event(transitions: Any, payload: Any = None, *, public: bool = True) -> Any:
    """Declare an event: its transitions, the type of its payload, and whether it may come from outside.

    Args:
        transitions: the transitions of the event, such as `cart.to(paid)`. Join several with `|`, or pass a list.
        payload: any type that pydantic validates; None accepts any JSON.
        public: with False, only the machine itself can send the event.
    """
    return _declare(transitions, Declaration(payload=payload, public=public))


@checked
def after(delay: Delay, transitions: Transitions, *, public: bool = False) -> EventOf[None]:
    """Take *transitions* when their source state has been active for *delay*.

    The timer is durable. It starts when the state is entered and is cancelled when the state is left. Its event is
    private unless *public* is set.

    Args:
        delay: a timedelta, or a function (or the name of a method) that computes it when the state is entered, with
            the arguments of a callback. None means no timer this time.
        transitions: the transitions of the timer, such as `held.to(expired)`.
        public: with True, senders can send the event, too.

    Raises:
        ValueError: *delay* is negative, or longer than any timer can be.
    """
    return _timer(Declaration(after=delay, public=public), transitions)


@checked
def at(instant: str | TimerFunction | Calendar, transitions: Transitions, *, public: bool = False) -> EventOf[None]:
    """Take *transitions* at an instant: `at(lambda data: data.due, waiting.to(overdue))`.

    Works like `after`, except that *instant* returns a datetime with a time zone. A time in the past fires at once.
    With `cron(...)`, the timer fires at the next instant of that calendar.
    """
    return _timer(Declaration(after=instant, public=public, instant=True), transitions)


@checked
def every(
    delay: Delay | Calendar,
    transitions: Transitions,
    *,
    missed: Literal["skip", "once", "all"] = "once",
    public: bool = False,
) -> EventOf[None]:
    """Take *transitions* at regular intervals, as long as their source state stays active.

    Works like `after`. The first tick is due *delay* after the entry of the state. Each next one is due *delay* after
    the due time of the one before, however late that was. A computed delay is computed again for each tick.

    Args:
        delay: as for `after`, or instants of a calendar: `cron("0 9 * * mon-fri", tz="Europe/Berlin")`.
        missed: what to do if a tick is so late that the next one is already due, because the service was down, or an
            activity held the machine. `skip` delivers none of the missed ticks, `once` delivers one for all of them,
            and `all` delivers each, one after the other. The schedule never shifts.

    Raises:
        ValueError: *delay* is not positive, or longer than any timer can be.
    """
    if delay == timedelta(0):
        raise ValueError("a recurring timer without a delay would fire without end")
    return _timer(Declaration(after=delay, public=public, recurring=True, missed=Missed(missed)), transitions)


def _timer(declaration: Declaration, transitions: Transitions) -> EventOf[None]:
    delay = declaration.after
    if isinstance(delay, timedelta) and delay < timedelta(0):
        raise ValueError(f"a timer of {delay} would be over before it starts; use timedelta(0) or more")
    if isinstance(delay, timedelta):
        bounded(delay, "delay")
    return cast("EventOf[None]", _declare(transitions, declaration))


def defer(state: State | type[State.Compound | State.Parallel], *events: str) -> None:
    """Keep these events for later while *state* is active: `defer(charging, "cancel")`, in the body of the class.

    They are processed, in order, as soon as no active state defers them. A transition in *state* takes precedence.

    Args:
        events: names, or descriptors such as `note.*` and `*`.
    """
    _take_stance(state, "defers", events)


def ignore(state: State | type[State.Compound | State.Parallel], *events: str) -> None:
    """Drop these events while *state* is active and no transition accepts them: `ignore(paid, "checkout")`.

    Events for a final state are dropped after the end, too.
    """
    _take_stance(state, "ignores", events)


def tag(state: State | type[State.Compound | State.Parallel], *tags: str) -> None:
    """Give *state* tags: `tag(paid, "settled")`, in the body of the class. Callers wait for them; diagrams show them."""
    _add(state, "tags", tags)


def _take_stance(state: object, stance: str, events: tuple[object, ...]) -> None:
    if not events:
        raise ValueError(f"name the events that '{state}' {stance}")
    _add(state, stance, events)


def _add(state: object, what: str, names: tuple[object, ...]) -> None:
    kept: dict[str, Any] = vars(state)
    declared: dict[str, tuple[str, ...]] = kept.setdefault(STANCE, {})
    declared[what] = (*declared.get(what, ()), *map(str, names))


def _declare(transitions: Any, declaration: Declaration) -> Any:
    """Keep the declaration on every transition: the library rebuilds everything around them."""
    if isinstance(transitions, list | tuple):
        first, *others = cast("Sequence[Any]", transitions) or [None]
        transitions = first
        for other in others:
            transitions = transitions | other
    given: object = transitions
    listed = list(cast("Iterable[object]", given)) if isinstance(given, Iterable) else []
    if not listed or not all(hasattr(transition, "source") for transition in listed):
        raise TypeError(f"expected transitions, such as cart.to(paid), and got {given!r}")
    for transition in listed:
        kept: dict[str, Any] = vars(transition)
        kept.setdefault(DECLARATION, []).append(declaration)
    return transitions


class ActivityOf:
    """An activity in a state's `invoke=`, made by `activity` or `undo_all`.

    `work` is the activity as far as it is known now; its id may be that of its state, which has none yet. `input`,
    `each`, `priority` and `undoes` are as the author wrote them. They are resolved when the chart is read.
    """

    kind = "activity"

    def __init__(
        self,
        work: Activity,
        *,
        input: Input | None = None,
        each: Items | None = None,
        undoes: object = None,
        priority: Priority = 0,
    ) -> None:
        self.work = work
        self.source: object = work.run if undoes is None else None
        self.id = work.id or None
        self.input = input
        self.each = each
        self.undoes = undoes
        self.priority = priority
        self.__name__ = work.name
        self.__doc__ = work.run.__doc__

    def made(
        self,
        id: str,
        location: Location | None,
        input: Callback | None = None,
        *,
        priority: int | Callback = 0,
        detached: bool = False,
    ) -> Activity:
        """The activity as the chart has it; detached work has no deadline unless one is given."""
        deadline = None if detached and self.work.deadline is DAY else self.work.deadline
        undoes = None if self.undoes is None else _id_of(self.undoes)
        return replace(
            self.work, id=id, location=location, input=input, deadline=deadline, undoes=undoes, priority=priority
        )

    def __call__(self) -> None:
        raise RuntimeError(f"activity '{self.__name__}' is run by a host, not by calling it")


# Any: the result goes into the library's own `invoke=`, which is untyped
@checked
def activity(
    run: Callable[..., Any],
    *,
    id: str | None = None,
    exclusive: bool = False,
    retry: Retry = Retry(),  # noqa: B008 - frozen
    deadline: timedelta | None = DAY,
    input: Input | None = None,
    timeout: timedelta | None = None,
    limit: int | Limit | None = None,
    priority: Priority = 0,
    each: Items | None = None,
    at_once: int = 10,
    join: Join = "all",
    undo: Callable[..., Any] | None = None,
    undo_first: bool = False,
    undo_retry: Retry = Retry(),  # noqa: B008 - frozen
) -> Any:
    """Declare outside work for a state: `charging = State(invoke=activity(charge_card))`.

    Its outcome arrives as the event `done_invoke_<id>` or `error_invoke_<id>`.

    Args:
        run: `async def f(ctx, data)`, which consists of `ctx.run` steps that each run once; or `f(data)`, async or
            not, which is one step and is retried as a whole.
        id: the state's own id, if not given.
        exclusive: hold the machine until the work has ended; other events wait. Otherwise the machine stays
            responsive, and the work is stopped when its state is left.
        retry: how often, and how fast, a failed step is retried. By default it is retried for ever.
        deadline: the limit for all attempts of background work, counted from the entry of the state. When it expires,
            the outcome is an error of type `deadline`.
        input: the part of the data that the work receives: a field (`"total_cents"`), several fields as a dict
            (`("total_cents", "currency")`), or a plain function of the data. It is computed when the work starts, as
            plain JSON, and is the same for every attempt. By default the work receives all data.
        timeout: the limit for one attempt: for each step, or for the whole function if it is a single step. An attempt
            that takes longer is cancelled, and fails with type `timeout`.
        limit: how many runs may be active at once, over all machines of the chart; others wait. `Limit("bank", 20)` is
            shared by all activities that name it, in any chart.
        priority: which waiting run comes next: the one with the lowest number, and among equals the one that has
            waited longest. A number, a field of the data, or a plain function of the data. It is computed when the
            work starts.
        each: run the work once for each of these items, as `f(item)`, `f(ctx, item)` or `f(ctx, item, data)`. The
            result is the list of their results. Pass the name of a list in the input of the work, or a pure function
            of that input.
        at_once: how many items of a fan-out may run at the same time.
        join: how many items of a fan-out must succeed. `"all"`: each; the first failure stops the others. `"any"`:
            one; the first to succeed stops the others, and its result is that of the activity. `"majority"`, or a
            number: so many; the result is the list of their results. `"settle"`: every item runs to its end; the
            result is a list of `{"status": "done", "result": …}` and `{"status": "failed", "error": {…}}`.
        undo: a function that undoes the work when the chart enters a state with `undo_all`. It requests arguments by
            name: `ctx`, `data`, the `result` of the work, and `original`, the stable id of the work.
        undo_first: undo the work even if it failed or was stopped. Use it if a failure may hide a success, and the
            other system knows the work by its stable id. There is no `result` then.
        undo_retry: how often a failed undo is retried; by default until it succeeds.

    Raises:
        TypeError: an argument has the wrong type, as in `retry=5`.
        ValueError: *timeout* is not positive, *limit* or *at_once* would let nothing run, *join* asks for less than one
            item or is given without *each*, or a time is longer than any timer can be.
    """
    if timeout is not None and timeout <= timedelta(0):
        raise ValueError(f"no attempt is over within {timeout}; use more than timedelta(0)")
    for name, time in (("timeout", timeout), ("deadline", deadline)):
        if time is not None:
            bounded(time, name)
    if undo is None and (undo_first or undo_retry != Retry()):
        raise ValueError("undo_first and undo_retry need undo=: give it, or leave them out")
    for name, most in (("limit", limit), ("at_once", at_once)):
        if isinstance(most, int) and most < 1:
            raise ValueError(f"{name}={most} would let nothing run; use 1 or more")
    if isinstance(priority, int):
        checked_priority(priority)
    if priority != 0 and limit is None:
        raise ValueError("priority= decides which run waits for a limit=: give one, or leave priority out")
    work = Activity(
        id=id or "",
        name=_name_of(run),
        run=run,
        exclusive=exclusive,
        retry=retry,
        deadline=deadline,
        timeout=timeout,
        limit=limit,
        each=each_of(each, at_once, join),
        undo=None if undo is None else Undo(_name_of(undo), undo, undo_retry, undo_first),
    )
    return ActivityOf(work, input=input, each=each, priority=priority)


def activity_of(work: Callable[..., Any]) -> ActivityOf:
    """The declaration itself, or that of a plain function."""
    return work if isinstance(work, ActivityOf) else cast("ActivityOf", activity(work))


# Any: the result goes into the library's own `invoke=`, which is untyped
@checked
def undo_all(
    state: State | str = ROOT, *, id: str | None = None, exclusive: bool = False, deadline: timedelta | None = DAY
) -> Any:
    """Declare that a state undoes completed work: `undoing = State(invoke=undo_all("booking"))`.

    Every activity with an `undo=` that was completed in *state* is undone once, latest first. The outcome is an event
    like that of any activity: `done_invoke_<id>` with the ids of the activities that were undone, in order; or
    `error_invoke_<id>` as soon as an undo has failed permanently. The rest is undone when the state is entered again.
    Undoing begins when all activities of *state* have stopped.

    Args:
        state: undo the work of this state and of all states inside it; without it, all work of the machine.
        id: the state's own id, if not given.
        exclusive: hold the machine while work is undone.
        deadline: the limit for all undo functions together, counted from the entry of the state. When it expires, the
            outcome is an error of type `deadline`.
    """
    if deadline is not None:
        bounded(deadline, "deadline")
    work = Activity(id or "", "undo_all", _undo_all, exclusive=exclusive, deadline=deadline)
    return ActivityOf(work, undoes=state)


def _undo_all() -> None:
    """Undo what was done, the latest first."""


def _id_of(state: Any) -> str:  # Any: an id, a state of the library, or a member of an enum of states
    return str(getattr(state, "id", getattr(state, "name", state)))


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def each_of(each: Items | None, at_once: int, join: Join) -> Each | None:
    """The fan-out of an activity or a machine: how its items are found, how many run at once, and when it is done.

    Raises:
        ValueError: *join* is given without *each*, or asks for less than one item.
    """
    if each is None:
        if join != "all":
            raise ValueError(f"join={join!r} needs each=")
        return None
    if isinstance(join, int) and join < 1:
        raise ValueError(f"join={join} would be done before any item; use 1 or more")
    if not isinstance(each, str):
        return Each(_name_of(each), each, at_once, join)

    def member(given: Any) -> object:
        if isinstance(given, Mapping):
            return cast("Mapping[str, object]", given)[each]
        return getattr(given, each)

    return Each(each, member, at_once, join)
