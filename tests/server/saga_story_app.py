"""The trip of `sagas_app.py` under a name of its own, served by a process that the tests kill."""

from __future__ import annotations

import durable_fsm
from durable_fsm import durable
from tests.server.sagas_app import Booking


@durable(name="Voyage")
class Voyage(Booking):
    """A trip is booked as a whole, or not at all."""


saga_story_app = durable_fsm.app(Voyage)
