"""What users write into a definition, beyond what their library offers: `durable`, `event`, `after`, `activity`.

Nothing here imports a statechart library: the declarations are kept on the library's own objects, where the front-end
finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

from durable_fsm.core.model import Activity, Each, Location, Retry

if TYPE_CHECKING:
    from statemachine import Event
    from statemachine.transition_list import TransitionList

P = TypeVar("P")
C = TypeVar("C", bound=type)

OPTIONS = "__durable__"
DECLARATION = "durable_declaration"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Options:
    """What `durable` says of a class."""

    version: str = "1"
    name: str | None = None
    handlers: Mapping[str, str] = field(default_factory=dict[str, str])
    create_first: bool = False
    cancel_timers_over: timedelta = timedelta(0)
    work: tuple[Any, ...] = ()  # Any: what `activity` makes is made for the library's untyped `invoke=`


def durable(
    *,
    version: str = "1",
    name: str | None = None,
    handlers: Mapping[str, str] | None = None,
    create_first: bool = False,
    cancel_timers_over: timedelta = timedelta(0),
    work: Iterable[Any] = (),
) -> Callable[[C], C]:
    """Say how a statechart class is hosted. Without it the defaults hold.

    Args:
        version: changes when snapshots of the old chart cannot be read by the new one.
        name: of the chart and its virtual object; the class name, if not given.
        handlers: other public names for events: `{"setUp": "set_up"}`.
        create_first: refuse events for a machine that was not created; otherwise the first accepted one creates it.
        cancel_timers_over: cancel timers of at least this length at the platform; shorter ones are dropped on arrival.
        work: what callbacks may start by `effects.start(id, payload)`: `[activity(send_mail)]`. No state waits for it.
    """
    options = Options(version, name, dict(handlers or {}), create_first, cancel_timers_over, tuple(work))

    def mark(cls: C) -> C:
        setattr(cls, OPTIONS, options)
        return cls

    return mark


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `event` or `after` says of a list of transitions."""

    payload: Any = None  # Any: whatever type pydantic can validate
    after: timedelta | None = None
    public: bool = True


if TYPE_CHECKING:

    class EventOf(Event, Generic[P]):
        """An event whose payload is a `P`; senders are checked against it."""

        def __get__(self, instance: Any, owner: Any) -> Self: ...

else:

    class EventOf(Generic[P]):
        """An event whose payload is a `P`; senders are checked against it."""


@overload
def event(transitions: TransitionList, payload: type[P], *, public: bool = True) -> EventOf[P]: ...


@overload
def event(transitions: TransitionList, payload: None = None, *, public: bool = True) -> EventOf[None]: ...


def event(transitions: Any, payload: Any = None, *, public: bool = True) -> Any:
    """Declare an event: its transitions, the type of its payload, and whether it may come from outside.

    Args:
        payload: any type that pydantic validates; None takes any JSON.
        public: False keeps the event to the machine itself.
    """
    return _declare(transitions, Declaration(payload=payload, public=public))


def after(delay: timedelta, transitions: TransitionList, *, public: bool = False) -> EventOf[None]:
    """Take *transitions* when their source state has been active for *delay*.

    The timer is durable, starts with the state and ends with it. Its event is private unless *public* is set.

    Raises:
        ValueError: *delay* is negative.
    """
    if delay < timedelta(0):
        raise ValueError(f"a timer of {delay} would be over before it starts; use timedelta(0) or more")
    return cast("EventOf[None]", _declare(transitions, Declaration(after=delay, public=public)))


def _declare(transitions: Any, declaration: Declaration) -> Any:
    """Keep the declaration on every transition: the library rebuilds everything around them."""
    for transition in cast("Iterable[object]", transitions):
        kept: dict[str, Any] = vars(transition)
        kept.setdefault(DECLARATION, []).append(declaration)
    return transitions


class ActivityOf:
    """An activity as it stands in a state's `invoke=`; made by `activity`."""

    def __init__(
        self,
        run: Callable[..., Any],
        *,
        id: str | None,
        exclusive: bool,
        retry: Retry,
        deadline: timedelta | None,
        limit: int | None,
        each: Each | None,
    ) -> None:
        self.run_ = run
        self.source: object = run
        self.id = id
        self.exclusive = exclusive
        self.retry = retry
        self.deadline = deadline
        self.limit = limit
        self.each = each
        self.__name__ = getattr(run, "__name__", type(run).__name__)
        self.__doc__ = run.__doc__

    def made(self, id: str, location: Location | None, *, detached: bool = False) -> Activity:
        """The activity as the chart has it; detached work has no deadline unless one is given."""
        return Activity(
            id=id,
            name=self.__name__,
            run=self.run_,
            exclusive=self.exclusive,
            retry=self.retry,
            deadline=None if detached and self.deadline is DAY else self.deadline,
            location=location,
            limit=self.limit,
            each=self.each,
        )

    def __call__(self) -> None:
        raise RuntimeError(f"activity '{self.__name__}' is run by a host, not by calling it")


# Any: the result goes into the library's own `invoke=`, which is untyped
def activity(
    run: Callable[..., Any],
    *,
    id: str | None = None,
    exclusive: bool = False,
    retry: Retry = Retry(),  # noqa: B008 - frozen
    deadline: timedelta | None = DAY,
    limit: int | None = None,
    each: str | Callable[[Any], Iterable[object]] | None = None,
    at_once: int = 10,
    settle: bool = False,
) -> Any:
    """Declare outside work for a state: `charging = State(invoke=activity(charge_card))`.

    Its outcome arrives as the event `done_invoke_<id>` or `error_invoke_<id>`.

    Args:
        run: `async def f(ctx, data)`, whose `ctx.run` steps are each done once; or `f(data)`, async or not, which is one
            step, retried whole.
        id: the state's own id, if not given.
        exclusive: hold the machine until the work is over: other events wait. Otherwise the machine stays responsive,
            and the work is stopped when its state is left.
        retry: how often failed work is tried again.
        deadline: for background work, from the entry of the state; then the outcome is an error of type `deadline`.
        limit: how many runs of it may be under way at once, over all machines of the chart; others wait in order.
        each: run it once for each of these items, as `f(item)`, `f(ctx, item)` or `f(ctx, item, data)`; the result is the
            list of theirs. The name of a member of the data that is a list, or a pure function of the data.
        at_once: how many items of one fan-out may be under way at once.
        settle: let every item run to its end, whatever becomes of the others. The result is then a list of
            `{"status": "done", "result": …}` and `{"status": "failed", "error": {…}}`.

    Raises:
        ValueError: *limit* or *at_once* would let nothing run.
    """
    for name, most in (("limit", limit), ("at_once", at_once)):
        if most is not None and most < 1:
            raise ValueError(f"{name}={most} would let nothing run; use 1 or more")
    fan_out = Each(_name_of(each), _items_of(each), at_once, settle) if each is not None else None
    return ActivityOf(run, id=id, exclusive=exclusive, retry=retry, deadline=deadline, limit=limit, each=fan_out)


def _name_of(each: str | Callable[..., object]) -> str:
    return each if isinstance(each, str) else getattr(each, "__name__", type(each).__name__)


def _items_of(each: str | Callable[[Any], object]) -> Callable[[Any], object]:
    """How the items are found in what an activity is given."""
    if not isinstance(each, str):
        return each

    def member(given: Any) -> object:
        if isinstance(given, Mapping):
            return cast("Mapping[str, object]", given)[each]
        return getattr(given, each)

    return member
