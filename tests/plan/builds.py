"""Builds of the parcel chart: the one that is deployed, and some that are not yet."""

from __future__ import annotations

from statemachine import State, StateChart

import durable_fsm
from durable_fsm import event
from tests.plan.parcels import Look, parcel

Parcel = parcel()
app = durable_fsm.app(Parcel)
guarded = durable_fsm.app(parcel("guard never true"))
same = durable_fsm.app(parcel())
broken = durable_fsm.app(parcel("state removed"))
bumped = durable_fsm.app(parcel("version without a way"))
moving = durable_fsm.app(parcel("renamed with a migration"))
Moving = parcel("renamed with a migration")
narrowed = durable_fsm.app(parcel("payload narrowed"))
longer = durable_fsm.app(parcel("timer lengthened"))
unfit = durable_fsm.app(parcel("data member required"))
both = durable_fsm.app(parcel(), Look)


class Fresh(StateChart):
    new = State(initial=True)
    old = State(final=True)
    age = event(new.to(old))


fresh = durable_fsm.app(Fresh)
