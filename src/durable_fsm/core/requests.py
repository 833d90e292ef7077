"""Requests of callbacks while they run: the step's side of `scope.Effects`."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm.core import invocation, timers
from durable_fsm.core.address import Receiver, is_address, written
from durable_fsm.core.chart import Unexpected
from durable_fsm.core.codec import milliseconds, plain
from durable_fsm.core.durations import bounded
from durable_fsm.core.effects import PARENT, Post, Reply
from durable_fsm.core.events import ERROR, UNREACHABLE, Event, Failure, Origin
from durable_fsm.core.index import matches
from durable_fsm.core.scope import NOW
from durable_fsm.core.snapshot import PendingSend
from durable_fsm.core.values import Json
from durable_fsm.core.working import HeldSend, Working
from durable_fsm.errors import InvalidPayload, UnknownEvent


class Requests:
    """The step's side of `Effects`; see there."""

    def __init__(self, machine: Working) -> None:
        self._machine = machine

    def send(
        self, event: str, payload: object, after: timedelta, id: str | None, to: Receiver | None, *, replaces: bool
    ) -> None:
        machine = self._machine
        content = plain(payload)
        delay = milliseconds(max(bounded(after, f"after= of '{event}'"), NOW))
        if to is None or to == f"#_scxml_{machine.before.session}":
            if machine.chart.policies.unexpected is Unexpected.REJECT and not machine.index.knows(event):
                raise UnknownEvent(chart=machine.chart.name, event=event, known=tuple(sorted(machine.chart.events)))
            self._refuse_open(event, content)
            machine.typed(Event(event, content))
            self._replace(id, replaces=replaces)
            timers.arm(machine, PendingSend(machine.token(), event, delay, id=id, payload=content))
            return
        receiver = written(to)
        address = self._address(receiver)
        if address is None and self._begins(receiver):
            machine.held.append(HeldSend(event, content, after, id, receiver, replaces))
            return
        if address is None:
            sendid = id or ""
            facts: Json = {"event": event, "to": receiver, "sendid": sendid}
            failure = Failure("Unreachable", f"there is no machine '{to}'.", metadata=facts)
            machine.enqueue(Event(UNREACHABLE, failure, Origin.INTERNAL, sendid=sendid))
            return
        self._replace(id, replaces=replaces)
        if delay:
            timers.arm(machine, PendingSend(machine.token(), event, delay, id=id, payload=content, to=address))
        else:
            machine.effects.append(Post(address, event, content, id or ""))

    def _replace(self, id: str | None, *, replaces: bool) -> None:
        if replaces and id is not None and not self._machine.chart.policies.scxml:
            timers.cancel(self._machine, id)

    def _address(self, to: str) -> str | None:
        """`PARENT`, the token of the child that is meant, or the address itself; None if that machine does not exist."""
        machine = self._machine
        if is_address(to):
            return to
        if machine.before.parent and to in (PARENT, f"#_scxml_{machine.before.parent}"):
            return PARENT
        for child in machine.machines.values():
            if not child.ended and to in (f"#_{child.id}", f"#_scxml_{child.chart}.{child.token}"):
                return child.token
        return None

    def _begins(self, to: str) -> bool:
        """Whether it is a child of a state that was entered just now: it begins when the macrostep ends.

        SCXML knows no child before that.
        """
        machine = self._machine
        entered = () if machine.chart.policies.scxml else machine.to_invoke
        id = to.removeprefix("#_")
        meant = {id, id.rpartition(".")[0]}  # one of several is called by its number, too
        return any(
            child.id and child.id in meant for state in entered for child in machine.index.states[state].machines
        )

    def send_held(self) -> None:
        """Send what waited for children, which have begun by now. A message to one that has not comes back."""
        held, self._machine.held = self._machine.held, []
        for one in held:
            self.send(one.event, one.payload, one.after, one.id, one.to, replaces=one.replaces)

    def cancel(self, id: str) -> None:
        self._machine.held = [one for one in self._machine.held if one.id != id]
        timers.cancel(self._machine, id)

    def renew(self, name: str) -> None:
        timers.renew(self._machine, name)

    def refuse(self, event: str, reason: str) -> None:
        machine = self._machine
        for kept in machine.before.deferred:
            if matches(event, kept.event):
                machine.refused[kept.token] = reason

    def raise_(self, event: str, payload: object) -> None:
        self._refuse_open(event, payload)
        if isinstance(payload, Failure) and event == ERROR:
            self._machine.caught.append(self._machine.action_error(payload.source, payload.message))
        self._machine.enqueue(self._machine.typed(Event(event, payload, Origin.INTERNAL)))

    def _refuse_open(self, event: str, payload: object) -> None:
        """Refuse a payload that leaves a default open which differs from call to call: the step may run again.

        Raises:
            InvalidPayload: it does.
        """
        declared = self._machine.chart.events.get(event)
        if declared is None or declared.payload is None or isinstance(payload, Failure):
            return
        completed = declared.payload.completed(plain(payload))
        if completed is not None:
            raise InvalidPayload(
                chart=self._machine.chart.name,
                subject=f"payload of '{event}'",
                expected=declared.payload.name,
                problem="expected a value, because the default differs whenever the step runs (use ids.uuid())",
                path=completed.path,
            )

    def start(self, work: str, payload: object, name: str | None) -> None:
        if name is None:
            invocation.start_detached(self._machine, work, payload)
        else:
            invocation.start_on_demand(self._machine, work, payload, name)

    def stop(self, machine: str, name: str) -> None:
        invocation.stop_on_demand(self._machine, machine, name)

    def reply(self, value: object) -> None:
        self._machine.effects.append(Reply(plain(value)))
