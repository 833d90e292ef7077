"""A lamp in several builds, for the findings of `durable-fsm doctor`; `STREET_BUILD` says which one this process serves."""

from __future__ import annotations

import os

from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import Incoming, StripeSignature, Webhook, durable, event, migration
from durable_fsm.core.sources import Request

BUILD = os.environ.get("STREET_BUILD", "first")


class Light(BaseModel):
    level: int = 0


def reported(request: Request) -> Incoming:
    return Incoming("switch", key="1")


WEBHOOK = Webhook("town", decode=reported, signature=StripeSignature(secret="STREET_SECRET"))

if BUILD == "first":

    @durable(version="1", webhooks=[WEBHOOK])
    class Lamp(StateChart[Light]):
        """A lamp that can be dimmed."""

        off = State(initial=True)
        on = State()
        dimmed = State()

        switch = event(off.to(on) | on.to(off) | dimmed.to(off))
        dim = event(on.to(dimmed))

elif BUILD == "without dimming":

    @durable(version="1", webhooks=[WEBHOOK])
    class Lamp(StateChart[Light]):  # type: ignore[no-redef]
        """A lamp that cannot be dimmed any more."""

        off = State(initial=True)
        on = State()

        switch = event(off.to(on) | on.to(off))
        flash = event(on.to(off))

else:
    MIGRATIONS = [migration("1", to="2", states={"off": "dark", "on": "bright", "dimmed": "bright"})]

    @durable(version="2", webhooks=[WEBHOOK], migrations=MIGRATIONS if BUILD == "migrating" else [])
    class Lamp(StateChart[Light]):  # type: ignore[no-redef]
        """A lamp of a version that knows nothing of the first."""

        dark = State(initial=True)
        bright = State()

        switch = event(dark.to(bright) | bright.to(dark))


app = durable_fsm.app(Lamp)
