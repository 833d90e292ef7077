"""A chart whose later build lacks a state, without another version: `SHRINKING_BUILD` says which build this is."""

from __future__ import annotations

import os

from statemachine import State, StateChart

from durable_fsm import app, durable, event

if os.environ.get("SHRINKING_BUILD") == "first":

    @durable(name="Shrinking")
    class First(StateChart):
        cart = State(initial=True)
        reserved = State()
        paid = State(final=True)

        reserve = event(cart.to(reserved))
        pay = event(cart.to(paid) | reserved.to(paid))

    application = app(First)

else:

    @durable(name="Shrinking")
    class Second(StateChart):
        cart = State(initial=True)
        paid = State(final=True)

        pay = event(cart.to(paid))

    application = app(Second)
