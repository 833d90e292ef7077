"""The surroundings of a callback: what it sees and may ask for while a step runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from durable_fsm.core.address import Receiver
    from durable_fsm.core.chart import Chart, State, Transition
    from durable_fsm.core.events import Event
    from durable_fsm.core.snapshot import Snapshot

NOW = timedelta(0)


class Asked(Protocol):
    """The step's side of `Effects`."""

    def send(
        self, event: str, payload: object, after: timedelta, id: str | None, to: Receiver | None, *, replaces: bool
    ) -> None: ...

    def cancel(self, id: str) -> None: ...

    def renew(self, name: str) -> None: ...

    def refuse(self, event: str, reason: str) -> None: ...

    def raise_(self, event: str, payload: object) -> None: ...

    def start(self, work: str, payload: object, name: str | None) -> None: ...

    def stop(self, machine: str, name: str) -> None: ...

    def reply(self, value: object) -> None: ...


class Effects:
    """Requests of a callback to the outside; nothing happens before the step has succeeded."""

    __slots__ = ("_asked",)

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def send(
        self,
        event: str,
        payload: object = None,
        *,
        after: timedelta = NOW,
        id: str | None = None,
        to: Receiver | None = None,
    ) -> None:
        """Send an event, *after* this time from the end of the step. *id* lets `cancel` find it.

        It replaces a pending send with the same id, except in an SCXML document.

        Args:
            to: None for this machine itself; any machine by its definition (or the name of its chart) and its key:
                `(Parcel, "p-1")`; `#_parent`; `#_` and the id of a child; the `event.sender` of a message. If that
                machine refuses the event or does not exist, it comes back as `error.communication`.
        """
        self._asked.send(event, payload, after, id, to, replaces=True)

    def cancel(self, id: str) -> None:
        """Cancel every send with this id that has not arrived."""
        self._asked.cancel(id)

    def renew(self, name: str) -> None:
        """Restart from now every pending send with this id, and every state's timer for this event."""
        self._asked.renew(name)

    def refuse(self, event: str, reason: str) -> None:
        """Reject the events that have been deferred until now; a caller who waits for one gets the reason.

        Args:
            event: its name, or a descriptor such as `note.*`.
        """
        self._asked.refuse(event, reason)

    def raise_(self, event: str, payload: object = None) -> None:
        """Put an event on the internal queue: it is processed in this same macrostep."""
        self._asked.raise_(event, payload)

    def start(self, work: str, payload: object = None, *, name: str | None = None) -> None:
        """Start work that the chart declares with `work=`. No state waits for it or stops it.

        With a *name*, start a machine that an active state declares with `machine(..., on_demand=True)`; the payload is
        its data. Its address is `#_<work>.<name>`.

        Raises:
            UnknownWork: the chart does not declare it.
            ValueError: its state is not active, a machine of this name is already running, or too many are running.
        """
        self._asked.start(work, payload, name)

    def stop(self, machine: str, *, name: str) -> None:
        """Stop a machine that was started with this name, without an event. It may have ended already."""
        self._asked.stop(machine, name)

    def reply(self, value: object) -> None:
        """Reply to the sender of the event, like the return value of the last transition action.

        The last reply counts. Use it in callbacks whose return value is not a reply.
        """
        self._asked.reply(value)


def send_beside(effects: Effects, event: str, payload: object, *, after: timedelta, id: str | None) -> None:
    """Send an event to this machine, beside what was sent under the same id: as a library that has this rule does."""
    effects._asked.send(event, payload, after, id, None, replaces=False)  # pyright: ignore[reportPrivateUsage]


class Ids:
    """Ids and random numbers that stay the same however often the step is repeated."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._random: Random | None = None

    @property
    def random(self) -> Random:
        """A generator seeded by the event; its numbers are stable, not secret."""
        if self._random is None:
            self._random = Random(self._seed)
        return self._random

    def uuid(self) -> UUID:
        """A version 4 UUID drawn from `random`."""
        return UUID(int=self.random.getrandbits(128), version=4)


class Scope(Struct, dict=True, eq=False):
    """The surroundings of one callback.

    Attributes:
        data: the working copy, which callbacks change.
        event: the event that is being taken.
        transition: the edge for which the callback runs; `source` and `target` are the states it runs between.
        state: the one that the callback belongs to: on entry and exit the state that is entered or left.
        at: the time of the step; events that the step raises itself have it, too.
        session: the name of this machine among all machines.
        previous: the configuration that the transitions under way left; `coming` is the one they lead to.
        machine: for the front-end, which may keep one object a step there; and in `prepared` one an event.
    """

    chart: Chart
    event: Event
    data: object
    asked: Callable[[], Asked]
    before: Snapshot
    configuration: AbstractSet[str]
    previous: AbstractSet[str]
    coming: AbstractSet[str]
    at: datetime | None
    seed: str
    transition: Transition | None = None
    source: str | None = None
    target: str | None = None
    state: State | None = None
    machine: object = None
    prepared: tuple[Event, object] | None = None

    @cached_property
    def effects(self) -> Effects:
        """Requests of the callback to the world."""
        return Effects(self.asked())

    @cached_property
    def ids(self) -> Ids:
        """Ids and random numbers of this step."""
        return Ids(f"{self.seed}/{self.before.life}/{self.before.seq + 1}")

    @property
    def session(self) -> str:
        """The address of this existence of the machine."""
        return self.before.session
