"""Questions about a machine that change nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import NoReturn

from durable_fsm.core.address import Receiver
from durable_fsm.core.author_code import ANYTHING
from durable_fsm.core.callbacks import at_transition
from durable_fsm.core.chart import Callback, Chart, Guard, Transition
from durable_fsm.core.events import Event
from durable_fsm.core.index import Stance
from durable_fsm.core.program import index_of
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.values import Misfit


class Acceptance(StrEnum):
    """Whether an event would be accepted now."""

    YES = "yes"
    NO = "no"
    DEPENDS = "depends on payload"
    DEFERRED = "deferred"
    IGNORED = "ignored"


_STRONGEST = (Acceptance.YES, Acceptance.DEPENDS, Acceptance.DEFERRED, Acceptance.IGNORED)
_STANCES = {Stance.DEFER: Acceptance.DEFERRED, Stance.IGNORE: Acceptance.IGNORED}


class Unknown(LookupError):
    """A guard asked for the payload of an event that has not been sent."""


class UnknownPayload:
    """In place of a payload that is not known yet; every use of it raises `Unknown`."""

    def _look(self, *_: object) -> NoReturn:
        raise Unknown("the payload is not known yet")

    __getattr__ = __getitem__ = __contains__ = __iter__ = __len__ = __bool__ = __int__ = __float__ = _look
    __hash__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __add__ = __sub__ = __mul__ = _look


class _Nothing:
    """The effects of a question: none."""

    def send(
        self, event: str, payload: object, after: timedelta, id: str | None, to: Receiver | None, *, replaces: bool
    ) -> None: ...

    def cancel(self, id: str) -> None: ...

    def renew(self, name: str) -> None: ...

    def refuse(self, event: str, reason: str) -> None: ...

    def raise_(self, event: str, payload: object) -> None: ...

    def reply(self, value: object) -> None: ...

    def start(self, work: str, payload: object, name: str | None) -> None: ...

    def stop(self, machine: str, name: str) -> None: ...


def acceptance_of(chart: Chart, snapshot: Snapshot, *, now: datetime | None = None) -> dict[str, Acceptance]:
    """Every public event, sorted, and whether the machine would take it, if its callbacks found *now* in `event.at`."""
    if snapshot.status is Status.DONE:
        ignores = partial(index_of(chart).ignores, snapshot.configuration)
        return {name: Acceptance.IGNORED if ignores(name) else Acceptance.NO for name in chart.public_events}
    if snapshot.status is Status.FAILED:
        return dict.fromkeys(chart.public_events, Acceptance.NO)
    try:
        data = chart.data.load(snapshot.data)
    except Misfit:
        return dict.fromkeys(chart.public_events, Acceptance.NO)
    return {name: _answer(chart, snapshot, data, Event(name, UnknownPayload(), at=now)) for name in chart.public_events}


def _answer(chart: Chart, snapshot: Snapshot, data: object, event: Event) -> Acceptance:
    index = index_of(chart)
    active = index.with_ancestors(snapshot.configuration)
    scope = Scope(chart, event, data, _Nothing, snapshot, active, active, active, event.at, event.seed)
    candidates, stances = index.stances[snapshot.configuration, event.name]
    answers = {_passes(scope, edge) for of_leaf in candidates for edge in of_leaf}
    answers |= {_STANCES[stance] for stance in stances}
    return next((answer for answer in _STRONGEST if answer in answers), Acceptance.NO)


def _passes(scope: Scope, transition: Transition) -> Acceptance:
    at_transition(scope, transition)
    answers = [_admits(scope, validator) for validator in transition.validators]
    answers += [_says_yes(scope, guard) for guard in transition.guards]
    if Acceptance.NO in answers:
        return Acceptance.NO
    return Acceptance.DEPENDS if Acceptance.DEPENDS in answers else Acceptance.YES


def _admits(scope: Scope, validator: Callback) -> Acceptance:
    try:
        validator.call(scope)
    except Unknown:
        return Acceptance.DEPENDS
    except ANYTHING:  # whatever a validator raises is its way to say no
        return Acceptance.NO
    return Acceptance.YES


def _says_yes(scope: Scope, guard: Guard) -> Acceptance:
    try:
        return Acceptance.YES if bool(guard.call(scope)) is not guard.negated else Acceptance.NO
    except ANYTHING:  # it stumbles over the missing payload, or would raise for the real event too
        return Acceptance.DEPENDS
