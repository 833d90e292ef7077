"""Machines by fields of their data: one object for each value of an indexed field lists the machines that have it.

    Order.index / customer=ada      state `listed o-17`, `listed o-18`, … for the machines whose `customer` is "ada"

A machine remembers the *entries* under which it is listed. A save that changes them tells both objects, in the same
transaction: sends from one machine to one object arrive in their order, so the list is right a moment after the answer. A
reader checks each machine that it finds, because a machine may have changed since, or an older build may have written it.

An object of its own for each value, with a state key for each machine: adding one costs the same however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable

import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.fields import field_of
from durable_fsm.errors import NotIndexed
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import FOR_EVER, Count, RequestStruct, request_in
from durable_fsm.restate.names import INDEXED, Handler, index_name, listed_name
from durable_fsm.restate.registration import BYTES, register

MOST = 1_000
"""Most keys of one answer."""


class ListRequest(RequestStruct, frozen=True):
    after: str = ""
    limit: Count = MOST


class FieldIndex:
    """The objects that list the machines of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.name = index_name(chart.name)

    def service(self) -> restate.VirtualObject:
        service = restate.VirtualObject(
            self.name,
            description=f"Lists the machines of {self.chart.name} by fields of their data.",
            metadata={INDEXED: " ".join(self.chart.hosting.index)},
            enable_lazy_state=True,  # adding one machine need not load the others
            invocation_retry_policy=FOR_EVER,
        )
        for handler in (self.add, self.remove):
            register(service, handler.__name__, handler, chart=self.chart, retried=True, private=True)
        closed = Handler.SNAPSHOT in self.chart.hosting.operators_only
        register(service, "machines", self.machines, chart=self.chart, kind="shared", private=closed)
        return service

    async def add(self, ctx: ObjectContext, body: bytes) -> bytes:
        """List the machine of this key."""
        ctx.set(listed_name(body.decode()), b"1", serde=BYTES)
        return b""

    async def remove(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Do not list the machine of this key any longer."""
        ctx.clear(listed_name(body.decode()))
        return b""

    async def machines(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read a page of the list: keys of machines in order, and after which one the next page begins."""
        request = request_in(ListRequest, self.name, "machines", body, shape='{"after": key, "limit": number}')
        field = field_of(ctx.key())
        if field not in self.chart.hosting.index:
            raise NotIndexed(chart=self.chart.name, field=field, known=self.chart.hosting.index)
        listed = (name.removeprefix(listed_name("")) for name in await ctx.state_keys())
        keys = sorted(key for key in listed if key > request.after)
        page = keys[: max(1, min(request.limit, MOST))]
        return dumps({"keys": [*page], "next": page[-1] if len(page) < len(keys) else None})


def tell_index(ctx: ObjectContext, chart: Chart, before: Iterable[str], after: Iterable[str]) -> None:
    """Move the machine from its entries *before* a save to those *after* it."""
    if not chart.hosting.index:
        return  # the object is not hosted
    known, wanted = set(before), set(after)
    for entries, handler in ((known - wanted, "remove"), (wanted - known, "add")):
        for entry in sorted(entries):
            ctx.generic_send(index_name(chart.name), handler, ctx.key().encode(), key=entry)
