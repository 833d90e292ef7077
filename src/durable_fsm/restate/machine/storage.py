"""The state under a machine's key, as the host loads and encodes it; `stored` has the records that it consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

import msgspec
from restate import ObjectContext, ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import members_of
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.messages import Parent
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import not_started
from durable_fsm.core.upgrade import Upgrade, upgrade
from durable_fsm.core.values import changed
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import BYTES, MAX_SNAPSHOT
from durable_fsm.restate.names import StateKey
from durable_fsm.restate.observability import redaction
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.report import current
from durable_fsm.restate.stored.history import HistoryTail
from durable_fsm.restate.stored.snapshot import OperatorPause, StoredRecord, read_handles, read_record

T = TypeVar("T")


async def load_state(
    ctx: ObjectContext | ObjectSharedContext, chart: Chart, key: str, decode: Callable[[bytes], T], default: T
) -> T:
    """Read what is stored under a name of `StateKey`; *default* if there is nothing.

    Raises:
        SnapshotUnreadable: this build cannot read it.
    """
    text: bytes | None = await ctx.get(key, serde=BYTES)
    try:
        return default if text is None else decode(text)
    except (ValueError, RecursionError) as error:
        raise errors.SnapshotUnreadable(chart=chart.name, problem=f"'{key}' beside it: {error}.") from error


async def load_list(
    ctx: ObjectContext | ObjectSharedContext, chart: Chart, key: str, decode: Callable[[bytes], dict[str, T]]
) -> dict[str, T]:
    """As `load_state`, for what the machine can continue without: if it cannot be read, it is empty, and written again."""
    try:
        return await load_state(ctx, chart, key, decode, {})
    except errors.SnapshotUnreadable as error:
        log.warning("%s/%s: %s It starts again.", chart.name, ctx.key(), error.problem)
        return {}


async def load_handles(ctx: ObjectContext | ObjectSharedContext, chart: Chart) -> dict[str, str]:
    """Ids of the invocations that can be cancelled, by token."""
    return await load_list(ctx, chart, StateKey.HANDLES, read_handles)


async def load_to_read(ctx: ObjectSharedContext, chart: Chart) -> tuple[StoredMachine, Snapshot]:
    """The contents of the key, and the machine in it, for a handler that only reads.

    Raises:
        NotStarted: no machine has this key.
    """
    text: bytes | None = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
    stored = StoredMachine.decode(chart, text)
    if stored.machine is None:
        raise not_started(chart)
    return stored, stored.machine


class Caller(Enum):
    """The caller that wants to change a machine, which decides whether it may while the machine is paused."""

    PLATFORM = "a timer, an outcome, a message, or a creation: refused"
    SENDER = "an event from outside: deferred if the chart says so, otherwise refused"
    OPERATOR = "a repair, or a caller that changes nothing: let in"


_record_of: Callable[..., StoredRecord] = StoredRecord  # the members of a snapshot come first, in their order


class StoredMachine(msgspec.Struct, frozen=True):
    """The contents of the state key `snapshot`.

    Attributes:
        chart: the chart under which the machine lives: the newest, or one that is kept for it.
        machine: None if no machine has this key.
        history: the latest entries of its history.
        due: when timers are due, by token, in milliseconds since 1970; for people.
        waited_for: whether there are waiters.
        run_by: the machine that runs this one as its child, if any.
        paused: an operator has paused it, if so.
        indexed: the entries under which it is listed; see `restate.field_index`.
        at: when it last changed, in milliseconds since 1970; for people.
        upgrade: the upgrade from another version that the next transaction is to settle, if any.
    """

    chart: Chart
    machine: Snapshot | None = None
    history: HistoryTail = HistoryTail()
    due: Mapping[str, int] = {}
    waited_for: bool = False
    run_by: Parent | None = None
    paused: OperatorPause | None = None
    indexed: tuple[str, ...] = ()
    at: int | None = None
    upgrade: Upgrade | None = None

    @classmethod
    def decode(cls, chart: Chart, text: bytes | None) -> StoredMachine:
        """Read what `encode` wrote, and upgrade the machine to the chart, or to one that the chart keeps.

        Raises:
            SnapshotUnreadable: the text is something else.
            VersionError: no chart here serves the machine's version.
            MigrationError: a migration to this version failed.
        """
        stored = cls.decode_any_version(chart, text)
        machine = stored.machine
        same = machine is not None and (machine.digest, machine.version) == (chart.digest, chart.version)
        if machine is None or (same and chart.compiler is None):
            # There is none, or this very chart wrote it. An operator may have changed it since.
            problem = None if machine is None else incompatibility(chart, machine)
            if problem is not None:
                raise errors.SnapshotUnreadable(chart=chart.name, problem=problem)
            return stored
        taken = upgrade(chart, machine)
        if taken.machine is machine and taken.chart is chart:
            return stored
        return changed(stored, chart=taken.chart, machine=taken.machine, upgrade=taken.upgrade)

    def because(self, reason: str) -> StoredMachine:
        """The same, with the reason of the operator who asks for the upgrade that is due, if one is."""
        return self if self.upgrade is None else changed(self, upgrade=self.upgrade._replace(reason=reason))

    @classmethod
    def decode_any_version(cls, chart: Chart, text: bytes | None) -> StoredMachine:
        """Read what `encode` wrote, in any version.

        Raises:
            Gone: the machine has ended, and its key must not be used again.
            SnapshotUnreadable: the text is something else.
        """
        if text is None:
            return cls(chart)
        record = read_record(chart.name, text)
        if redaction.current() is not None:
            redaction.seen(record.data, *(kept.payload for kept in record.deferred))
        return cls(
            chart=chart,
            machine=Snapshot(*members_of(record)),
            history=record.log or HistoryTail(),
            due=record.due,
            waited_for=record.waited_for,
            run_by=record.run_by,
            paused=record.paused,
            indexed=record.indexed,
            at=record.at,
        )

    def refuse_paused(self, by: Caller) -> None:
        """Refuse a change of a machine that an operator has paused, or that is not where the sender saw it.

        Raises:
            Paused: it is, and this caller has to wait.
            Moved, NotOperator: see `refuse_moved`.
        """
        self.refuse_moved()
        may_enter = by is Caller.OPERATOR or (by is Caller.SENDER and self.chart.hosting.defer_while_paused)
        if self.paused is not None and not may_enter:
            since, reason = instant(self.paused.since), self.paused.reason
            raise errors.Paused(chart=self.chart.name, since=since, reason=reason)

    def refuse_moved(self) -> None:
        """Refuse a request that was made for an earlier state of the machine.

        Raises:
            Moved: it was.
            NotOperator: an operator has signed it, and does not say for which state: it could be sent again.
        """
        invocation = current.get()
        if invocation is None or (invocation.if_seq is None and not invocation.must_say_seq):
            return
        if invocation.if_seq is None:
            problem = "it is signed, and must say at which step the machine was seen: if_seq."
            raise errors.NotOperator(chart=self.chart.name, handler=invocation.handler, problem=problem)
        seq = 0 if self.machine is None else self.machine.seq
        if seq != invocation.if_seq:
            active = () if self.machine is None else active_in(self.chart, self.machine)
            raise errors.Moved(chart=self.chart.name, expected=invocation.if_seq, seq=seq, configuration=active)

    def encode(self) -> bytes:
        """The text to store.

        Raises:
            TooLarge: it is longer than Restate can carry.
        """
        assert self.machine is not None
        log = self.history if self.history.entries else None
        of_host = (log, self.due, self.waited_for, self.run_by, self.paused, self.indexed, self.at)
        record = _record_of(*members_of(self.machine), *of_host)
        text = dumps(record)
        if len(text) > MAX_SNAPSHOT:
            raise errors.TooLarge(chart=self.machine.chart, size=len(text), limit=MAX_SNAPSHOT)
        return text
